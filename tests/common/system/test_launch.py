"""Several processes stop as one does: a signal reaches the workers, and they are waited for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY

# A shell starts what it puts into the background with Ctrl-C ignored, and what a test starts inherits that.
DRIVER = """
import signal, sys
from pathlib import Path
from common.system.errors import exit_with_sentence
from common.system.launch import launch

signal.signal(signal.SIGINT, signal.default_int_handler)

def main():
    raise SystemExit(launch(Path(sys.argv[1]), 2, sys.argv[2:]))

exit_with_sentence(main)
"""
# Like the loop: the first signal is noted and a checkpoint takes its time; a second one stops at once.
WORKER = """
import os, signal, sys, time
from pathlib import Path

folder, rank = Path(sys.argv[1]), os.environ["RANK"]
received = []

def note(number, _):
    if received:
        os._exit(128 + number)
    received.append(number)

for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, note)
(folder / f"{rank}-started").touch()
started = time.monotonic()
while not received and time.monotonic() - started < 60:
    time.sleep(0.05)
written = time.monotonic() + 3
while time.monotonic() < written:
    time.sleep(0.05)
(folder / f"{rank}-saved-{received[0]}").touch()
sys.exit(128 + received[0])
"""


def wait_for(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*-started"))) < count:
        assert time.monotonic() < deadline, "the workers did not start"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "to"),
    [(signal.SIGTERM, "kit"), (signal.SIGINT, "group"), (signal.SIGTERM, "both")],
    ids=["kill", "Ctrl-C", "timeout"],
)
def test_workers_commit_before_kit_leaves(tmp_path: Path, number: signal.Signals, to: str) -> None:
    """`kill` signals kit alone, the terminal its group, and `timeout` first the one and then the other."""
    (tmp_path / "worker.py").write_text(WORKER)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "worker.py"), str(tmp_path)]
    errors = tmp_path / "errors.txt"
    with errors.open("w") as file:
        kit = subprocess.Popen(command, env=environment, process_group=0, stderr=file)
    try:
        wait_for(tmp_path, 2)
        if to in ("kit", "both"):
            os.kill(kit.pid, number)
        if to == "both":
            time.sleep(0.5)
        if to in ("group", "both"):
            os.killpg(kit.pid, number)
        kit.wait(timeout=90)
    finally:
        kit.kill()
    said = errors.read_text()
    assert sorted(path.name for path in tmp_path.glob("*-saved-*")) == [
        f"{rank}-saved-{int(number)}" for rank in (0, 1)
    ], said
    assert kit.returncode == 128 + number
    assert "stopped by Ctrl-C" not in said, "kit itself has nothing to say"


@pytest.mark.slow
def test_a_second_ctrl_c_ends_all_processes_at_once(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER.replace("monotonic() + 3", "monotonic() + 300"))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "worker.py"), str(tmp_path)]
    kit = subprocess.Popen(command, env=environment, process_group=0, stderr=subprocess.DEVNULL)
    try:
        wait_for(tmp_path, 2)
        started = psutil.Process(kit.pid).children(recursive=True)
        os.killpg(kit.pid, signal.SIGINT)
        time.sleep(1.5)
        assert kit.poll() is None, "after the first it waits for the checkpoint"
        os.killpg(kit.pid, signal.SIGINT)
        assert kit.wait(timeout=20) == 130
    finally:
        kit.kill()
    assert len(started) >= 3, "the launcher and two workers"
    assert psutil.wait_procs(started, timeout=10)[1] == []
    assert list(tmp_path.glob("*-saved-*")) == []


def test_the_workers_status_is_returned(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("import os, sys\nsys.exit(2 * (os.environ['RANK'] == '1'))\n")
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "worker.py")]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
