"""The model card."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from common.reporting.card import eval_results, render_card, weak_slices, write_pages
from common.reporting.wording import plain
from common.run import Run, input_name, published
from common.system.files import read_json, write_json
from tests.common.reporting import synthetic
from tests.common.reporting.synthetic import ACCURACY, ERROR

HEADINGS = [
    *("What it is for", "How good it is", "Where it fails"),
    *("What it was trained on", "How it was trained", "How to use it"),
]
PLACEHOLDER = re.compile(r"\bNone\b|TODO|More Information|\{\{|\{%|lorem|placeholder|\bnan\b|\bN/A\b", re.IGNORECASE)


def check_form(text: str) -> None:
    """Every heading, each with a text; tables without holes; no placeholder."""
    assert not PLACEHOLDER.search(text)
    body = text.split("\n---\n", 1)[1]
    assert re.findall(r"^## (.*)$", body, re.MULTILINE) == HEADINGS
    assert re.findall(r"^#+ .*\n+(?=#)", body, re.MULTILINE) == [], "a heading without a text"
    assert "\n\n\n" not in body
    for table in re.findall(r"(?:^\|.*\|\n)+", body, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1 and table.count("\n") >= 3, table
    assert not re.findall(r"^\|[^|]", body.replace("\n|", ""), re.MULTILINE)


def test_the_card_holds_the_numbers_and_no_placeholder(finished_run: Run) -> None:
    text = finished_run.card.read_text(encoding="utf-8")
    assert text == render_card(finished_run)
    check_form(text)
    results = read_json(finished_run.results)
    assert f"{100 * results['metrics']['accuracy']['value']:.1f} %" in plain(text)
    assert published(finished_run)[0]["command"] in text and "--train_file train.csv" in text
    assert str(finished_run.folder.parents[2]) not in text


@pytest.mark.parametrize("project", ["classifier", "regression", "spans"])
def test_it_speaks_of_the_metrics_that_there_are(pages: dict[str, Run], project: str) -> None:
    text = plain(pages[project].card.read_text(encoding="utf-8"))
    check_form(text)
    said = {
        "classifier": [
            "| test | 2,014 | 86.4 % (84.9 to 87.9) | 86.1 % (84.5 to 87.7) | words |",
            "expected calibration error on the test split 0.026, as trained 0.020",
            "- majority: always the most frequent label\n- words: TF-IDF + logistic regression\n",
            "It gets 86.4 % (84.9 to 87.9) of 2,014 test rows right.\nIt beats the best baseline on its own test rows,",
            "Below a confidence of 71.0 %, chosen on the validation split, it says that it is not sure.",
            "It is sure of 79.6 % of the test rows, and gets 93.0 % (91.5 to 94.5) of those right.",
            "- length = long: 80.0 % (78.5 to 81.5) on 649 rows",
            "- on tweets to words (-7.8 points (-9.3 to -6.3))",
            "- typos in 10 % of the words: 82.7 % (81.2 to 84.2); 8.0 % of the answers change",
            "| a &#42;film&#42; &#124; of its &#60;time&#62; | negative | neutral: neither good nor bad | 98.4 % |",
            "on the others the accuracy is 86.3 %",
        ],
        "regression": [
            "| test set | rows | mean absolute error, lower is better | rank correlation | best baseline |",
            "| test | 2,014 | 1.42 (1.31 to 1.53) | 0.42 (0.39 to 0.45) | mean |",
            "95 % bootstrap intervals, by group.",
            "Clearly worse than its mean absolute error of 1.42 (1.31 to 1.53)",
            "- topic = school: 1.81",
        ],
        "spans": [
            "It reaches an F1 of 52.1 % (49.0 to 55.2) on 2,014 test rows.\nIt loses to the baseline \u201ctable\u201d",
            "| use torch.nn here | start: 4, end: 9, label: API | (nothing) |",
            "No slices of the test set were looked at.",
            'pipeline("token-classification", model="model")("what a lovely film")',
        ],
    }
    for part in said[project]:
        assert part in text
    if project == "regression":
        assert (
            set(re.findall(r"([\d.]+) %", text)) == {"95", "40.0"}
            and " points" not in text
            and "confidence" not in text
        )


def test_the_hub_reads_its_metadata(finished_run: Run, pages: dict[str, Run]) -> None:
    data = ModelCard.load(finished_run.card).data
    results = read_json(finished_run.results)
    assert data.pipeline_tag == "text-classification" and data.library_name == "transformers"
    measured = {(result.dataset_split, result.metric_name): result.metric_value for result in data.eval_results}
    assert len(measured) == 4, "accuracy and macro-F1 of the test set and of the radio"
    assert measured["test", "accuracy"] == round(results["metrics"]["accuracy"]["value"], 4)
    assert measured["radio", "macro_f1"] == round(results["out_of_domain"]["radio"]["metrics"]["macro_f1"]["value"], 4)
    types = {
        result.metric_name: result.metric_type for result in ModelCard.load(pages["classifier"].card).data.eval_results
    }
    assert types == {"accuracy": "accuracy", "macro_f1": "f1"}
    numbers = {
        result.metric_name: result.metric_value for result in ModelCard.load(pages["regression"].card).data.eval_results
    }
    assert numbers == {"mean_absolute_error": 2.318, "rank_correlation": 0.11}, "as they are"


WORDS = {
    "question": "Does the *critic* like the film?",
    "for_whom": "For an editor who sorts reviews by hand.",
    "author": "Ada <b>Lovelace</b>",
    "links": {"code (mine)": "https://example.org/a_(b)", "e-mail": "mailto:a@example.org", "x": "javascript:alert(1)"},
    "language": "en",
    "why_this": "Because I like films.\n\n# And *more*",
    "what_surprised_me": "",
    "what_i_would_do_next": "Ask a critic.",
}


def test_it_begins_with_the_question_the_picture_and_the_author(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run", synthetic.classifier() | {"portfolio": WORDS})
    write_pages(run)
    text = run.card.read_text(encoding="utf-8")
    body = text.split("\n---\n", 1)[1].strip().split("\n\n")
    assert body[0] == "# Does the &#42;critic&#42; like the film?"
    assert re.fullmatch(r"!\[Does the &#42;critic&#42; like .* 86.4 % .*\]\(picture\.png\)", plain(body[1]))
    assert run.picture.is_file()
    assert WORDS["for_whom"] in body[1] and text.count(WORDS["for_whom"]) == 1
    assert body[2] == (
        "By Ada &#60;b&#62;Lovelace&#60;/b&#62; · [code (mine)](<https://example.org/a_(b)>) · "
        "[e-mail](<mailto:a@example.org>) · x: javascript:alert(1)"
    )
    assert "## Why this\n\nBecause I like films.\n\n&#35; And &#42;more&#42;\n\n## What I would do next" in text
    assert "What surprised me" not in text
    assert not PLACEHOLDER.search(text)
    data: Any = ModelCard(text).data
    assert data.language == "en" and data.metrics == ["accuracy", "f1"]


def test_the_hub_can_try_texts_questions_and_files(finished_run: Run, tmp_path: Path) -> None:
    data: Any = ModelCard.load(finished_run.card).data
    rows = read_json(finished_run.results)["examples_to_try"]
    assert [example["text"] for example in data.widget] == [row["input"] for row in rows] and len(rows) >= 2
    results = synthetic.classifier()
    asked = [{"question": "Why?", "context": "It\x1b rained."}, "long " * 1000, "a: *b*\n- c", {"essay": "one"}]
    results["examples_to_try"] = [{"id": f"test:{i}", "kind": "right", "input": one} for i, one in enumerate(asked)]
    results["examples_to_try"].append({"id": "test:9", "kind": "known failure"})
    run = synthetic.write_run(tmp_path / "run", results)
    file = run.inputs / f"{input_name('test:9')}.png"
    file.parent.mkdir()
    file.write_bytes(b"")
    data = ModelCard(render_card(run)).data
    assert data.widget == [
        {"text": "Why?", "context": "It\\x1b rained.", "example_title": "right"},
        {"text": "a: *b*\n- c", "example_title": "right"},
        {"src": f"inputs/{file.name}", "example_title": "known failure"},
    ]


def test_results_on_a_data_set_of_the_hub_are_written_as_the_hub_reads_them(pages: dict[str, Run]) -> None:
    results, manifest = published(pages["classifier"])
    assert eval_results(results, manifest, "me/model") == [], "rows of a file are none"
    manifest["config"]["dataset"], manifest["data"]["reference"] = "someone/films", f"someone/films@{'a1' * 20}, test"
    (entry,) = parse_eval_result_entries(yaml.safe_load(yaml.safe_dump(eval_results(results, manifest, "me/model"))))
    assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == ("someone/films", "default", "a1" * 20)
    assert entry.value == 0.864 and entry.date == "2026-11-20"
    assert entry.source_url == "https://huggingface.co/me/model"
    assert entry.notes == "accuracy 86.4 % (84.9 to 87.9) on 2,014 test rows"


def test_what_the_card_names_is_what_was_used(pages: dict[str, Run], tmp_path: Path) -> None:
    """A file whose path looks like the id of a Hub data set is none, and random weights come from no model."""
    run = Run(tmp_path / "tiny")
    shutil.copytree(pages["classifier"].folder, run.folder)
    manifest = read_json(run.manifest)
    manifest["data"]["reference"], manifest["model"]["origin"] = "data/train.csv", "someone/model"
    write_json(run.manifest, manifest)
    data: Any = ModelCard(render_card(run)).data
    assert data.datasets is None and data.base_model == "someone/model"
    write_json(
        run.manifest, manifest | {"config": manifest["config"] | {"dataset": "data/train.csv", "pretrained": False}}
    )
    text = render_card(run)
    data = ModelCard(text).data
    assert data.datasets == ["data/train.csv"] and data.base_model is None
    assert "From random weights, in the architecture of:" in text and "Pretrained model" not in text


def test_limits_are_the_slices_that_are_clearly_worse() -> None:
    def row(value: str, low: float, high: float) -> dict[str, object]:
        return {
            "slice": "length",
            "value": value,
            "examples": 50,
            "metrics": {"m": {"value": (low + high) / 2, "low": low, "high": high}},
        }

    slices = [
        row("fine", 0.85, 0.95),
        row("weak", 0.6, 0.8),
        row("weaker", 0.5, 0.7),
        {"slice": "length", "value": "tiny", "examples": 2},
    ]
    slices.append(
        {
            "slice": "length",
            "value": "few groups",
            "examples": 40,
            "metrics": {"m": {"value": 0.1, "low": None, "high": None}},
        }
    )
    results = {
        "primary_metric": "m",
        "metric_kinds": {"m": ACCURACY},
        "metrics": {"m": {"value": 0.9}},
        "slices": slices,
    }
    assert [entry["value"] for entry in weak_slices(results)] == ["weaker", "weak"]
    errors = results | {"metric_kinds": {"m": ERROR}, "metrics": {"m": {"value": 0.55}}}
    assert [entry["value"] for entry in weak_slices(errors)] == ["fine", "weak"], "the largest error first"


def test_the_primary_metric_may_be_another_one(tmp_path: Path) -> None:
    """Slices, perturbations and the sure answers then have that one alone."""
    results = synthetic.classifier()
    results["primary_metric"] = "macro_f1"
    results["metric_kinds"] = dict(reversed(results["metric_kinds"].items()))
    for row in [*results["slices"], *results["robustness"], results["clean"], results["selective"]]:
        if "metrics" in row:
            row["metrics"] = {"macro_f1": row["metrics"]["accuracy"]}
    for part in (results, *results["out_of_domain"].values()):
        part["comparison"]["metric"] = "macro_f1"
    run = synthetic.write_run(tmp_path / "run", results)
    write_pages(run)
    text, page = plain(run.card.read_text(encoding="utf-8")), run.report.read_text(encoding="utf-8")
    check_form(text)
    assert "| test set | rows | macro-F1 | accuracy | best baseline | difference in macro-F1 |" in text
    assert "reaches a macro-F1 of 86.1 % (84.5 to 87.7) on 2,014 test rows" in text
    assert "- length = long: 80.0 %" in text
    assert "cannot be shown" not in page and "Macro-F1 in %, and the difference to the best baseline" in plain(page)


def test_a_loss_out_of_domain_is_no_contradiction(tmp_path: Path) -> None:
    results = synthetic.classifier()
    results["slices"] = [row for row in results["slices"] if row["value"] != "long"]
    text = render_card(synthetic.write_run(tmp_path / "run", results))
    assert "Within the test set, no slice that was looked at is clearly worse than the whole." in text
    assert "Out of domain it loses to a baseline:\n\n- on tweets to words" in text


def test_no_order_to_the_author_is_published(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run", synthetic.classifier())
    manifest = read_json(run.manifest)
    manifest["data"]["findings"] = [
        {
            "severity": "warning",
            "where": "radio.csv",
            "rows": 39,
            "of": 2970,
            "problem": "texts that occurred before",
            "text": "radio.csv, rows 1, 2 and 37 more: texts that occurred before: remove them on one side.",
        }
    ]
    write_json(run.manifest, manifest)
    write_pages(run)
    for page in (run.card, run.report):
        text = plain(page.read_text(encoding="utf-8"))
        assert "radio.csv: texts that occurred before (39 of 2,970 rows, 1.3 %)" in text
        assert "remove them" not in text and "no row was removed for it" in text


def test_a_baseline_that_is_missing_is_named(tmp_path: Path) -> None:
    results = synthetic.classifier()
    results["failed"] = [{"what": "the baseline words", "why": "ValueError: no |words|"}]
    results |= {"comparison": None, "baselines": {}, "baseline_titles": {}}
    for part in results["out_of_domain"].values():
        part |= {"comparison": None, "baselines": {}}
    text = render_card(synthetic.write_run(tmp_path / "run", results))
    check_form(text)
    assert "| no baseline | |" in text
    assert "**The baseline words could not be measured: ValueError: no &#124;words&#124;. &#96;kit evaluate RUN" in text
