"""A run's folder: written whole, and never taken from another run."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.config import Config, save
from common.run import Run, latest
from common.system.errors import UserError
from common.system.files import read_json, write_json
from tests.conftest import REPOSITORY


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_free_folder_a_strangers_and_ones_own(tmp_path: Path) -> None:
    config = Config(train_file="a.csv", run_name="x", output_dir=str(tmp_path))
    run = Run.of(config, "project")
    run.check_free(config)
    run.open(config)
    run.check_free(config)
    run.config.unlink()
    (run.folder / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds files that are no run"):
        run.check_free(config)
    other = Config(train_file="b.csv", run_name="x", output_dir=str(tmp_path))
    save(other, run.config)
    with pytest.raises(UserError, match=r"another configuration \(train_file\)"):
        run.check_free(config)


@pytest.mark.parametrize("change", [{"slice_columns": ["x"]}, {"out_of_domain_files": {"web": "w.csv"}}])
def test_what_is_measured_belongs_to_a_run_too(tmp_path: Path, change: dict[str, object]) -> None:
    same = {"train_file": "a.csv", "run_name": "x", "output_dir": str(tmp_path)}
    run = Run.of(Config(**same), "project")
    run.open(Config(**same))
    before = run.config.read_bytes()
    with pytest.raises(UserError, match=rf"another configuration \({next(iter(change))}\)"):
        run.check_free(Config(**same, **change))
    assert run.config.read_bytes() == before


HOLDER = """
import sys, time
from pathlib import Path
from common.run import Run

with Run(Path(sys.argv[1])).alone():
    print("mine", flush=True)
    time.sleep(60)
"""


def test_a_run_is_trained_by_one_process_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    run, other = Run(tmp_path / "runs/p/x"), Run(tmp_path / "runs/p/y")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.folder)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout and holder.stdout.readline() == "mine\n"
        with (
            pytest.raises(
                UserError, match=r"p/x is being trained by another process: wait for it, or choose another --run_name\."
            ),
            run.alone(),
        ):
            raise AssertionError("it was let in")
        with other.alone():
            assert not run.folder.exists()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with run.alone(), pytest.raises(UserError, match="is being trained"), run.alone():
        raise AssertionError("it was let in")
    with run.alone():
        pass
    with pytest.raises(UserError, match="there is no finished run"):
        latest("p", str(tmp_path / "runs"))
    assert list((tmp_path / "runs/p").iterdir()) == []


def test_a_lock_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    run = Run(tmp_path / "runs/p/x")
    with pytest.raises(UserError, match="bad rows"), run.alone():
        assert [path.name for path in run.folder.parent.iterdir()] == [".x.lock"]
        raise UserError("bad rows")
    assert list(tmp_path.iterdir()) == []
    with run.alone():
        run.folder.mkdir()
    assert list(run.folder.parent.iterdir()) == [run.folder]


def test_a_lock_that_was_removed_since_it_was_opened_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, flock = Run(tmp_path / "x"), fcntl.flock

    def after_the_other_left(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        (tmp_path / ".x.lock").unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", after_the_other_left)
    with run.alone(), pytest.raises(UserError, match="is being trained"), run.alone():
        raise AssertionError("it was let in")


@pytest.mark.filterwarnings("ignore:flock not supported")
@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def no_locks(*_: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with Run(tmp_path / "x").alone():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_needs_no_lock(tmp_path: Path) -> None:
    run = Run(tmp_path / "x")
    run.folder.mkdir()
    run.results.write_text("{}")
    with run.alone(), run.alone():
        assert list(tmp_path.iterdir()) == [run.folder]


def test_the_latest_run_is_the_one_measured_last(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no finished run"):
        latest("p", str(tmp_path))
    for number, name in enumerate(("old", "new")):
        (tmp_path / "p" / name).mkdir(parents=True)
        (tmp_path / "p" / name / "results.json").write_text("{}")
        os.utime(tmp_path / "p" / name / "results.json", (number, number))
    assert latest("p", str(tmp_path)).name == latest(None, str(tmp_path)).name == "new"
