"""The contract between a project and everything in common: what a `task.py` has to say."""

import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.checks import Finding
from common.config import Config, nearest
from common.data import Data
from common.errors import UserError

if TYPE_CHECKING:
    from common.evaluation.baselines import Baseline, Vectors

PROJECTS = Path(__file__).resolve().parent.parent / "projects"

Batch = dict[str, Any]


class Columns:
    """Encoded features in memory: for the few inputs of a question a table would cost more than the model."""

    def __init__(self, columns: dict[str, list[Any]]):
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: Any) -> Any:
        """A column by its name; else rows by a slice or their numbers, as columns."""
        if isinstance(key, str):
            return self.columns[key]
        if isinstance(key, slice):
            return {name: values[key] for name, values in self.columns.items()}
        return {name: [values[place] for place in key] for name, values in self.columns.items()}


Features: TypeAlias = Dataset | Columns


class Task(ABC):
    """One project: where its data come from, how a batch is made, which model, how outputs are scored.

    Legend of shapes: n rows or features, b features in a batch, t tokens, c classes, k statistics.
    """

    project: ClassVar[str]
    title: ClassVar[str]
    pipeline_tag: ClassVar[str]  # the Hub's name of the task
    pipeline_options: ClassVar[str] = ""  # what transformers' pipeline has to be told beside the model, as in `, top_k=3`
    intended_use: ClassVar[str]
    primary_metric: ClassVar[str]
    config_class: ClassVar[type[Config]]
    input_columns: ClassVar[tuple[str, ...]]
    example: ClassVar[str]  # an input on the command line, for the sentence that says what to do next

    labels: list[str]

    def __init__(self, config: Any):
        self.config = config

    @abstractmethod
    def data(self) -> Data:
        """Load, check and split the rows.  Raises UserError where they cannot be trained on."""

    @abstractmethod
    def load_processor(self, source: Path) -> None:
        """Make ready to `encode`: the tokenizer or image processor of a model's folder."""

    @abstractmethod
    def model(self, source: Path, train: Dataset | None = None) -> nn.Module:
        """The model of a folder; with `train` features a pretrained one made ready for them (its head started)."""

    @abstractmethod
    def save(self, model: nn.Module, folder: Path) -> None:
        """Write model and processor so that transformers' Auto classes load them."""

    @abstractmethod
    def head(self, model: nn.Module) -> tuple[str, ...]:
        """Prefixes of the parameters that are new to the pretrained model."""

    @abstractmethod
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """A batch of rows as columns of features, `length` among them."""

    def raw_input(self, row: dict[str, Any]) -> Any:
        """What a visitor would give to ask about a row: its input column, or a dict of several."""
        if len(self.input_columns) == 1:
            return row[self.input_columns[0]]
        return {name: row[name] for name in self.input_columns}

    def check_features(self, features: Dataset) -> list[Finding]:
        """What is wrong with the encoded training rows, such as inputs that had to be cut."""
        return []

    @abstractmethod
    def features(self, inputs: list[Any]) -> Columns:
        """Raw inputs, as a visitor gives them, as encoded features."""

    @abstractmethod
    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        """Columns of b features as padded tensors.

        While training, `epoch` counts the passes over the data: what is altered at random hangs on it, the seed and
        the feature's id alone. Several threads may ask at the same time.
        """

    @abstractmethod
    def items(self, batch: Batch) -> int:
        """What the loss is summed over, known before the forward pass: rows, or tokens that count."""

    @abstractmethod
    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """One forward pass: the outputs that `loss` and `values` read."""

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """The loss *summed* over the batch's items, in fp32."""

    @abstractmethod
    def values(self, outputs: Tensor, batch: Batch) -> list[NDArray[np.float32]]:
        """One unpadded CPU array per feature."""

    @abstractmethod
    def statistics(self, features: Dataset, values: list[NDArray[np.float32]]) -> Any:
        """(n, k) per-example statistics, dense or sparse, whose sums decide every metric."""

    @abstractmethod
    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Metrics from sums of statistics, (..., k) -> (...) each."""

    @abstractmethod
    def baselines(self, data: Data, source: Path) -> "dict[str, Baseline]":
        """Simpler methods, fitted on the same training rows; `source` is the folder of the pretrained model."""

    @abstractmethod
    def load_vectors(self, kind: str, folder: Path) -> "Vectors":
        """The vectors of a saved baseline: what the project's `Vectors` of that kind wrote into the folder."""

    @abstractmethod
    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        """{slice: value of each row}: the parts of a test set that get a score of their own."""

    def keep_input(self, row: dict[str, Any], file: Path) -> None:
        """Write what a report or a demo shows of a row whose input words cannot show; `file` has no suffix yet."""
        return

    @abstractmethod
    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        """{perturbation: altered inputs}: what must not change the answer."""


def encoded(task: Task, rows: Dataset, cache: Path | None = None) -> Dataset:
    """The rows' features, with `id` and `label` kept; in a memory-mapped file if `cache` names one."""
    keep = {"id", "label"}
    return rows.map(
        task.encode,
        batched=True,
        remove_columns=[name for name in rows.column_names if name not in keep],
        cache_file_name=str(cache) if cache else None,
        new_fingerprint=cache.stem if cache else None,
        load_from_cache_file=cache is not None,
        keep_in_memory=cache is None,
    )


def column(features: Features, name: str) -> NDArray[np.int64]:
    """A column of whole numbers as one array, without a Python object per row of a table."""
    if not len(features):
        return np.zeros(0, dtype=np.int64)
    if isinstance(features, Columns):
        return np.asarray(features[name], dtype=np.int64)
    values: NDArray[np.int64] = features.select_columns([name]).with_format("numpy")[:][name]
    return values


def project_names() -> list[str]:
    """The projects of this repository: the folders below projects/ that have a task.py."""
    return sorted(folder.parent.name for folder in PROJECTS.glob("*/task.py"))


def load_task_class(project: str) -> type[Task]:
    """The Task of a project.  Raises UserError where there is none of that name."""
    names = project_names()
    if project not in names:
        raise UserError(f"there is no project {project!r}{nearest(project, names)}: `kit list` shows them.")
    module = importlib.import_module(f"projects.{project}.task")
    found: type[Task] = module.TASK
    return found
