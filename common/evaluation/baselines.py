"""Baselines: simple methods, fitted on the model's training rows, that it has to beat; the best of them is kept.

They answer raw inputs as the Predictor does. They are saved as JSON and safetensors, so loading one runs no code.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from accelerate.utils import send_to_device
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import column, in_memory
from common.data.plan import evaluation_batches
from common.data.splits import Data
from common.inference import BATCH_SIZE, over_batches
from common.models import regression
from common.system.files import read_json, write_json, written_with_safetensors
from common.system.hardware import autocast, default_device, default_precision
from common.task.contract import Baseline, Batch, Prediction, Task, as_key

# Regressions on more rows than this cost more than the training itself; results say so (`baseline_rows`).
ROWS = 20_000

DESCRIPTION, WEIGHTS = "baseline.json", "baseline.safetensors"


class Majority(Baseline):
    """The most frequent reference, whatever the input."""

    title, short = "always the most frequent training answer", "majority"

    def __init__(self, value: Any):
        self.value = value

    @classmethod
    def of(cls, references: list[Any]) -> "Majority":
        """The most frequent of these references."""
        count = Counter(map(as_key, references))
        most = count.most_common(1)[0][0]
        return cls(next(reference for reference in references if as_key(reference) == most))

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction(self.value)] * len(inputs)

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "majority", "value": self.value})


class Vectors(ABC):
    """Raw inputs as the (n, d) matrix, dense or sparse, that a regression reads."""

    kind: ClassVar[str]
    title: ClassVar[str]
    short: ClassVar[str]

    @abstractmethod
    def __call__(self, inputs: list[Any]) -> Any:
        """The vectors of raw inputs, one row each."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what is needed to make them again into a folder."""


class FrozenEncoder(Vectors):
    """What a pretrained model makes of an input before any fine-tuning, scaled to unit length.

    Args:
        task: encodes the inputs.
        model: the pretrained model; `vectors_of(model, batch)` gives (b, d).
    """

    kind = "frozen_encoder"
    title = "frozen encoder + logistic regression"
    short = "frozen"

    def __init__(self, task: Task, model: Any, vectors_of: Callable[[nn.Module, Batch], Tensor]):
        self.task, self.vectors_of, self.device = task, vectors_of, default_device()
        self.precision = default_precision()
        self.model = model.to(self.device).eval()

    @torch.no_grad()
    def __call__(self, inputs: list[Any]) -> NDArray[np.float32]:
        features = in_memory(self.task.encode, self.task.rows(inputs))
        batches = evaluation_batches(column(features, "length"), BATCH_SIZE)
        vectors: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(inputs)
        name = "frozen encoder" if len(batches) > 1 else ""
        for indices, found in over_batches(self.task, features, batches, self._vectors, name):
            for index, vector in zip(indices, found.cpu().numpy(), strict=True):
                vectors[index] = vector
        return np.stack(vectors)

    def _vectors(self, batch: Batch) -> Tensor:
        """(b, d) of unit length."""
        with autocast(self.device, self.precision):
            vectors = self.vectors_of(self.model, send_to_device(batch, self.device))
        return nn.functional.normalize(vectors.float(), dim=1)

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder / "encoder")


class Regression(Baseline):
    """Logistic regression: the class with the largest of `vectors @ weight.T + bias`."""

    def __init__(self, vectors: Vectors, classes: list[str], weight: Any, bias: Any):
        self.vectors, self.classes, self.weight, self.bias = vectors, classes, weight, bias
        self.title, self.short = vectors.title, vectors.short

    @classmethod
    def fit(
        cls, vectors: Vectors, train: tuple[list[Any], list[str]], validation: tuple[list[Any], list[str]]
    ) -> "Regression":
        """Fit on (inputs, classes) with the penalty that makes the classes of the validation split likeliest."""
        classes = sorted({*train[1], *validation[1]})
        number = {name: index for index, name in enumerate(classes)}
        seen, held_out = (np.asarray([number[name] for name in names]) for names in (train[1], validation[1]))
        inputs = vectors(train[0]), vectors(validation[0])
        best = regression.fit_best(inputs[0], seen, inputs[1], held_out, "logistic regressions")[1]
        return cls(vectors, [classes[index] for index in best.classes_], *regression.linear(best))

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        vectors = self.vectors(inputs)  # (n, d)
        step = regression.rows_at_once(len(self.classes))
        parts = [
            np.asarray(vectors[start : start + step] @ self.weight.T + self.bias).argmax(axis=1)
            for start in range(0, len(inputs), step)
        ]
        return [Prediction(self.classes[index]) for part in parts for index in part]

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        write_json(folder / DESCRIPTION, {"kind": self.vectors.kind, "classes": self.classes})
        with written_with_safetensors(folder):
            tensors = {"weight": self.weight, "bias": self.bias}
            save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, folder / WEIGHTS)
            self.vectors.save(folder)


class Failed(Baseline):
    """One that could not be fitted: it says why when it is asked, and the others are measured all the same."""

    title = short = "failed"

    def __init__(self, error: Exception):
        self.error = error

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        raise self.error

    def save(self, folder: Path) -> None:
        raise self.error


def training_rows(data: Data, seed: int, classes: Callable[[Any], str] = as_key) -> Dataset:
    """The training rows that baselines learn from: all, or `ROWS` of them, some of every class of their references."""
    train = data.splits["train"]
    if len(train) > ROWS:
        train = train.select(regression.draw([classes(reference) for reference in train["reference"]], ROWS, seed))
    return train


def fit_each(makers: Mapping[str, Callable[[], Baseline]]) -> dict[str, Baseline]:
    """What each of them makes, or a `Failed` one."""
    found: dict[str, Baseline] = {}
    for name, make in makers.items():
        try:
            found[name] = make()
        except Exception as error:
            found[name] = Failed(error)
    return found


def fit_baselines(task: Task, data: Data, vectors: dict[str, Callable[[list[Any]], Vectors]]) -> dict[str, Baseline]:
    """The majority, and a regression on each kind of vectors, which are made from the raw training inputs."""
    parts = (training_rows(data, task.config.seed), data.splits["validation"])
    seen, held_out = (([task.raw_input(row) for row in rows], list(rows["reference"])) for rows in parts)

    def maker(make: Callable[[list[Any]], Vectors]) -> Callable[[], Baseline]:
        return lambda: Regression.fit(make(seen[0]), seen, held_out)

    regressions = {name: maker(make) for name, make in vectors.items()}
    return fit_each({"majority": lambda: Majority.of(seen[1]), **regressions})


def load(folder: Path, load_vectors: Callable[[str, Path], Vectors]) -> Baseline:
    """The majority or the regression that `save` wrote; `load_vectors(kind, folder)` reads what its vectors wrote."""
    from safetensors.numpy import load_file

    description = read_json(folder / DESCRIPTION)
    if description["kind"] == "majority":
        return Majority(description["value"])
    tensors = load_file(folder / WEIGHTS)
    vectors = load_vectors(description["kind"], folder)
    return Regression(vectors, description["classes"], tensors["weight"], tensors["bias"])
