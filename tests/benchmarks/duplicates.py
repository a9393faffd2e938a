"""How well nearly equal texts are found: planted pairs of all lengths, and what is found in real questions.

    python -m tests.benchmarks.duplicates [--write]

Needs KIT_ASSETS (wikitext2, banking77). No line of wikitext2 is used twice, so that pairs that were not planted are
errors; banking77's test questions are looked up among its training questions.
"""

import argparse
import csv
import json
import os
import random
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from datasets import Dataset

from common.data.near_texts import NEAR, near_texts
from tests.common.data.planted import LENGTHS, planted

RESULTS = Path(__file__).resolve().parents[2] / "projects/text_classification/results/duplicates.json"
EACH, SHOWN = 60, 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    data = Path(os.environ["KIT_ASSETS"]) / "data"
    result = {"near": NEAR, "planted": on_planted(data / "wikitext2"), "banking77": on_questions(data / "banking77")}
    print(json.dumps(result, indent=1, ensure_ascii=False))
    if options.write:
        RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def on_planted(folder: Path) -> dict[str, Any]:
    """Recall by length, and precision over all pairs."""
    lines = [line for path in sorted(folder.glob("*.raw")) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if len(line.split()) > 30]
    random.Random(0).shuffle(lines)
    texts, lengths = [], []
    for length in sorted(LENGTHS, reverse=True):
        for _ in range(EACH):
            words: list[str] = []
            while len(words) < length and lines:
                words += lines.pop().split()
            if len(words) >= length:
                texts.append(" ".join(words[:length]))
                lengths.append(length)
    pairs = found(texts, planted(texts, seed=1))
    right = {index for index, train_index in pairs if index == train_index}
    by_length: dict[int, list[bool]] = defaultdict(list)
    for index, length in enumerate(lengths):
        by_length[length].append(index in right)
    recall = {f"{length} words": mean(hits) for length, hits in sorted(by_length.items())}
    return {
        "pairs": len(texts),
        "recall": len(right) / len(texts),
        "precision": len(right) / len(pairs),
        "recall_by_length": recall,
    }


def on_questions(folder: Path) -> dict[str, Any]:
    """The share of test questions that are near to a training question, some of them to be read, and the time."""
    train, test = (_questions(folder / f"{name}.csv") for name in ("train", "test"))
    started = time.perf_counter()
    nearest = dict(sorted(found(train, test)))
    shown = random.Random(0).sample(sorted(nearest), SHOWN)
    return {
        "test_questions": len(test),
        "near_a_training_question": len(nearest) / len(test),
        "seconds": time.perf_counter() - started,
        "some": [[test[index], train[nearest[index]]] for index in shown],
    }


def _questions(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def found(train: list[str], test: list[str]) -> set[tuple[int, int]]:
    """(test text, training text) of the pairs that are nearly equal."""
    splits = {"train": Dataset.from_dict({"text": train}), "test": Dataset.from_dict({"text": test})}
    pairs = near_texts("text")(splits, {"test": np.arange(len(test))})
    return {(index, train_index) for _, index, train_index in pairs}


if __name__ == "__main__":
    main()
