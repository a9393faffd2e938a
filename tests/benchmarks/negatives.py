"""What a larger batch of negatives costs in memory: some steps of the search starter, each size in its own process.

python -m tests.benchmarks.negatives [--sizes 128 1024] [--write]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common.data.splits import Data
from common.system.files import read_json, write_json
from tests.benchmarks.training import trained

PROJECT = "semantic_search"
REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / f"projects/{PROJECT}/results/negatives.json"
CONFIG = REPOSITORY / f"projects/{PROJECT}/starter.yaml"
MICRO, TRAINED = 128, 2  # examples whose activations are kept at most, and steps


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 1024], help="examples in one step")
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    parser.add_argument("--one", action="store_true", help="measure the only size in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.sizes[0])))
        return
    sizes = {}
    for size in options.sizes:
        command = [sys.executable, "-m", "tests.benchmarks.negatives", "--sizes", str(size), "--one"]
        done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
        sizes[str(size)] = json.loads(done.stdout.splitlines()[-1])
    found = {"micro_batch_size": MICRO, "steps": TRAINED, "sizes": sizes}
    print(json.dumps(found, indent=1))
    if options.write:
        write_json(RESULTS, found)


def measure(size: int) -> dict[str, Any]:
    """The peak memory of this process after some steps, and the seconds of one."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--config", str(CONFIG), "--output_dir", folder, "--max_steps", str(TRAINED), "--log_every", "1"]
        arguments += ["--global_batch_size", str(size), "--micro_batch_size", str(MICRO)]
        _, run, _ = trained(PROJECT, arguments, without_validation)
        training = read_json(run.manifest)["training"]
    return {
        "peak_memory_bytes": training["peak_memory_bytes"],
        "seconds_a_step": training["seconds"] / training["steps"],
        "device": training["device"],
        "precision": training["precision"],
    }


def without_validation(data: Data) -> Data:
    """A few validation rows: what they take in memory is not what is measured."""
    data.splits["validation"] = data.splits["validation"].select(range(8))
    return data


if __name__ == "__main__":
    main()
