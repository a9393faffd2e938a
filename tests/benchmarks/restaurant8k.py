"""Slots of restaurant bookings, each asked for as a question: restaurant8k (Coope et al. 2020) by training rows.

    python -m tests.benchmarks.restaurant8k [--parts 8 1] [--write]

Needs KIT_ASSETS. A question for each of five slots is asked about each sentence, of which most have no answer. What the
system had asked for before stands in front of the sentence. `--parts 8` trains on an eighth of the training rows. The
score is that of the publication: precision and recall of slots, right where the whole span is.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from common.data.features import encoded
from common.predictor import Predictor
from common.system.files import read_json, write_json
from common.task.contract import Prediction
from tests.benchmarks.training import trained

PROJECT = "question_answering"
RESULTS = Path(__file__).resolve().parents[2] / f"projects/{PROJECT}/results/learning_curve.json"
QUESTIONS = {
    "people": "For how many people?",
    "date": "For which date?",
    "time": "At what time?",
    "first_name": "What is the first name?",
    "last_name": "What is the last name?",
}
OPTIONS = ["--max_length", "96", "--max_answer_tokens", "16", "--global_batch_size", "64"]
OPTIONS += ["--learning_rate", "3e-4", "--head_learning_rate", "3e-3"]
WHAT = (
    "Slots of restaurant bookings, each asked for as a question (restaurant8k, 3,731 test sentences): F1 of whole "
    "slots over a part of the training sentences."
)
# Of Span-ConveRT, which was pretrained on conversations (Coope et al. 2020).
PUBLISHED = {"Span-ConveRT, as published": {"1/1": 0.96}}
# Passes over the data: more where there is less.
EPOCHS = {1: 4, 2: 4, 4: 6, 8: 8, 16: 10, 32: 16, 64: 24, 128: 32}


def main() -> None:
    parser = argparse.ArgumentParser()
    what = "train on 1/N of the rows, for each N"
    parser.add_argument("--parts", nargs="+", type=int, default=[8], choices=EPOCHS, help=what)
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    data = Path(os.environ["KIT_ASSETS"]) / "data/restaurant8k"
    for part in options.parts:
        measured = {f"1/{part}": measure(data, part)}
        print(json.dumps(measured, indent=1))
        if options.write:
            known = {**(read_json(RESULTS)["parts"] if RESULTS.exists() else {}), **measured}
            parts = dict(sorted(known.items(), key=lambda one: -int(one[0].removeprefix("1/"))))
            write_json(RESULTS, {"what": WHAT, "parts": parts, "published": PUBLISHED})


def measure(source: Path, part: int) -> dict[str, Any]:
    """Train on 1/part of the rows, and score all test rows."""
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train.jsonl", Path(folder) / "test.jsonl"
        rows = write_questions(source / "train_0.json", train, part)
        write_questions(source / "test.json", test)
        options = [*OPTIONS, "--epochs", str(EPOCHS[part]), "--output_dir", folder, "--run_name", "slots"]
        task, run, data = trained(PROJECT, ["--train_file", str(train), "--test_file", str(test), *options])
        asked, training = data.splits["test"], read_json(run.manifest)["training"]
        predictor = Predictor.load(run.folder, task=task)
        answers = predictor.answers(asked, encoded(task.encode, asked), name="test questions")
        return {
            "sentences": rows,
            **slot_scores(asked["reference"], answers),
            "minutes": training["seconds"] / 60,
            "device": training["device"],
            "computed_in": training["precision"],
        }


def write_questions(source: Path, target: Path, part: int = 1) -> int:
    """Write the questions about every `part`-th sentence of a file; how many sentences those are."""
    sentences = json.loads(source.read_text(encoding="utf-8"))[::part]
    with target.open("w", encoding="utf-8") as file:
        for sentence in sentences:
            for row in questions_about(sentence):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return len(sentences)


def questions_about(sentence: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each slot; a start that is 0 is left out in the source."""
    text = sentence["userInput"]["text"]
    asked = sentence.get("context", {}).get("requestedSlots", [])
    before = f"asked for {' and '.join(name.replace('_', ' ') for name in asked) or 'nothing'}: "
    spans = {label["slot"]: label["valueSpan"] for label in sentence.get("labels", [])}
    rows = []
    for slot, question in QUESTIONS.items():
        answers = []
        if slot in spans:
            start, end = spans[slot].get("startIndex", 0), spans[slot]["endIndex"]
            answers = [{"text": text[start:end], "answer_start": start + len(before)}]
        rows.append({"question": question, "context": before + text, "answers": answers})
    return rows


def slot_scores(references: list[list[dict[str, Any]]], answers: list[Prediction]) -> dict[str, float]:
    """Precision, recall and F1 of the slots; right where start and text are."""
    right = found = wanted = 0
    for reference, answer in zip(references, answers, strict=True):
        true = [(one["start"], one["text"]) for one in reference]
        said = [(answer.details["start"], answer.value)] if answer.value else []
        found, wanted, right = found + len(said), wanted + len(true), right + len(set(said) & set(true))
    return {"f1": 2 * right / (found + wanted), "precision": right / max(1, found), "recall": right / wanted}


if __name__ == "__main__":
    main()
