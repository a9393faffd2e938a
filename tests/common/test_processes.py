"""Two and three real processes (gloo) do what one does."""

import json
from pathlib import Path

import pytest

from common.batching import evaluation_batches
from tests.common import processes


@pytest.fixture(scope="module", params=["classifier", "language"])
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("one") / "run"
    done = processes.start(folder, "--kind", request.param, "--micro", "8", "--test", "97")
    assert done.returncode == 0, done.stderr
    return request.param, folder


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_same_losses_with_dropout_on(tmp_path: Path, one: tuple[str, Path], world: int) -> None:
    kind, alone = one
    folder = tmp_path / "run"
    done = processes.start(folder, "--kind", kind, "--micro", "8", "--test", "97", processes=world)
    assert done.returncode == 0, done.stderr
    mine, theirs = processes.metrics(alone), processes.metrics(folder)
    assert len(mine) == len(theirs) == 6 + 3
    for one_line, other in zip(mine, theirs, strict=True):
        assert one_line.keys() == other.keys()
        for key in one_line:
            assert one_line[key] == pytest.approx(other[key], rel=2e-4, abs=2e-5), (one_line, other)
    a, b = (json.loads((path / "predictions.json").read_text()) for path in (alone, folder))
    assert a["values"].keys() == b["values"].keys() and len(a["values"]) == 97
    assert a["scores"] == pytest.approx(b["scores"], rel=1e-3)
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("examples", [1, 2, 97, 100])
@pytest.mark.parametrize("world", [2, 3])
def test_every_test_example_is_counted_once(tmp_path: Path, world: int, examples: int) -> None:
    """Also where there are fewer batches than processes."""
    size = ("--examples", "20", "--epochs", "1", "--test", str(examples))
    for folder, count in ((tmp_path / "one", 1), (tmp_path / "several", world)):
        done = processes.start(folder, *size, processes=count)
        assert done.returncode == 0, done.stderr
    a, b = (json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("one", "several"))
    assert list(a["values"]) == list(b["values"]) == [f"train:{n + 1}" for n in range(examples)]
    assert a["scores"] == pytest.approx(b["scores"], rel=1e-4)
    for key, value in a["values"].items():
        assert value == pytest.approx(b["values"][key], abs=1e-3)
    assert (len(evaluation_batches_of(examples)) < world) == (examples < 8 * (world - 1) + 1)


def evaluation_batches_of(examples: int) -> list[object]:
    import numpy as np

    return list(evaluation_batches(np.ones(examples, dtype=np.int64), 8))


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
