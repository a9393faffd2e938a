"""What the evaluation will need is tried before the training, and said; the training goes on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from common.data.features import encoded
from common.evaluation.rehearsal import rehearse
from common.fine_tune import fine_tune
from common.kinds.classification import Classification
from common.run import Run
from common.system.files import read_json
from common.training.loop import Trainer
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.task import TextClassification
from tests.conftest import sentences, write_csv


def fails(*_: Any, **__: Any) -> Any:
    raise ValueError("empty vocabulary")


@pytest.fixture
def rows(tmp_path: Path) -> str:
    return str(write_csv(tmp_path / "rows.csv", sentences(90)))


def test_a_rehearsal_finds_nothing_where_all_is_well_and_leaves_no_trace(rows: str, tiny_model: Path) -> None:
    task = TextClassification(TextClassificationConfig(train_file=rows))
    data = task.data()
    task.load_processor(tiny_model)
    torch.manual_seed(0)
    model = task.prepare(tiny_model, encoded(task.encode, data.splits["train"]))
    settings = {**task.settings}
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    assert rehearse(task, model, data, tiny_model) == []
    assert task.settings == settings
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


def test_what_would_fail_after_the_training_is_said_before_it_and_again_at_its_end(
    rows: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TextClassification, "make_vectors", fails)
    monkeypatch.setattr(Classification, "sections", fails)
    before_training: list[str] = []
    trainers_run = Trainer.run

    def run(self: Trainer) -> Any:
        before_training.append(capsys.readouterr().out)
        return trainers_run(self)

    monkeypatch.setattr(Trainer, "run", run)
    options = ["--train_file", rows, "--model", str(tiny_model), "--output_dir", str(tmp_path), "--run_name", "tiny"]
    fine_tune("text_classification", [*options, "--max_steps", "2", "--precision", "fp32"])
    for what in ("the baseline tfidf_logistic_regression", "the sections of this kind of task"):
        assert f"warning: {what} will be missing from the report" in before_training[0]
    finished = Run(tmp_path / "text_classification/tiny")
    assert {one["what"] for one in read_json(finished.results)["failed"]} == {
        "the baseline tfidf_logistic_regression",
        "the sections of this kind of task",
    }
    assert "is missing: ValueError: empty vocabulary. `kit evaluate" in capsys.readouterr().out


def test_a_rehearsal_that_fails_as_a_whole_does_not_stop_the_training(
    rows: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TextClassification(TextClassificationConfig(train_file=rows))
    data = task.data()
    task.load_processor(tiny_model)
    model = task.prepare(tiny_model, encoded(task.encode, data.splits["train"]))
    monkeypatch.setattr(Classification, "settle", fails)
    assert rehearse(task, model, data, tiny_model) == [
        {"what": "the evaluation", "why": "ValueError: empty vocabulary"}
    ]
