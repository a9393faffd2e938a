"""What answers in writing without fine-tuning: the model as it came, and the nearest training row's answer."""

from pathlib import Path
from typing import Any

import numpy as np

from common.data.features import Columns, by_row, in_memory
from common.evaluation.baselines import DESCRIPTION
from common.inference import run
from common.run import BASELINE_ROWS
from common.system.files import read_json, write_json
from common.system.hardware import default_device, default_precision
from common.task.contract import Baseline, Prediction


class Nearest(Baseline):
    """The answer of the training row whose prompt shares most with the one that is asked (TF-IDF)."""

    title, short = "the answer of the most similar training prompt (TF-IDF)", "nearest"

    def __init__(self, prompts: list[str], answers: list[str]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.prompts, self.answers = prompts, answers
        self.vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True)
        self.matrix = self.vectorizer.fit_transform(prompts)

    def nearest(self, prompts: list[str], count: int) -> list[list[int]]:
        """The `count` training rows that are nearest to each prompt, the nearest one first."""
        found = []
        for row in self.vectorizer.transform(prompts):
            scores = (self.matrix @ row.T).toarray().ravel()
            found.append(np.argsort(-scores, kind="stable")[:count].tolist())
        return found

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        prompts = [one if isinstance(one, str) else one[-1]["content"] for one in inputs]
        return [Prediction(self.answers[places[0]]) for places in self.nearest(prompts, 1)]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "nearest"})
        self.save_rows(folder)

    def save_rows(self, folder: Path) -> None:
        """Write the training rows down, apart: they are not for everybody."""
        write_json(folder / BASELINE_ROWS, {"prompts": self.prompts, "answers": self.answers})

    @classmethod
    def load(cls, folder: Path) -> "Nearest":
        """The one whose rows are in a folder."""
        return cls(**read_json(folder / BASELINE_ROWS))


class AsItCame(Baseline):
    """The pretrained model, asked as the fine-tuned one is.

    Args:
        task: of the fine-tuned model.
        model: wraps a `model` of transformers, as the task's `load` gives it.
    """

    title, short = "the same model, not fine-tuned", "as it came"

    def __init__(self, task: Any, model: Any):
        self.task, self.device = task, default_device()
        self.precision = default_precision()
        self.model = model.to(self.device).eval()

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        rows = self.task.rows(inputs)
        features = self.features(rows)
        name = self.short if len(inputs) > 1 else ""
        found = run(self.task, self.model, features, self.device, precision=self.precision, description=name)
        answers: list[Prediction] = self.task.finish(rows, by_row(found.values, features, len(inputs)))
        return answers

    def features(self, rows: Any) -> Columns:
        """What the model is given to answer rows."""
        return in_memory(self.task.encode, rows)

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "as_it_came"})
        self.model.model.save_pretrained(folder / "model")
