"""What a training asks before it begins, on which nothing is left behind."""

from pathlib import Path

import pytest
import torch

from common import checkpoint
from common.errors import UserError, exit_with_sentence
from common.fit import check_tracker, fine_tune
from common.run import Run
from projects.text_classification.task import TextClassification, TextClassificationConfig
from tests.conftest import sentences, write_csv


def test_a_tracker_that_is_missing_is_said_before_the_data_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(TextClassification, "data", lambda _: pytest.fail("the data were read"))
    options = ["--train_file", "a.csv", "--tracker", "wandb", "--output_dir", str(tmp_path / "runs")]
    with pytest.raises(UserError, match="--tracker wandb is not installed: `pip install"):
        fine_tune(TextClassification, options)
    assert list(tmp_path.iterdir()) == []
    check_tracker(TextClassificationConfig(train_file="a.csv"))


def test_an_output_folder_that_cannot_be_is_said_before_the_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TextClassification, "data", lambda _: pytest.fail("the data were read"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as left:
        exit_with_sentence(lambda: fine_tune(TextClassification, ["--train_file", "a.csv", "--output_dir", str(tmp_path / "file/runs")]))
    assert left.value.code == 2 and "a file stands where a folder is needed" in capsys.readouterr().err


def test_a_run_that_another_process_trains_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextClassification, "data", lambda _: pytest.fail("the data were read"))
    options = ["--train_file", "a.csv", "--run_name", "x", "--output_dir", str(tmp_path)]
    with Run(tmp_path / "text_classification/x").alone(), pytest.raises(UserError, match="is being trained by another process"):
        fine_tune(TextClassification, options)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_training_lets_the_run_go(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "good.csv", sentences(60))
    options = ["--model", str(tiny_model), "--train_file", str(tmp_path / "good.csv"), "--output_dir", str(tmp_path / "runs"), "--run_name", "x"]
    options += ["--epochs", "1", "--precision", "fp32"]
    monkeypatch.setattr("common.fit.train_model", lambda *_: (_ for _ in ()).throw(UserError("stopped")))
    with pytest.raises(UserError, match="stopped"):
        fine_tune(TextClassification, options)
    assert not (tmp_path / "runs").exists()
    monkeypatch.undo()
    fine_tune(TextClassification, options)
    assert [path.name for path in (tmp_path / "runs/text_classification").iterdir()] == ["x"]


def test_a_checkpoint_of_another_run_is_refused_before_anything_is_written(tiny_model: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "good.csv", sentences(60))
    model = torch.nn.Linear(2, 2)
    theirs = checkpoint.commit(tmp_path / "theirs", 1, model, torch.optim.AdamW(model.parameters()), {"progress": {}, "identity": {"epochs": 3}})
    options = ["--model", str(tiny_model), "--train_file", str(tmp_path / "good.csv"), "--output_dir", str(tmp_path / "runs"), "--run_name", "x"]
    with pytest.raises(UserError, match="step-000001 belongs to a run with another configuration"):
        fine_tune(TextClassification, [*options, "--epochs", "1", "--precision", "fp32", "--resume", str(theirs)])
    assert not (tmp_path / "runs").exists()
