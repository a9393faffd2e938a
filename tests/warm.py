"""Python commands in processes of their own that need not import PyTorch and its like first.

A process waits that has imported what takes seconds, and nothing of this repository. Every command is a fork of it with
a folder, an environment, arguments and streams of its own, and ends as an interpreter does: with a status, a traceback,
or by a signal. Only the disk is not waited for. What is measured in seconds, or must not have imported something, needs
`subprocess`.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Gradio is none of them, but what it needs: `apps` sets variables that it reads as it is imported.
LIBRARIES = (
    "accelerate",
    "datasets",
    "fastapi",
    "gradio_client",
    "matplotlib.figure",
    "pandas",
    "peft",
    "scipy.stats",
    "sklearn.linear_model",
    "torch",
    "transformers.models.auto.modeling_auto",
    "uvicorn",
)


class Command:
    """A command that was started."""

    def __init__(self, said: int):
        self._said = said
        self.pid, self.returncode = self._next(), None

    def wait(self, timeout: float) -> int:
        """Its exit status, or minus the signal that ended it.  Kills it after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._said], [], [], timeout)[0]:
                os.kill(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired("python", timeout)
            self.returncode = self._next()
            os.close(self._said)
        return self.returncode

    def end(self) -> None:
        """SIGTERM, if it has not ended, and its end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self.wait(30)

    def _next(self) -> int:
        return struct.unpack("i", os.read(self._said, 4))[0]


class Warm:
    """The process that waits, in the environment that its libraries read as they are imported."""

    def __init__(self, environment: Mapping[str, str]):
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            own = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
            command = [sys.executable, str(Path(__file__).resolve()), str(theirs.fileno())]
            self._process = subprocess.Popen(command, env=own, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def start(
        self, words: tuple[str, ...], cwd: Path | None, env: Mapping[str, str] | None, stdout: int, stderr: int
    ) -> Command:
        """`python WORDS` with these files as its streams."""
        order = {"words": words, "cwd": str(cwd or Path.cwd()), "environment": dict(os.environ if env is None else env)}
        said, saying = os.pipe()
        socket.send_fds(self._orders, [json.dumps(order).encode()], [stdout, stderr, saying])
        os.close(saying)
        return Command(said)

    def run(
        self, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """`python WORDS`, as `subprocess.run` gives it."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = self.start(words, cwd, env, out.fileno(), err.fileno()).wait(timeout)
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(words, status, out.read().decode(), err.read().decode())

    def close(self) -> None:
        """Let it go."""
        self._orders.close()
        self._process.wait(30)


@functools.cache
def warm() -> Warm:
    """The one of this session."""
    waiting = Warm(os.environ)
    atexit.register(waiting.close)
    return waiting


def python(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """`python WORDS`, done; see `Warm.run`."""
    return warm().run(*words, **options)


# What follows happens in the process that waits.


def wait_for_orders(orders: socket.socket) -> None:
    """Fork for each order, until whoever gives them is gone."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    os.fsync = lambda file: None
    while True:
        order, files, _, _ = socket.recv_fds(orders, 1 << 20, 3)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that are done
                pass
        if not order:
            return
        if os.fork() == 0:
            orders.close()
            carry_out(json.loads(order), *files)
            return
        for file in files:
            os.close(file)


def carry_out(order: dict[str, Any], stdout: int, stderr: int, said: int) -> None:
    """Run the command in a process, and say its number and its end."""
    if process := os.fork():
        os.close(stdout)
        os.close(stderr)
        os.write(said, struct.pack("i", process))
        os.write(said, struct.pack("i", os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])))
        os._exit(0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for file in (stdout, stderr, said):
        os.close(file)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    # New ones: whether a stream can be sought is asked when it is opened, and these may be files or pipes.
    buffering = 1 if "PYTHONUNBUFFERED" in os.environ else -1
    sys.stdout = open(1, "w", buffering, sys.stdout.encoding, sys.stdout.errors, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, sys.stderr.encoding, sys.stderr.errors, closefd=False)  # noqa: SIM115
    sys.path[:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    run_as_main(*order["words"])


def run_as_main(first: str, *rest: str) -> None:
    """What `python FIRST REST` does."""
    if first == "-m":
        sys.argv = list(rest)
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv = [first, *rest]
        sys.path.insert(0, str(Path(first).resolve().parent))
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    wait_for_orders(socket.socket(fileno=int(sys.argv[1])))
