"""The model card."""

import re
import shutil
from pathlib import Path

from huggingface_hub import ModelCard

from common.card import render_card, weak_slices
from common.run import Run, read_json, without_paths, write_json


def test_the_card_holds_the_numbers_and_no_placeholder(finished_run: Run) -> None:
    text = finished_run.card.read_text()
    assert text == render_card(finished_run)
    results = read_json(finished_run.results)
    assert f"{100 * results['metrics']['accuracy']['value']:.1f} %" in text
    assert without_paths(results["command"]) in text and "--train_file train.csv" in text
    assert str(finished_run.folder.parents[2]) not in text
    assert not re.search(r"\bNone\b|TODO|More Information|\{\{|\{%|lorem|placeholder|\bnan\b|\bN/A\b", text, re.IGNORECASE)
    assert re.findall(r"^#+ .*\n+(?=#)", text.split("\n", 60)[-1], re.MULTILINE) == [], "a heading without a text"
    assert "\n\n\n\n" not in text
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["What it is for", "How good it is", "Where it fails", "What it was trained on", "How it was trained", "How to use it"]


def test_the_hub_reads_its_metadata(finished_run: Run) -> None:
    data = ModelCard.load(finished_run.card).data
    results = read_json(finished_run.results)
    assert data.pipeline_tag == "text-classification" and data.library_name == "transformers"
    measured = {(result.dataset_split, result.metric_name): result.metric_value for result in data.eval_results}
    assert len(measured) == 4, "accuracy and macro-F1 of the test set and of the radio"
    assert measured["test", "accuracy"] == round(results["metrics"]["accuracy"]["value"], 4)
    assert measured["radio", "macro_f1"] == round(results["out_of_domain"]["radio"]["metrics"]["macro_f1"]["value"], 4)


def test_what_the_card_names_is_what_was_used(finished_run: Run, tmp_path: Path) -> None:
    """A file whose path looks like the id of a Hub data set is none, and random weights come from no model."""
    run = Run(tmp_path / "tiny")
    shutil.copytree(finished_run.folder, run.folder)
    manifest = read_json(run.manifest)
    manifest["data"]["reference"], manifest["model"]["origin"] = "data/train.csv", "someone/model"
    write_json(run.manifest, manifest)
    data = ModelCard(render_card(run)).data
    assert data.datasets is None and data.base_model == "someone/model"
    write_json(run.manifest, manifest | {"config": manifest["config"] | {"dataset": "data/train.csv", "pretrained": False}})
    text = render_card(run)
    data = ModelCard(text).data
    assert data.datasets == ["data/train.csv"] and data.base_model is None
    assert "From random weights, in the architecture of:" in text and "Pretrained model" not in text


def test_limits_are_the_slices_below_the_average() -> None:
    def row(value: str, low: float, high: float) -> dict[str, object]:
        return {"slice": "length", "value": value, "examples": 50, "accuracy": {"value": (low + high) / 2, "low": low, "high": high}}

    slices = [row("fine", 0.85, 0.95), row("weak", 0.6, 0.8), row("weaker", 0.5, 0.7), {"slice": "length", "value": "tiny", "examples": 2}]
    weak = weak_slices({"metrics": {"accuracy": {"value": 0.9}}, "slices": slices})
    assert [entry["value"] for entry in weak] == ["weaker", "weak"]
