"""Two and three real processes (gloo) do what one does."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from common import inference
from common.training import checkpoint
from tests.common.tiny import TinyNormed, features, long_rows
from tests.common.training import processes
from tests.common.training.test_loop import CONFIG

# With batches of 8 these are 1, 1, 13 and 13 batches: fewer than processes, and not divisible by them.
SIZES = (1, 2, 97, 100)
OPTIONS = ("--micro", "8", "--windowed", "150", "--test", *map(str, SIZES))


@pytest.fixture(scope="module", params=["classifier", "language", "frozen"])
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("one") / "run"
    done = processes.start(folder, "--kind", request.param, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return request.param, folder


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_same_losses_and_metrics_with_dropout_on(tmp_path: Path, one: tuple[str, Path], world: int) -> None:
    kind, alone = one
    folder = tmp_path / "run"
    done = processes.start(folder, "--kind", kind, *OPTIONS, processes=world)
    assert done.returncode == 0, done.stderr
    mine, theirs = processes.metrics(alone), processes.metrics(folder)
    assert len(mine) == len(theirs) == 6 + 3, "6 steps and 3 evaluations"
    for line, other in zip(mine, theirs, strict=True):
        assert line.keys() == other.keys()
        for key in line:
            assert line[key] == pytest.approx(other[key], rel=2e-4, abs=2e-5), (line, other)

    expected, found = (json.loads((path / "predictions.json").read_text()) for path in (alone, folder))
    assert set(expected) == set(found) == set(map(str, SIZES))
    for size in map(str, SIZES):
        ids = [row_id for row_id, _ in found[size]["values"]]
        assert ids == [row_id for row_id, _ in expected[size]["values"]] == [f"train:{n + 1}" for n in range(int(size))]
        assert found[size]["loss"] == pytest.approx(expected[size]["loss"], rel=1e-3)
        assert found[size]["scores"] == pytest.approx(expected[size]["scores"], rel=1e-3)
        for (_, value), (_, other) in zip(found[size]["values"], expected[size]["values"], strict=True):
            assert value == pytest.approx(other, abs=2e-3)

    windows = json.loads((alone / "windowed-0.json").read_text())
    assert [answer["details"]["tokens"] for answer in windows] == long_rows(150)["tokens"][:]
    for rank in range(world):
        answers = json.loads((folder / f"windowed-{rank}.json").read_text())
        assert [answer["details"] for answer in answers] == [answer["details"] for answer in windows]


@pytest.mark.slow
def test_a_resume_goes_on_with_another_number_of_processes(tmp_path: Path, one: tuple[str, Path]) -> None:
    kind, alone = one
    folder = tmp_path / "run"
    options = ("--kind", kind, "--micro", "8")
    assert processes.start(folder, *options, "--signal_at_loss", "6").returncode == 143
    done = processes.start(folder, *options, processes=2)
    assert done.returncode == 0, done.stderr
    losses = [line["loss"] for line in processes.metrics(folder) if "loss" in line]
    assert losses == pytest.approx([line["loss"] for line in processes.metrics(alone) if "loss" in line], rel=2e-4)


@pytest.mark.slow
def test_every_process_evaluates_with_the_statistics_that_the_checkpoint_holds(tmp_path: Path) -> None:
    """BatchNorm from a random start sees other micro-batches in each process; 140 rows are three batches."""
    options = ("--kind", "normed", "--random_start", "--micro", "8", "--validation", "140", "--dropout", "0")
    done = processes.start(tmp_path, *options, processes=2)
    assert done.returncode == 0, done.stderr
    logged = {
        line["step"]: line["validation_loss"] for line in processes.metrics(tmp_path) if "validation_loss" in line
    }
    task = TinyNormed(dataclasses.replace(CONFIG, label_smoothing=0.05), 0.0)
    model = task.model()
    checkpoint.load_weights(tmp_path / "checkpoints/step-000006", model, checkpoint.trainable(model))
    assert not torch.equal(model.head[0].running_mean, torch.zeros(16)), "statistics were learned"
    found = inference.run(task, model, features(140, seed=1), torch.device("cpu"), with_loss=True)
    assert found.loss == pytest.approx(logged[6], abs=1e-6)
