"""Run tests/common/training/worker.py in processes of its own."""

import json
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.warm import python

REPOSITORY = Path(__file__).resolve().parents[3]


def start(folder: Path, *options: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """Train in `folder` and wait; the result's return code is -9 after a SIGKILL.

    Several processes find each other as those of torchrun do.
    """
    command = (str(Path(__file__).with_name("worker.py")), str(folder), *options)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    if processes == 1:
        return python(*command, env=environment)
    with socket.create_server(("127.0.0.1", 0)) as free:
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    count = str(processes)
    environment |= {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}

    def one(rank: int) -> subprocess.CompletedProcess[str]:
        return python(*command, env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)})

    with ThreadPoolExecutor(processes) as threads:
        done = list(threads.map(one, range(processes)))
    status = next((each.returncode for each in done if each.returncode), 0)
    said = ("".join(each.stdout for each in done), "".join(each.stderr for each in done))
    return subprocess.CompletedProcess(command, status, *said)


def final(folder: Path) -> dict[str, Any]:
    """Weights (as hexadecimal bytes), last and best step of a training that came to its end."""
    return json.loads((folder / "final.json").read_text())


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if "second" not in key} for line in lines]
