"""Run tests/common/training/worker.py in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]


def start(folder: Path, *options: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """Train in `folder` and wait; the result's return code is -9 after a SIGKILL."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command += [str(Path(__file__).with_name("worker.py")), str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


def final(folder: Path) -> dict[str, Any]:
    """Weights (as hexadecimal bytes), last and best step of a training that came to its end."""
    return json.loads((folder / "final.json").read_text())


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if "second" not in key} for line in lines]
