"""A command in a fork finds what it would find in an interpreter of its own, and ends as there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm import python

FOUND = """
import os, sys
own = [name for name in sys.modules if name.partition(".")[0] in ("apps", "common", "projects", "tests")]
print(own, sys.argv, sys.path[:2], os.getcwd(), sorted(os.environ), __name__, sys.stdin.read())
"""


def test_it_finds_what_a_new_interpreter_finds(tmp_path: Path) -> None:
    (tmp_path / "found.py").write_text(FOUND)
    given = {"PYTHONPATH": str(tmp_path / "more"), "LC_CTYPE": "C.UTF-8", "PATH": "/usr/bin"}
    for words in (("-c", FOUND, "a b"), ("-m", "found", "a b"), (str(tmp_path / "found.py"), "a b")):
        new = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        forked = python(*words, cwd=tmp_path, env=given)
        assert (forked.stdout, forked.stderr) == (new.stdout, new.stderr) and new.stdout.startswith("[] [")


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import atexit, sys; atexit.register(sys.stderr.write, 'left')", 0, "left"),
    ],
)
def test_it_ends_as_an_interpreter_does(command: str, status: int, said: str) -> None:
    done = python("-c", command)
    assert done.returncode == status and done.stderr.endswith(said)


def test_one_that_does_not_end_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        python("-c", "import time; time.sleep(60)", timeout=0.2)
