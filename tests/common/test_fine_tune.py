"""What a training asks before it begins, on which nothing is left behind; and when features are made anew."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from common import fine_tune as story
from common.config import parse
from common.data.findings import Finding
from common.data.splits import Data
from common.fine_tune import check_tracker, encode_split, fine_tune, named, say_findings
from common.models.pretrained import Pretrained
from common.predictor import Predictor
from common.run import Run
from common.system import hardware
from common.system.errors import UserError, exit_with_sentence
from common.system.files import cache_folder, read_json
from common.system.source import used_modules
from common.training import checkpoint
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.task import TextClassification
from projects.text_generation.config import TextGenerationConfig
from tests.conftest import sentences, write_csv


def test_a_tracker_that_is_missing_is_said_before_the_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else find_spec(name))
    monkeypatch.setattr(TextClassification, "data", lambda _: pytest.fail("the data were read"))
    options = ["--train_file", "a.csv", "--tracker", "wandb", "--output_dir", str(tmp_path / "runs")]
    with pytest.raises(UserError, match="--tracker wandb is not installed: `pip install"):
        fine_tune("text_classification", options)
    assert list(tmp_path.iterdir()) == []
    check_tracker(TextClassificationConfig(train_file="a.csv"))


def test_an_output_folder_that_cannot_be_is_said_before_the_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TextClassification, "data", lambda _: pytest.fail("the data were read"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as left:
        exit_with_sentence(
            lambda: fine_tune(
                "text_classification", ["--train_file", "a.csv", "--output_dir", str(tmp_path / "file/runs")]
            )
        )
    assert left.value.code == 2 and "a file stands where a folder is needed" in capsys.readouterr().err


def test_a_run_that_another_process_trains_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextClassification, "data", lambda _: pytest.fail("the data were read"))
    options = ["--train_file", "a.csv", "--run_name", "x", "--output_dir", str(tmp_path)]
    with (
        Run(tmp_path / "text_classification/x").alone(),
        pytest.raises(UserError, match="is being trained by another process"),
    ):
        fine_tune("text_classification", options)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_training_lets_the_run_go(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "good.csv", sentences(60))
    options = [
        "--model",
        str(tiny_model),
        "--train_file",
        str(tmp_path / "good.csv"),
        "--output_dir",
        str(tmp_path / "runs"),
        "--run_name",
        "x",
    ]
    options += ["--epochs", "1", "--precision", "fp32"]
    monkeypatch.setattr(
        "common.fine_tune.Training.run_and_save", lambda *_: (_ for _ in ()).throw(UserError("stopped"))
    )
    with pytest.raises(UserError, match="stopped"):
        fine_tune("text_classification", options)
    assert not (tmp_path / "runs").exists()
    monkeypatch.undo()
    fine_tune("text_classification", options)
    assert [path.name for path in (tmp_path / "runs/text_classification").iterdir()] == ["x"]


def test_a_checkpoint_of_another_run_is_refused_before_anything_is_written(tiny_model: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "good.csv", sentences(60))
    model = torch.nn.Linear(2, 2)
    tensors = checkpoint.tensors_of(model, torch.optim.AdamW(model.parameters()), checkpoint.trainable(model))
    theirs = checkpoint.commit(tmp_path / "theirs", 1, tensors, {"progress": {}, "identity": {"epochs": 3}})
    options = [
        "--model",
        str(tiny_model),
        "--train_file",
        str(tmp_path / "good.csv"),
        "--output_dir",
        str(tmp_path / "runs"),
        "--run_name",
        "x",
    ]
    with pytest.raises(UserError, match="step-000001 belongs to a run with another configuration"):
        fine_tune("text_classification", [*options, "--epochs", "1", "--precision", "fp32", "--resume", str(theirs)])
    assert not (tmp_path / "runs").exists()


def options_on(file: Path, model: Path, folder: Path) -> list[str]:
    options = ["--model", str(model), "--train_file", str(file), "--output_dir", str(folder / "runs")]
    return [*options, "--epochs", "1", "--precision", "fp32"]


def test_a_finished_run_whose_rows_have_changed_is_not_shown(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what they hold: a file that is only written again is the same one."""
    rows, others = sentences(60), sentences(30, seed=3)
    file = write_csv(tmp_path / "cafe.csv", rows)
    options = [*options_on(file, tiny_model, tmp_path), "--test_file", str(write_csv(tmp_path / "test.csv", others))]
    fine_tune("text_classification", options)
    run = Run(tmp_path / "runs/text_classification/cafe")
    before = run.results.read_bytes()
    write_csv(file, rows)
    capsys.readouterr()
    fine_tune("text_classification", options)
    assert "is finished: these are its results" in capsys.readouterr().out

    write_csv(tmp_path / "test.csv", sentences(30, seed=4))
    with pytest.raises(
        UserError, match=r"rows have changed since \(test\): `kit evaluate .*` measures its model on them"
    ):
        fine_tune("text_classification", options)
    write_csv(file, [*rows[:-1], {**rows[-1], "text": "the corrected text is here"}])
    with pytest.raises(UserError, match=r"have changed since \(train and test\): another --run_name trains on them"):
        fine_tune("text_classification", options)
    assert run.results.read_bytes() == before

    file.unlink()
    capsys.readouterr()
    fine_tune("text_classification", options)
    shown = capsys.readouterr().out
    assert "cannot be read any more, so nobody knows whether they have changed (there is no file" in " ".join(
        shown.split()
    )
    assert "is finished: these are its results" in shown


def test_a_machine_without_bf16_trains_in_fp32_and_answers_with_what_another_trained(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_csv(tmp_path / "cafe.csv", sentences(120))
    options = options_on(file, tiny_model, tmp_path)[:-2]  # the precision is chosen
    texts = [row["text"] for row in sentences(40, seed=7)]
    answers = {}
    for has_bf16, name in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(hardware, "cpu_has_bf16", lambda has_bf16=has_bf16: has_bf16)
        AcceleratorState._reset_state(reset_partial_state=True)  # of a process has one precision
        fine_tune("text_classification", [*options, "--run_name", name])
        training = read_json(Run(tmp_path / "runs/text_classification" / name).manifest)["training"]
        predictor = Predictor.load(tmp_path / "runs/text_classification/bf16")
        assert training["precision"] == predictor.precision == name
        answers[name] = [answer.details["logits"] for answer in predictor.predict(texts)]
    np.testing.assert_allclose(answers["fp32"], answers["bf16"], atol=0.15)


def test_a_run_is_named_after_its_rows_and_another_configuration_gets_the_next_name(tmp_path: Path) -> None:
    def name(*options: str) -> str | None:
        given = ["--train_file", "my/cafe.csv", "--output_dir", str(tmp_path), *options]
        return named(parse(TextClassificationConfig, given), "text_classification").run_name

    def begin(*options: str) -> None:
        given = ["--train_file", "my/cafe.csv", "--output_dir", str(tmp_path), *options]
        config = named(parse(TextClassificationConfig, given), "text_classification")
        Run.of(config, "text_classification").open(config)

    assert name() == "cafe"
    begin()
    assert (name(), name("--epochs", "2"), name("--resume", "never")) == ("cafe", "cafe-2", "cafe-2")
    begin("--epochs", "2")
    assert (name(), name("--epochs", "2"), name("--epochs", "3")) == ("cafe", "cafe-2", "cafe-3")
    assert name("--epochs", "2", "--log_every", "1") == "cafe-2", "what does not decide the weights"
    assert name("--run_name", "mine", "--epochs", "2") == "mine"
    (tmp_path / "text_classification/cafe-3").mkdir()
    (tmp_path / "text_classification/cafe-3/notes.txt").touch()
    assert name("--epochs", "3") == "cafe-4", "a folder with other files"


def test_many_warnings_are_one_line(
    capsys: pytest.CaptureFixture[str], ready: tuple[TextClassification, Data, Pretrained]
) -> None:
    data = ready[1]
    one = Finding("warning", "a.csv", [], "texts that occurred before", "keep one of each")
    say_findings(replace(data, findings=[one]))
    alone = capsys.readouterr().out
    say_findings(replace(data, findings=[one, one, one]))
    folded = capsys.readouterr().out
    assert alone.splitlines()[-1] == f"warning: {one}"
    assert folded.splitlines()[-1] == f"3 warnings about the rows, all of them in the report; the first: {one}"
    assert len(folded.splitlines()) == len(alone.splitlines())


@pytest.fixture
def ready(tiny_model: Path, tmp_path: Path) -> tuple[TextClassification, Data, Pretrained]:
    write_csv(tmp_path / "train.csv", sentences(60))
    task = TextClassification(TextClassificationConfig(train_file=str(tmp_path / "train.csv")))
    data = task.data()
    task.load_processor(tiny_model)
    return task, data, Pretrained(tiny_model, "model", "model")


def cached() -> int:
    return len(list((cache_folder() / "features").glob("*.arrow")))


def test_features_are_named_by_every_module_that_encodes(
    ready: tuple[TextClassification, Data, Pretrained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of common's code is one of the project's code, too."""
    task, data, source = ready
    modules = used_modules(TextClassification.__module__)
    encoding = ("common.kinds.classification", "common.data.features", "common.task.contract")
    assert {*encoding, "projects.text_classification.task"} <= modules.keys()
    assert not any(name.startswith(("apps.", "common.reporting", "common.cli")) for name in modules)
    copies = {}
    for name, file in modules.items():
        copies[name] = tmp_path / f"{name}.py"
        copies[name].write_bytes(file.read_bytes())
    monkeypatch.setattr(story, "used_modules", lambda *_: copies)

    def made_anew() -> bool:
        before = cached()
        encode_split(task, data, "train", source)
        return cached() > before

    assert made_anew() and not made_anew()
    for name in encoding:
        copies[name].write_text(copies[name].read_text() + "\n")
        assert made_anew() and not made_anew(), name


def test_features_are_named_by_what_decides_them(ready: tuple[TextClassification, Data, Pretrained]) -> None:
    task, data, source = ready
    first = encode_split(task, data, "train", source)
    before = cached()
    assert encode_split(task, data, "train", source)[:] == first[:] and cached() == before
    task.settings["labels"] = task.settings["labels"][::-1]
    turned = encode_split(task, data, "train", source)
    assert cached() == before + 1, "a setting that the references are encoded with"
    assert turned["labels"][:] == [2 - label for label in first["labels"]]


def test_weights_may_go_a_part_of_the_way_back_to_the_pretrained_ones(tiny_model: Path, tmp_path: Path) -> None:
    options = options_on(write_csv(tmp_path / "cafe.csv", sentences(120)), tiny_model, tmp_path)
    options += ["--epochs", "8", "--learning_rate", "1e-3"]  # the start is not the best of the checkpoints
    weights = {}
    for share in ("0", "0.25"):
        fine_tune("text_classification", [*options, "--keep_start", share, "--run_name", share])
        weights[share] = load_file(tmp_path / "runs/text_classification" / share / "model/model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    began, ended = load_file(tiny_model / "model.safetensors")[name], weights["0"][name]
    assert not torch.equal(began, ended)
    torch.testing.assert_close(weights["0.25"][name], ended + 0.25 * (began - ended))
    with pytest.raises(UserError, match="--keep_start is for all weights"):
        parse(TextGenerationConfig, ["--train_file", "x.csv", "--keep_start", "0.5"])
