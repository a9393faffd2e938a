"""What is looked at closely: kinds of questions, places of answers, and whether the question is read at all."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from common.data.features import in_memory
from common.evaluation import slices
from common.evaluation.records import groups_of
from common.metrics.intervals import FEWEST_GROUPS, Bootstrap
from common.task.contract import Prediction, Task

WORDS = re.compile(r"\w+")
QUESTION_WORDS = ("what", "which", "who", "whose", "when", "where", "why", "how")
SHARES = {"f1", "exact_match"}


def answer_sections(task: Task, records: list[dict[str, Any]]) -> dict[str, Any]:
    """`answerable`: scores of the questions that have an answer and of those that have none."""
    rows = []
    for name, is_answered in (("with an answer in the text", True), ("without one", False)):
        chosen = [record for record in records if bool(record["reference"]) == is_answered]
        if not chosen:
            continue
        said_none = sum(record["prediction"]["value"] == "" for record in chosen)
        row: dict[str, Any] = {"value": name, "examples": len(chosen), "said_none": said_none}
        groups = groups_of(chosen)
        if len(set(groups.tolist())) >= FEWEST_GROUPS:
            references = [record["reference"] for record in chosen]

            def statistics(found: list[Any], references: list[Any] = references) -> Any:
                return task.statistics([Prediction.from_json(one) for one in found], references)

            ours = statistics([record["prediction"] for record in chosen])
            row["metrics"] = Bootstrap(groups, task.config.seed).intervals(ours, task.score, SHARES)
            row["baseline_f1"] = {
                key: float(task.score(statistics([record["baselines"][key] for record in chosen]).sum(axis=0))["f1"])
                for key in chosen[0]["baselines"]
            }
        rows.append(row)
    return {"answerable": {"rows": rows}}


def by_kind(task: Task, rows: Dataset) -> dict[str, Sequence[str | None]]:
    """By the first question word, by where the answer stands, by the context's length and windows, by their columns."""
    questions, contexts, references = list(rows["question"]), list(rows["context"]), list(rows["reference"])
    characters = np.asarray([len(text) for text in contexts], dtype=np.float64)
    features = in_memory(task.encode, {"question": questions, "context": contexts})
    windows = np.bincount(np.asarray(features["row"]), minlength=len(rows))
    found: dict[str, Sequence[str | None]] = {
        "question word": [_question_word(text) for text in questions],
        "answer stands": [_place(of_row, context) for of_row, context in zip(references, contexts, strict=True)],
        "context length": slices.in_thirds(characters, ("short", "medium", "long"), "characters"),
        "windows": ["1" if count == 1 else "2" if count == 2 else "3 or more" for count in windows.tolist()],
    }
    return {**found, **slices.by_column(rows)}


def _question_word(question: str) -> str:
    words = [word for word in WORDS.findall(question.casefold()) if word in QUESTION_WORDS]
    return words[0] if words else "none"


def _place(reference: list[dict[str, Any]], context: str) -> str | None:
    """Which third of the context the first right answer begins in."""
    if not reference:
        return None
    third = min(2, 3 * min(one["start"] for one in reference) // max(1, len(context)))
    return ("in the first third", "in the second third", "in the last third")[third]


def perturbed(task: Any, rows: Dataset) -> dict[str, list[Any]]:
    """The question in capitals, and without its words: an answer that stays then was not asked for.

    What the tokenizer takes for the same questions is left out: the answers would be the same.
    """
    questions, contexts = list(rows["question"]), list(rows["context"])
    every = {
        "question in capitals": [text.upper() for text in questions],
        "without the question's words": ["?"] * len(questions),
    }

    def read(texts: list[str]) -> Any:
        return task.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]

    before = read(questions)
    return {
        name: [{"question": text, "context": context} for text, context in zip(changed, contexts, strict=True)]
        for name, changed in every.items()
        if read(changed) != before
    }
