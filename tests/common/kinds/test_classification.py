"""What counts as new in a pretrained classifier, when its confidence is settled, and which metric leads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from torch import nn

from common.fine_tune import evaluate_again, fine_tune
from common.kinds.classification import Classification
from common.metrics.calibration import FEWEST_ROWS
from common.run import Run
from common.system.files import read_json
from tests.conftest import sentences, write_csv

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
PICTURES = {**SMALL, "image_size": 16, "patch_size": 8}


def models() -> dict[str, nn.Module]:
    import transformers as t

    halves = {"vision_config": PICTURES, "text_config": {**SMALL, "vocab_size": 50}}
    gpt = {"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2}
    return {
        "siglip": t.SiglipForImageClassification(t.SiglipConfig(**halves)),
        "clip": t.CLIPForImageClassification(t.CLIPConfig(**halves)),
        "vit": t.ViTForImageClassification(t.ViTConfig(**PICTURES)),
        "resnet": t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
        ),
        "bert": t.BertForSequenceClassification(t.BertConfig(vocab_size=50, **SMALL)),
        "gpt2": t.GPT2ForSequenceClassification(t.GPT2Config(**gpt)),
    }


HEADS = {
    "siglip": "classifier.",
    "clip": "classifier.",
    "vit": "classifier.",
    "resnet": "classifier.",
    "bert": "classifier.",
    "gpt2": "score.",
}


@pytest.mark.parametrize("name", HEADS)
def test_the_head_is_what_follows_the_pretrained_part(name: str) -> None:
    model = models()[name]
    head = Classification.head(None, model)  # type: ignore[arg-type]
    assert {
        prefix for prefix in head if any(parameter.startswith(prefix) for parameter, _ in model.named_parameters())
    } == {HEADS[name]}


class Settling:
    """What `Classification.settle` needs of a task."""

    settle = Classification.settle
    labels = ("a", "b")
    class_ids = Classification.class_ids


def settled(rows: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    references = random.integers(2, size=rows)
    logits = random.normal(size=(rows, 2)) + 3 * np.eye(2)[references]
    validation = Dataset.from_dict({"reference": ["ab"[number] for number in references]})
    return Settling().settle(lambda _: [[row] for row in logits], validation)  # type: ignore[arg-type]


def test_few_validation_rows_settle_neither_a_temperature_nor_a_threshold() -> None:
    assert settled(FEWEST_ROWS - 1) == {"temperature": 1.0, "threshold": None}
    enough = settled(FEWEST_ROWS)
    assert enough["temperature"] != 1 and 0 < enough["threshold"] <= 1


@pytest.mark.parametrize(("threshold", "sure"), [(None, [True, True]), (0.9, [True, False])])
def test_without_a_threshold_every_answer_is_sure(threshold: float | None, sure: list[bool]) -> None:
    class Answering(Settling):
        settings = {"temperature": 1.0, "threshold": threshold}
        _answers = Classification._answers

    answers = Answering()._answers([[5.0, 0.0], [0.2, 0.0]])  # type: ignore[arg-type]
    assert [answer.sure for answer in answers] == sure


def test_a_run_says_whether_its_calibration_helped(finished_run: Run) -> None:
    section = read_json(finished_run.results)["sections"]["calibration"]
    assert section["calibrated"] is True
    change = section["change"]
    difference = section["negative_log_likelihood"] - section["negative_log_likelihood_uncalibrated"]
    assert change["difference"] == pytest.approx(difference)
    assert change["low"] <= change["difference"] <= change["high"] and 0 < change["p_value"] <= 1


def test_a_run_of_few_validation_rows_is_not_calibrated_and_has_its_pages(tiny_model: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "rows.csv", sentences(60))
    options = ["--train_file", str(file), "--model", str(tiny_model), "--output_dir", str(tmp_path / "runs")]
    fine_tune("text_classification", [*options, "--run_name", "tiny", "--max_steps", "1", "--precision", "fp32"])
    run = Run(tmp_path / "runs/text_classification/tiny")
    assert read_json(run.model / "kit.json")["settings"] | {"labels": 0} == {
        "labels": 0,
        "temperature": 1.0,
        "threshold": None,
    }
    results = read_json(run.results)
    section = results["sections"]["calibration"]
    assert (section["calibrated"], section["change"], section["threshold"]) == (False, None, None)
    assert section["ece"] == section["ece_uncalibrated"]
    assert (results["selective"]["threshold"], results["selective"]["coverage"]) == (None, 1.0)
    assert run.card.exists() and run.report.exists()


def test_macro_f1_as_the_primary_metric_goes_through_evidence_and_pages(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(finished_run.folder, tmp_path / "tiny")
    monkeypatch.setattr(Classification, "metrics", Classification.metrics[::-1])
    run = evaluate_again(tmp_path / "tiny")
    results = read_json(run.results)
    assert results["primary_metric"] == "macro_f1" and results["failed"] == []
    assert results["comparison"]["metric"] == "macro_f1" and results["comparison"]["test"] == "paired bootstrap"
    assert all("macro_f1" in row["metrics"] for row in results["robustness"])
    assert "macro-F1" in run.card.read_text() and "macro-F1" in run.report.read_text()
