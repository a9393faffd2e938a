"""Kill a training at random moments and resume it: the weights must end the same to the bit.

    python -m tests.benchmarks.resume_kills [--write] [--kills 20]

train.py runs on the starter model and a part of banking77 (KIT_ASSETS) as a user would start it.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common.system.files import sha256

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "projects/text_classification/results/resume_kills.json"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    choose = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        begin, end = watch_steps(folder, "unbroken")
        whole = weights(folder, "unbroken")
        print(f"unbroken: steps from {begin:.1f} s to {end:.1f} s", flush=True)
        identical, killed_at = 0, []
        for number in range(options.kills):
            name = f"kill-{number}"
            process = start(folder, name)
            wait_for_first_checkpoint(folder, name, process)
            delay = choose.uniform(0, end - begin)
            time.sleep(delay)
            process.kill()
            killed = process.wait() < 0
            step = max((int(p.name[5:]) for p in (run_folder(folder, name) / "checkpoints").glob("step-*")), default=-1)
            if start(folder, name).wait():
                raise SystemExit(f"{name} could not be resumed")
            same = weights(folder, name) == whole
            identical += same
            killed_at.append({"seconds": delay, "killed": killed, "newest_checkpoint": step, "identical": same})
            print(
                f"kill {number + 1}: after {delay:.1f} s, newest checkpoint {step}: "
                f"{'identical' if same else 'DIFFERENT'}",
                flush=True,
            )
    happened = sum(entry["killed"] for entry in killed_at)
    print(f"{happened} kills, {identical} bit-identical ends")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(
            json.dumps({"kills": happened, "identical": identical, "killed_at": killed_at}, indent=1) + "\n"
        )
    if identical < options.kills:
        raise SystemExit(1)


def prepare(folder: Path) -> None:
    """160 training rows of ten labels, and 20 each to validate and test."""
    with (Path(os.environ["KIT_ASSETS"]) / "data/banking77/train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["category"] for row in rows})[:10]
    rows = [row for row in rows if row["category"] in labels]
    random.Random(0).shuffle(rows)
    for name, part in (("train", rows[:160]), ("validation", rows[160:180]), ("test", rows[180:200])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "category"])
            writer.writeheader()
            writer.writerows(part)


def run_folder(folder: Path, name: str) -> Path:
    return folder / "runs/text_classification" / name


def start(folder: Path, name: str) -> "subprocess.Popen[bytes]":
    options = [f"--{split}_file={folder / split}.csv" for split in ("train", "validation", "test")]
    options += [
        "--label_column=category",
        "--epochs=2",
        "--micro_batch_size=8",
        "--checkpoint_every=2",
        f"--output_dir={folder}/runs",
        f"--run_name={name}",
    ]
    script = str(REPOSITORY / "projects/text_classification/train.py")
    return subprocess.Popen([sys.executable, script, *options], stdout=subprocess.DEVNULL)


def wait_for_first_checkpoint(folder: Path, name: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None and not list((run_folder(folder, name) / "checkpoints").glob("*step-*")):
        time.sleep(0.02)


def watch_steps(folder: Path, name: str) -> tuple[float, float]:
    """Seconds from the start to the first checkpoint and to the finished model."""
    started = time.perf_counter()
    process = start(folder, name)
    wait_for_first_checkpoint(folder, name, process)
    begin = time.perf_counter() - started
    while process.poll() is None and not (run_folder(folder, name) / "model").exists():
        time.sleep(0.02)
    end = time.perf_counter() - started
    if process.wait():
        raise SystemExit("the unbroken run failed")
    return begin, end


def weights(folder: Path, name: str) -> str:
    return sha256(run_folder(folder, name) / "model/model.safetensors")


if __name__ == "__main__":
    main()
