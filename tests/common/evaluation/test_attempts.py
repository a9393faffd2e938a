"""Nothing that the training does not need can stop the evidence: what failed once is measured the next time."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.evaluation import baselines, measure
from common.evaluation.attempts import SHOWN, Attempts
from common.fine_tune import evaluate_again
from common.kinds.classification import Classification
from common.metrics import classification_modules
from common.reporting.terminal import results_table
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from common.verify import verify
from projects.text_classification.task import TextClassification

Patch = pytest.MonkeyPatch


def fails(*_: Any, **__: Any) -> Any:
    raise ValueError("empty vocabulary;\n perhaps <b>$x$</b>")


def answers_that_no_model_knows(self: Any, inputs: list[Any]) -> list[Any]:
    from common.task.contract import Prediction

    return [Prediction("no such label")] * len(inputs)


def without_words(found: dict[str, Any]) -> None:
    for part in (found, *found["out_of_domain"].values()):
        del part["baselines"]["tfidf_logistic_regression"]
    del found["baseline_titles"]["tfidf_logistic_regression"]


def without_baselines(found: dict[str, Any]) -> None:
    for part in (found, *found["out_of_domain"].values()):
        part["baselines"], part["comparison"] = {}, None
    found["baseline_titles"] = {}


def without_best(found: dict[str, Any]) -> None:
    """Nothing is missing from the results: the copy for the demo is."""


def without(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda found: found.update({key: value})


def without_typos(found: dict[str, Any]) -> None:
    found["robustness"] = []


# What is broken, what it is called, and what is then missing from the results.
PARTS: dict[str, tuple[Callable[[Patch], None], str, Callable[[dict[str, Any]], None]]] = {
    "a baseline that cannot be fitted": (
        lambda patch: patch.setattr(TextClassification, "make_vectors", fails),
        "the baseline tfidf_logistic_regression",
        without_words,
    ),
    "all baselines": (
        lambda patch: patch.setattr(TextClassification, "baselines", fails),
        "the baselines",
        without_baselines,
    ),
    "slices": (
        lambda patch: patch.setattr(TextClassification, "slices", fails),
        "the slices",
        without("slices", []),
    ),
    "slices of the wrong length": (
        lambda patch: patch.setattr(TextClassification, "slices", lambda *_: {"odd": ["a"]}),
        "the slices",
        without("slices", []),
    ),
    "perturbations": (
        lambda patch: patch.setattr(TextClassification, "perturb", fails),
        "the perturbations",
        without_typos,
    ),
    "a perturbation that the model cannot read": (
        lambda patch: patch.setattr(TextClassification, "perturb", lambda *_: {"holes": [None]}),
        "the perturbation holes",
        without_typos,
    ),
    "sections": (
        lambda patch: patch.setattr(Classification, "sections", fails),
        "the sections of this kind of task",
        without("sections", {}),
    ),
    "timing": (
        lambda patch: patch.setattr(measure, "_milliseconds", fails),
        "the time of single questions",
        without("inference", {"p50_ms": None, "p95_ms": None, "calm": None}),
    ),
    "the best baseline cannot be saved": (
        lambda patch: (
            [patch.setattr(one, "save", fails) for one in (baselines.Regression, baselines.Majority)] and None
        ),
        "the best baseline's copy for the demo",
        without_best,
    ),
    "a library's metric": (
        lambda patch: patch.setattr(classification_modules.Accuracy, "_compute", fails),
        "the second computation of the metrics",
        without_best,
    ),
    "what the report shows of a row": (
        lambda patch: patch.setattr(TextClassification, "keep_input", fails),
        "what the report shows of single rows",
        without_best,
    ),
}


@pytest.fixture
def copy(finished_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(finished_run.folder, tmp_path / "tiny")
    return Run(tmp_path / "tiny")


@pytest.mark.parametrize("name", PARTS)
def test_what_fails_is_left_out_and_said_and_tried_again(
    copy: Run, monkeypatch: Patch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    break_it, what, lack = PARTS[name]
    complete = read_json(copy.results)
    assert complete["failed"] == []
    with monkeypatch.context() as patch:
        break_it(patch)
        measure_alone(copy, patch)
    lacking = read_json(copy.results)
    assert [one["what"] for one in lacking["failed"]] == [what]
    assert "\n" not in lacking["failed"][0]["why"] and lacking["failed"][0]["why"].count("Error") == 1
    assert f"warning: {what} is missing: " in (printed := capsys.readouterr().out), printed
    assert f"`kit evaluate {copy.folder}` tries again." in printed
    lack(complete)
    for found in (complete, lacking):  # with other baselines another one may be the best
        found["compared"] = [part.pop("comparison") is not None for part in (found, *found["out_of_domain"].values())]
    for key in complete.keys() - {"failed", "inference", "baseline_titles", "predictions_sha256"}:
        assert lacking[key] == complete[key], key
    assert lacking["baseline_titles"] == complete["baseline_titles"]
    assert lacking["inference"].keys() == complete["inference"].keys() | {"examples_per_second", "precision"}
    measure_alone(copy, monkeypatch)
    assert read_json(copy.results)["failed"] == []


def measure_alone(run: Run, patch: Patch) -> None:
    """`kit evaluate` without its pages."""
    from common import fine_tune

    patch.setattr(fine_tune, "write_pages", lambda _: None)
    evaluate_again(run.folder)


def test_a_baseline_whose_answers_cannot_be_scored_is_missing_from_every_set(copy: Run, monkeypatch: Patch) -> None:
    monkeypatch.setattr(baselines.Majority, "predict", answers_that_no_model_knows)
    measure_alone(copy, monkeypatch)
    results = read_json(copy.results)
    (failed,) = results["failed"]
    assert failed == {"what": "the baseline majority", "why": "KeyError: 'no such label'"}
    for part in (results, *results["out_of_domain"].values()):
        assert part["baselines"].keys() == {"tfidf_logistic_regression", "frozen_encoder_logistic_regression"}


def test_a_run_that_lacks_something_holds_what_it_claims(copy: Run, monkeypatch: Patch) -> None:
    monkeypatch.setattr(TextClassification, "baselines", fails)
    monkeypatch.setattr(Classification, "sections", fails)
    measure_alone(copy, monkeypatch)
    assert not copy.baseline.exists()
    assert len(read_json(copy.manifest)["failed"]) == 1 and len(read_json(copy.results)["failed"]) == 2
    checks = {check.name: check.differences for check in verify(copy.folder)}
    assert not checks["numbers of results.json"] and not checks["answers of the model and the kept baseline"]
    assert not checks["files by their sha256"]


def test_ctrl_c_and_the_end_of_the_program_are_no_failed_parts() -> None:
    for stop in (KeyboardInterrupt, SystemExit):
        attempts = Attempts()
        with pytest.raises(stop), attempts.part("the slices"):
            raise stop
        assert attempts.failed == []


def test_a_message_is_one_line_of_some_length() -> None:
    attempts = Attempts()
    for error in (UserError("give more rows."), ValueError("x\n" * 1_000), MemoryError(), np.linalg.LinAlgError("odd")):
        with attempts.part("it"):
            raise error
    sentences = [one["why"] for one in attempts.failed]
    assert sentences[0] == "give more rows" and sentences[2:] == ["MemoryError", "LinAlgError: odd"]
    assert len(sentences[1]) == SHOWN and sentences[1].startswith("ValueError: x x") and sentences[1].endswith("...")


def test_complete_results_say_so(finished_run: Run) -> None:
    results = read_json(finished_run.results)
    assert results["failed"] == read_json(finished_run.manifest)["failed"] == []
    assert results_table(results).row_count == 2
