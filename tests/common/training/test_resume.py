"""A run that is killed anywhere ends with the same bits as one that is not."""

import signal
from pathlib import Path

import pytest

from common.training import checkpoint
from tests.common.training import processes

# 90 examples in micro-batches of 8 are 4 + 4 + 4 forward passes an epoch (32, 32 and 26 examples).
CUT = ("--micro", "8", "--checkpoint_every", "1")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    done = processes.start(folder, *CUT)
    assert done.returncode == 0, done.stderr
    return folder


def assert_same_end(folder: Path, unbroken: Path) -> None:
    assert processes.final(folder) == processes.final(unbroken)
    assert processes.metrics(folder) == processes.metrics(unbroken)


MOMENTS = {"epoch 1, step 1": 2, "epoch 1, mid-accumulation": 6, "epoch 2, mid-accumulation": 18, "last": 24}


@pytest.mark.slow
@pytest.mark.parametrize("at", MOMENTS.values(), ids=MOMENTS)
def test_killed_in_a_step(tmp_path: Path, unbroken: Path, at: int) -> None:
    killed = processes.start(tmp_path / "run", *CUT, "--kill_at_loss", str(at))
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "run" / "final.json").exists()
    resumed = processes.start(tmp_path / "run", *CUT)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from" in resumed.stdout
    assert_same_end(tmp_path / "run", unbroken)


@pytest.mark.slow
def test_killed_at_each_point_of_a_checkpoints_writing(tmp_path: Path, unbroken: Path) -> None:
    """One run, started again after each kill, and killed at a later file operation each time."""
    operations, newest_step = 0, -1
    for at in range(1, 200):
        folder = tmp_path / "probe"
        killed = processes.start(folder, *CUT, "--kill_at_write", str(at * 3))
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        operations += 1
        found, refused = checkpoint.newest(folder / "checkpoints")
        assert refused == [], "a kill must not leave a damaged checkpoint"
        step = int(found.name.removeprefix("step-")) if found else -1
        assert step >= newest_step, "a kill must not lose a checkpoint that stood"
        newest_step = step
    assert operations >= 6
    assert_same_end(tmp_path / "probe", unbroken)


@pytest.mark.slow
def test_a_flipped_bit_in_the_newest_checkpoint_uses_the_one_before(tmp_path: Path, unbroken: Path) -> None:
    folder = tmp_path / "run"
    processes.start(folder, *CUT, "--kill_at_loss", "18")
    newest, _ = checkpoint.newest(folder / "checkpoints")
    assert newest
    weights = bytearray((newest / "model.safetensors").read_bytes())
    weights[-5] ^= 4
    (newest / "model.safetensors").write_bytes(weights)
    resumed = processes.start(folder, *CUT)
    assert resumed.returncode == 0, resumed.stderr
    assert "is damaged (model.safetensors)" in resumed.stdout and "next older checkpoint is used" in resumed.stdout
    assert_same_end(folder, unbroken)


@pytest.mark.slow
def test_sigterm_commits_and_says_how_to_go_on(tmp_path: Path, unbroken: Path) -> None:
    folder = tmp_path / "run"
    stopped = processes.start(folder, "--micro", "8", "--checkpoint_every", "0", "--signal_at_loss", "6")
    assert stopped.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM after step 2 of 6" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert (folder / "checkpoints" / "step-000002").is_dir()
    resumed = processes.start(folder, "--micro", "8", "--checkpoint_every", "0")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_end(folder, unbroken)


@pytest.fixture(scope="module")
def unbroken_stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken-stages") / "run"
    done = processes.start(folder, *CUT, "--freeze_epochs", "1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("at", "step"), [(6, 1), (13, 3), (18, 4)], ids=["head alone", "between", "everything"])
def test_killed_in_either_stage_and_between_them(
    tmp_path: Path, unbroken_stages: Path, unbroken: Path, at: int, step: int
) -> None:
    options = (*CUT, "--freeze_epochs", "1")
    killed = processes.start(tmp_path / "run", *options, "--kill_at_loss", str(at))
    assert killed.returncode == -signal.SIGKILL
    newest, _ = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert newest and newest.name == f"step-{step:06d}"
    resumed = processes.start(tmp_path / "run", *options, "--data_workers", "3")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_end(tmp_path / "run", unbroken_stages)
    assert processes.final(unbroken_stages)["weights"] != processes.final(unbroken)["weights"], (
        "freezing changes something"
    )
