"""Peak anonymous memory of a training on 10,000 rows and on 1,000,000.

    python -m tests.benchmarks.memory [--write]

The rows are made up and written as CSV; train.py runs as a user would start it, for a few steps, while its
RssAnon is read twenty times a second. Reading, checking, tokenising and starting the head are inside.
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

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "projects/text_classification/results/memory.json"
SIZES = (10_000, 1_000_000)
STEPS, LABELS, WORDS = 30, 5, 3_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    runs = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, rows, seed in (("validation", 500, 1), ("test", 500, 2)):
            write_rows(folder / f"{name}.csv", rows, seed)
        for rows in SIZES:
            write_rows(folder / f"train-{rows}.csv", rows, 0)
            runs[rows] = train(folder, rows)
            print(
                f"{rows:>9,} rows: peak {runs[rows]['peak_anonymous_bytes'] / 2**20:,.0f} MiB,"
                f" {runs[rows]['seconds']:.0f} s in all",
                flush=True,
            )
    ratio = runs[SIZES[1]]["peak_anonymous_bytes"] / runs[SIZES[0]]["peak_anonymous_bytes"]
    print(f"ratio {ratio:.3f}")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"runs": runs, "ratio": ratio, "steps": STEPS}, indent=1) + "\n")


def write_rows(path: Path, rows: int, seed: int) -> None:
    """Sentences of 8 to 16 made-up words; one in three words tells the label."""
    choose = random.Random(seed)
    words = [
        f"{a}{b}{c}"
        for a in ("ka", "lo", "mi", "ter", "so", "ran")
        for b in ("ba", "de", "fi", "go", "hu")
        for c in range(WORDS // 30)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(rows):
            label = choose.randrange(LABELS)
            told = [f"topic{label}x{choose.randrange(40)}" for _ in range(4)]
            writer.writerow([" ".join([*told, *choose.choices(words, k=choose.randint(6, 12))]), f"label {label}"])


def train(folder: Path, rows: int) -> dict[str, float]:
    """Run train.py and watch its memory."""
    options = [f"--{name}_file={folder / name}.csv" for name in ("validation", "test")]
    options += [
        f"--train_file={folder}/train-{rows}.csv",
        f"--max_steps={STEPS}",
        f"--output_dir={folder}/runs",
        f"--run_name={rows}",
    ]
    environment = {**os.environ, "KIT_CACHE": os.environ.get("KIT_CACHE", "")}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "projects/text_classification/train.py"), *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, anonymous(process.pid))
        time.sleep(0.05)
    if process.returncode:
        assert process.stderr
        raise SystemExit(process.stderr.read().decode())
    return {"peak_anonymous_bytes": peak, "seconds": time.perf_counter() - started}


def anonymous(pid: int) -> int:
    """RssAnon of a process in bytes; 0 once it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    main()
