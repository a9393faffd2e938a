"""The loop against transformers.Trainer: same model, data and global batch, wall time of the training alone.

    python -m tests.benchmarks.speed [--write]

Needs KIT_ASSETS (banking77). Each training runs in a process of its own; the loops take turns, so that a
noisy neighbour hits all of them, and medians are compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROWS, BATCH, REPEATS = 2_400, 32, 3
RESULTS = Path(__file__).resolve().parents[2] / "projects/text_classification/results/speed.json"
KIT, BEST, DEFAULT = (
    "the kit",
    "Trainer, best settings (group_by_length, bf16 where the hardware has it)",
    "Trainer, defaults (dynamic padding, fp32)",
)


def main() -> None:
    from common.system.hardware import cpu_has_bf16

    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    parser.add_argument("--one", choices=[KIT, BEST, DEFAULT])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.one:
        print(
            json.dumps(
                {"seconds": (train_kit if options.one == KIT else train_hugging_face)(options.folder, options.one)}
            )
        )
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        head_seconds, device = prepare(folder)
        seconds: dict[str, list[float]] = {KIT: [], BEST: [], DEFAULT: []}
        for _ in range(REPEATS):
            for name in seconds:
                command = [sys.executable, "-m", "tests.benchmarks.speed", "--one", name, "--folder", temporary]
                asked = subprocess.run(command, capture_output=True, text=True, check=False)
                if asked.returncode:
                    raise SystemExit(asked.stderr)
                seconds[name].append(json.loads(asked.stdout.splitlines()[-1])["seconds"])
                print(f"{name:50} {ROWS / seconds[name][-1]:7.1f} examples/s", flush=True)
    rates = {name: [ROWS / value for value in values] for name, values in seconds.items()}
    loops = {
        name: {"examples_per_second": values, "ratio": median(rates[KIT]) / median(values)}
        for name, values in rates.items()
    }
    for name, loop in loops.items():
        print(f"{name:50} median {median(loop['examples_per_second']):7.1f}   the kit is faster by {loop['ratio']:.2f}")
    print(f"starting the head: {head_seconds:.1f} s on top")
    if options.write:
        what = (
            f"One epoch over {ROWS:,} rows of banking77, global batch {BATCH}, on {device}, "
            f"{'with' if cpu_has_bf16() else 'without'} bf16; wall time of the training alone, "
            f"in processes of their own that take turns. Examples per second; the factor compares medians."
        )
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(
            json.dumps({"what": what, "loops": loops, "head_start_seconds": head_seconds}, indent=1) + "\n"
        )


def config(folder: Path) -> Any:
    from projects.text_classification.config import TextClassificationConfig

    return TextClassificationConfig(
        train_file=str(folder / "train.csv"), epochs=1, label_column="category", log_every=50, label_smoothing=0.0
    )


def prepare(folder: Path) -> tuple[float, str]:
    """Write the rows and the model that all loops start from; returns the seconds that starting the head took."""
    import csv
    import random

    import torch
    from datasets import Dataset

    from common.data.features import column
    from common.models.heads import start_head
    from common.models.pretrained import pretrained
    from common.system.files import write_json
    from common.system.hardware import describe
    from common.system.progress import quiet_libraries
    from projects.text_classification.task import TextClassification

    quiet_libraries()
    with (Path(os.environ["KIT_ASSETS"]) / "data/banking77/train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    task = TextClassification(config(folder))
    task.settings["labels"] = sorted({row["category"] for row in rows})
    source = pretrained("starter:minilm-l6").folder
    task.load_processor(source)
    content = {
        "id": [str(n) for n in range(ROWS)],
        "text": [row["text"] for row in rows[:ROWS]],
        "reference": [row["category"] for row in rows[:ROWS]],
    }
    features = Dataset.from_dict({"id": content["id"], "row": list(range(ROWS)), **task.encode(content)})
    features.save_to_disk(str(folder / "features"))
    model = task.prepare(source, features)
    started = time.perf_counter()
    start_head(task, model, features, column(features, "labels"), len(task.labels), seed=0)
    seconds = time.perf_counter() - started
    write_json(folder / "labels.json", task.labels)
    task.save(model, folder / "model")
    return seconds, describe(torch.device("cpu"))["device"]


def train_kit(folder: Path, _: str) -> float:
    from accelerate import Accelerator
    from datasets import load_from_disk

    from common.data.features import Encoded
    from common.models.pretrained import pretrained
    from common.system.files import read_json
    from common.system.hardware import make_accelerator
    from common.training.loop import Trainer
    from projects.text_classification.task import TextClassification

    task = TextClassification(config(folder))
    features = load_from_disk(str(folder / "features"))
    source = pretrained("starter:minilm-l6").folder
    task.settings["labels"] = read_json(folder / "labels.json")
    task.load_processor(source)
    model = task.prepare(source, features)  # what all loops start from, in the class that the kit trains
    accelerator: Accelerator = make_accelerator("auto", None)[0]
    with tempfile.TemporaryDirectory() as run:
        nothing = Encoded(features.select([]), features.select([]))
        trainer = Trainer(task, model, features, nothing, config(folder), accelerator, Path(run), BATCH)
        started = time.perf_counter()
        trainer.run()
        return time.perf_counter() - started


def train_hugging_face(folder: Path, name: str) -> float:
    from datasets import load_from_disk
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from common.system.hardware import cpu_has_bf16

    features = load_from_disk(str(folder / "features")).remove_columns(["id", "row"])
    model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    best: dict[str, Any] = {}
    if name == BEST:
        best = {"train_sampling_strategy": "group_by_length", "length_column_name": "length", "bf16": cpu_has_bf16()}
    with tempfile.TemporaryDirectory() as run:
        arguments = TrainingArguments(
            run,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-4,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=50,
            use_cpu=True,
            **best,
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=features,
            data_collator=DataCollatorWithPadding(tokenizer),
            processing_class=tokenizer,
        )
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
