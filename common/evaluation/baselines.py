"""Simpler methods, trained on the model's training rows, that the model has to beat; the best of them is kept.

Baselines answer raw inputs as the Predictor does, so that a demo can show their answer beside the model's.
They are saved as JSON and safetensors: nothing that is loaded can run code.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from common.checkpoint import written_with_safetensors
from common.progress import track
from common.run import read_json, write_json

if TYPE_CHECKING:
    from common.data import Data
    from common.task import Task

# Inverse strengths of the L2 penalty; the validation split chooses, as it chooses the model's checkpoint.
STRENGTHS = (1.0, 10.0, 100.0)

# Regressions on more rows than this cost more than the training itself; the report says so (`baseline_rows` of the results).
ROWS = 20_000

DESCRIPTION, WEIGHTS = "baseline.json", "baseline.safetensors"


class Baseline(ABC):
    """A method that answers raw inputs with labels."""

    @abstractmethod
    def predict(self, inputs: list[Any]) -> list[str]:
        """The labels of raw inputs, in their order."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `load` reads into an empty folder."""


class Majority(Baseline):
    """The most frequent label, whatever the input."""

    def __init__(self, label: str):
        self.label = label

    def predict(self, inputs: list[Any]) -> list[str]:
        return [self.label] * len(inputs)

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "majority", "label": self.label})


class Vectors(ABC):
    """Raw inputs as the (n, d) matrix, dense or sparse, that a regression reads."""

    kind: ClassVar[str]

    @abstractmethod
    def __call__(self, inputs: list[Any]) -> Any:
        """The vectors of raw inputs, one row each."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what the task's `load_vectors` reads."""


class Regression(Baseline):
    """Logistic regression: the label with the largest of `vectors @ weight.T + bias`."""

    def __init__(self, vectors: Vectors, labels: list[str], weight: Any, bias: Any):
        self.vectors, self.labels, self.weight, self.bias = vectors, labels, weight, bias

    @classmethod
    def fit(cls, vectors: Vectors, train: tuple[list[Any], list[str]], validation: tuple[list[Any], list[str]]) -> "Regression":
        """Fit on (inputs, labels) with the penalty that is most accurate on the validation split."""
        from sklearn.linear_model import LogisticRegression

        inputs, held_out = vectors(train[0]), vectors(validation[0])
        candidates = [LogisticRegression(C=strength, max_iter=1_000).fit(inputs, train[1]) for strength in track(STRENGTHS, "logistic regressions")]
        best = max(candidates, key=lambda regression: float(regression.score(held_out, validation[1])))
        weight, bias = best.coef_, best.intercept_
        if len(best.classes_) == 2:  # scikit-learn keeps one row of weights for two classes
            weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
        return cls(vectors, [str(name) for name in best.classes_], weight, bias)

    def predict(self, inputs: list[Any]) -> list[str]:
        scores = self.vectors(inputs) @ self.weight.T + self.bias  # (n, c)
        return [self.labels[place] for place in np.asarray(scores).argmax(axis=1)]

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        write_json(folder / DESCRIPTION, {"kind": self.vectors.kind, "labels": self.labels})
        with written_with_safetensors(folder):
            save_file({"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}, folder / WEIGHTS)
            self.vectors.save(folder)


def fit_baselines(task: "Task", data: "Data", vectors: dict[str, Callable[[list[Any]], Vectors]]) -> dict[str, Baseline]:
    """The majority, and a regression on each kind of vectors, which are made from the raw training inputs."""
    train = data.splits["train"]
    if len(train) > ROWS:
        train = train.select(np.sort(np.random.default_rng(task.config.seed).permutation(len(train))[:ROWS]))
    seen, held_out = (([task.raw_input(row) for row in rows], [task.labels[number] for number in rows["label"]]) for rows in (train, data.splits["validation"]))
    regressions = {name: Regression.fit(make(seen[0]), seen, held_out) for name, make in vectors.items()}
    return {"majority": Majority(Counter(seen[1]).most_common(1)[0][0]), **regressions}


def load(task: "Task", folder: Path) -> Baseline:
    """The baseline that `save` wrote."""
    from safetensors.numpy import load_file

    description = read_json(folder / DESCRIPTION)
    if description["kind"] == "majority":
        return Majority(description["label"])
    tensors = load_file(folder / WEIGHTS)
    return Regression(task.load_vectors(description["kind"], folder), description["labels"], tensors["weight"], tensors["bias"])
