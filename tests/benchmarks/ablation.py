"""What each part of the recipe brings, measured on validation rows: no test split is touched.

    python -m tests.benchmarks.ablation [--write]

Needs KIT_ASSETS (banking77): 1,200 of its training rows to train on, 1,000 others to measure on.
"""

import argparse
import csv
import json
import os
import random
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parents[2] / "projects/text_classification/results/ablation.json"
ROWS, VALIDATION, EPOCHS, SEEDS = 1_200, 1_000, 2, (0, 1, 2)
VARIANTS: dict[str, dict[str, Any]] = {
    "the default": {},
    "head started at random": {"start_head": False},
    "one learning rate": {"head_learning_rate": None},
    "batches not grouped by length": {"group_by_length": False},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {name: {"accuracy": [], "seconds": []} for name in VARIANTS}
    with (Path(os.environ["KIT_ASSETS"]) / "data/banking77/train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    for seed in SEEDS:
        for name, changed in VARIANTS.items():
            accuracy, seconds = train(rows[:ROWS], rows[ROWS : ROWS + VALIDATION], seed, changed)
            found[name]["accuracy"].append(accuracy)
            found[name]["seconds"].append(seconds)
            print(f"seed {seed}  {name:32} {accuracy:.4f}  {seconds:.0f} s", flush=True)
    for name, variant in found.items():
        print(f"{name:32} {mean(variant['accuracy']):.4f}")
    if options.write:
        from common.system.hardware import describe, make_accelerator

        accelerator, precision = make_accelerator("auto", None)
        what = (
            f"Accuracy of the last step on {VALIDATION:,} validation rows of banking77, {ROWS:,} training rows, "
            f"{EPOCHS} epochs, on {describe(accelerator.device)['device']} ({precision.name}). "
            "The seconds are those of the training without the start of the head, the median of the seeds."
        )
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"what": what, "seeds": SEEDS, "variants": found}, indent=1) + "\n")


def train(
    train_rows: list[dict[str, str]], validation_rows: list[dict[str, str]], seed: int, changed: dict[str, Any]
) -> tuple[float, float]:
    """Validation accuracy after the last step, and the seconds of the training."""
    from datasets import Dataset

    from common import inference
    from common.data.features import Encoded, by_row
    from common.models.pretrained import pretrained
    from common.system.hardware import make_accelerator
    from common.system.progress import quiet_libraries
    from common.training.loop import Trainer
    from projects.text_classification.config import TextClassificationConfig
    from projects.text_classification.task import TextClassification

    quiet_libraries()
    config = TextClassificationConfig(train_file="none", seed=seed, epochs=EPOCHS, **changed)
    task = TextClassification(config)
    task.settings["labels"] = sorted({row["category"] for row in train_rows})
    source = pretrained("starter:minilm-l6").folder
    task.load_processor(source)

    def features(rows: list[dict[str, str]]) -> Dataset:
        given = {"text": [row["text"] for row in rows], "reference": [row["category"] for row in rows]}
        places = range(len(rows))
        return Dataset.from_dict({"id": list(map(str, places)), "row": list(places), **task.encode(given)})

    train_features, validation = features(train_rows), features(validation_rows)
    import torch

    torch.manual_seed(seed)
    model = task.prepare(source, train_features)
    accelerator, _ = make_accelerator("auto", None)
    with tempfile.TemporaryDirectory() as folder:
        nothing = Encoded(validation.select([]), validation.select([]))  # so that the last weights are the best
        size = config.global_batch_size
        trainer = Trainer(task, model, train_features, nothing, config, accelerator, Path(folder), size)
        progress = trainer.run()
    outputs = inference.run(task, trainer.model, validation, accelerator.device)
    answers = task.finish(validation, by_row(outputs.values, validation, len(validation)))
    scores = task.score(task.statistics(answers, [row["category"] for row in validation_rows]).sum(axis=0))
    return float(np.asarray(scores["accuracy"])), progress.seconds


if __name__ == "__main__":
    main()
