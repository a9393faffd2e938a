"""The contract between a project and everything in `common`: what a `task.py` has to say.

Legend of shapes: n rows, f features (one or more of each row), b features in a batch, k statistics.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.config import Config
from common.data.findings import Finding
from common.data.splits import Data
from common.system.errors import UserError

Batch: TypeAlias = dict[str, Any]
# Columns by name, of equal lengths; a Dataset is one, too.
Rows: TypeAlias = Dataset | Mapping[str, list[Any]]
# The outputs of `predict` of each row: one for each of its features, in their order.
Outputs: TypeAlias = list[list[Any]]


@dataclass(frozen=True)
class Metric:
    """How a score is read.

    Attributes:
        name: its key in `Task.score`.
        unit: a share lies in [0, 1] and is shown in percent; a number is shown as it is.
        higher_is_better: False for errors, losses and rates of mistakes.
        exact: its statistic is 0 or 1 for each row, so McNemar's test applies to independent rows.
        title: its name in tables and charts; empty for `name`.
        meaning: what it counts, for readers who do not know its name: `the share of ...`.
    """

    name: str
    unit: Literal["share", "number"] = "share"
    higher_is_better: bool = True
    exact: bool = False
    title: str = ""
    meaning: str = ""

    def describe(self) -> dict[str, Any]:
        """The description that results.json carries, from which every page is drawn."""
        title = self.title or self.name.replace("_", " ")
        kind = {"title": title, "unit": self.unit, "higher_is_better": self.higher_is_better, "exact": self.exact}
        return {**kind, "meaning": self.meaning} if self.meaning else kind


@dataclass(frozen=True)
class Prediction:
    """An answer to one row, of a model or a baseline.

    Attributes:
        value: JSON: a class, spans, a text, ranked ids; what a reference is compared with.
        confidence: probability that the answer is right; None where the task has none.
        sure: False where an honest system says that it is not sure.
        details: JSON: what the scores and `Task.same` need beside the value, such as logits.
        doubt: why it is not sure, where that is not the confidence: `unlike its training data`.
    """

    value: Any
    confidence: float | None = None
    sure: bool = True
    details: dict[str, Any] = field(default_factory=dict)
    doubt: str = ""

    def to_json(self) -> dict[str, Any]:
        """The prediction as it stands in predictions.jsonl; defaults are left out."""
        optional = {
            "confidence": self.confidence,
            "sure": None if self.sure else False,
            "details": self.details or None,
            "doubt": self.doubt or None,
        }
        return {"value": self.value, **{key: part for key, part in optional.items() if part is not None}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Prediction":
        """What `to_json` gave."""
        return cls(**content)


class Baseline(ABC):
    """A simple method that answers raw inputs as the model does, so that a demo can show its answer, too.

    Saved as JSON and safetensors: nothing that is loaded can run code.
    """

    title: str  # in sentences: "TF-IDF + logistic regression"
    short: str  # in the head of a column: "words"

    @abstractmethod
    def predict(self, inputs: list[Any]) -> list[Prediction]:
        """The answers to raw inputs, in their order."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what the task's `load_baseline` reads into an empty folder."""


class Task(ABC):
    """One project: its rows, its model, its loss, its answers, and how they are scored.

    In the order of a run: `data`, `load_processor`, `encode`, `prepare`, then for each batch `collate`, `items` and
    `loss`, then `settle`, `save`; a finished run goes through `load_processor`, `load`, `rows`, `encode`, `collate`,
    `predict` and `finish`.

    Attributes:
        project: the name of the project's folder.
        settings: what the model needs beside its weights to answer as it was measured; JSON, in model/kit.json.
        rehearsal: True while an evaluation is tried on a few rows, whose answers count for nothing and may be short.
    """

    project: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[
        str
    ]  # the title of its pages, unless portfolio.yaml gives one: "Where are the names in this text?"
    for_whom: ClassVar[str]  # one sentence: who asks that
    intended_use: ClassVar[str]
    pipeline_tag: ClassVar[str]  # the Hub's name of the task
    pipeline_options: ClassVar[str] = ""  # what transformers' pipeline is told beside the model: `, truncation=True`
    usage: ClassVar[str] = ""  # lines of Python that ask the saved model, where transformers has no pipeline for it
    example: ClassVar[str]  # an input on the command line, for the sentence that says what to do next
    config_class: ClassVar[type[Config]]
    input_columns: ClassVar[tuple[str, ...]]
    metrics: tuple[Metric, ...]  # the first one is the primary one; options may choose them
    # False: examples of a batch are each other's negatives; `represent` and `contrast` stand in place of `loss`.
    loss_is_sum: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "project" not in cls.__dict__:
            cls.project = cls.__module__.split(".")[-2]

    def __init__(self, config: Any):
        self.config = config
        self.settings: dict[str, Any] = {}
        self.rehearsal = False

    # Rows

    @abstractmethod
    def data(self) -> Data:
        """Load, check and split the rows: `id`, the input columns, a readable `reference`, perhaps `group`.

        Raises UserError where they cannot be trained on.
        """

    def rows(self, inputs: list[Any]) -> Rows:
        """Raw inputs, as a visitor gives them, as rows without a reference."""
        if len(self.input_columns) == 1:
            return {self.input_columns[0]: inputs}
        return {name: [one[name] for one in inputs] for name in self.input_columns}

    def typed_input(self, text: str) -> Any:
        """What is typed on a command line, as an input: a text, or JSON where there are several input columns.

        Raises UserError where it is none.
        """
        if len(self.input_columns) == 1:
            return text
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in self.input_columns):
            names = " and ".join(self.input_columns)
            raise UserError(f"{text[:60]!r} is no JSON object with texts for {names}: write {self.example}.")
        return {name: given[name] for name in self.input_columns}

    def raw_input(self, row: Mapping[str, Any]) -> Any:
        """What a visitor would give to ask about a row: its input column, or a dict of several."""
        return self.shown_input(row)

    def shown_input(self, row: Mapping[str, Any]) -> Any:
        """A row's input as it is kept in predictions.jsonl: JSON."""
        if len(self.input_columns) == 1:
            return row[self.input_columns[0]]
        return {name: row[name] for name in self.input_columns}

    def keep_input(self, row: Mapping[str, Any], file: Path) -> None:
        """Write what a report shows of a row whose input words cannot show; `file` has no suffix yet."""
        return

    # Features

    @abstractmethod
    def load_processor(self, source: Path) -> None:
        """Make ready to `encode`: the tokenizer or image processor of a model's folder."""

    @abstractmethod
    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Some rows as columns of features, `length` among them; references become numbers here, where there are any.

        Where rows have more than one feature, the column `row` holds the index of each feature's row among these. A
        column `place` with numbers says which training features are alike: those with near ones come into one batch.
        """

    def seen(self, feature: Mapping[str, Any]) -> list[tuple[str, bool]]:
        """An encoded training row as the model reads it: texts one behind the other, and whether each is learned.

        Empty where what is learned is no part of what is read.
        """
        return []

    def check_features(self, features: Dataset) -> list[Finding]:
        """What is wrong with the encoded training rows, such as inputs that had to be cut."""
        return []

    @abstractmethod
    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        """Columns of b features as padded tensors.

        While training, `epoch` is the epoch's index: random augmentation depends on it, on the seed and on the
        feature's `id` alone. Several threads may call this at the same time.
        """

    # Model

    @abstractmethod
    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        """The pretrained model of a folder made ready for the `train` features: its head started, adapters added.

        `requires_grad` says which parameters are trained.
        """

    @abstractmethod
    def load(self, folder: Path) -> nn.Module:
        """The fine-tuned model that `save` wrote."""

    @abstractmethod
    def save(self, model: nn.Module, folder: Path) -> None:
        """Write model and processor so that transformers' Auto classes load them."""

    def parameters(self, model: nn.Module) -> int:
        """How many parameters the model has that `save` writes, of which adapters that it merges are none."""
        return sum(parameter.numel() for parameter in model.parameters())

    def keep(self, folder: Path) -> None:
        """Write what answers are held against beside the model, such as training rows, into an empty folder."""
        return

    def recall(self, folder: Path) -> None:
        """Read what `keep` wrote; the folder may be missing."""
        return

    def head(self, model: nn.Module) -> tuple[str, ...]:
        """Prefixes of the parameters that are new to the pretrained model."""
        return ()

    # Learning

    @abstractmethod
    def items(self, batch: Batch) -> int:
        """What the loss is summed over, known before the forward pass: rows, or tokens that count."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss *summed* over the batch's items, in fp32."""
        raise NotImplementedError

    def represent(self, model: nn.Module, batch: Batch) -> Tensor:
        """(b, ...) what `contrast` compares of each of the b features, such as the vectors of its texts, in fp32."""
        raise NotImplementedError

    def contrast(self, representations: Tensor, features: dict[str, list[Any]]) -> Tensor:
        """The loss summed over the features of a whole global batch, in fp32, given their columns and representations.

        Under `loss_is_sum = False` the loop takes this in place of `loss`: the micro-batches of all processes are each
        other's negatives.
        """
        raise NotImplementedError

    # Answering

    @abstractmethod
    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """One unpadded CPU value for each of the b features: logits, a vector, token ids; may generate."""

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Any]]:
        """`loss` and `predict`; override it where one forward pass gives both."""
        return self.loss(model, batch), self.predict(model, batch)

    @abstractmethod
    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        """The answers to n rows: windows joined, spans read off, text decoded."""

    def refresh(self, ask: Callable[[Dataset], Outputs]) -> None:
        """Make anew what answers are looked up in beside the model, such as the vectors of all documents.

        Called whenever rows are to be answered with other weights; `ask` gives these weights' outputs for any rows. All
        processes call this.
        """
        return

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """Settings that are found after training, on validation rows: a scale, a threshold.

        `ask` gives the trained model's outputs for any rows. All processes call this.
        """
        return {}

    # Evidence

    @abstractmethod
    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        """(n, k) per-example statistics, dense or sparse, whose sums decide every metric."""

    @abstractmethod
    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The metrics by name from sums of statistics, (..., k) -> (...) each."""

    def compute_metrics(self, predictions: list[Prediction], references: list[Any]) -> dict[str, float]:
        """Metrics once more, through `evaluate.Metric` modules; each measurement asserts that both ways agree."""
        return {}

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Further results of the test set's records by name; templates/sections/NAME.html.j2 shows each."""
        return {}

    def examine(
        self, model: nn.Module, data: Data, answers: Mapping[str, list[Prediction]], baselines: Mapping[str, Baseline]
    ) -> dict[str, Any]:
        """More sections of results.json, which the model itself is asked for, such as what it has forgotten.

        `answers` are the model's to each test set; `baselines` are those of `baselines`, which have been asked, too.
        """
        return {}

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """Whether an answer given again is the one that was measured; probabilities may be `tolerance` apart."""
        if old.confidence is None or new.confidence is None:
            return bool(old.value == new.value)
        return bool(old.value == new.value and abs(old.confidence - new.confidence) <= tolerance)

    def in_words(self, value: Any, given: Any) -> Any:
        """A reference or an answer as pages show it; `given` is what `shown_input` says of its row."""
        return value

    def in_lines(self, prediction: Prediction) -> list[str]:
        """An answer of several lines as the terminal shows it; empty where its value is one."""
        return []

    def passages(self, prediction: Prediction) -> list[tuple[str, float]]:
        """(text, score) of the texts that an answer names, the best first: what another model may read.

        Empty where answers name no texts.
        """
        return []

    def is_changed(self, old: Any, new: Any) -> bool:
        """Whether the value of an answer to a perturbed input is another answer than the `old` one."""
        return bool(old != new)

    def about(self) -> str:
        """What the settings say of the model, in a sentence for the model card; may be empty."""
        return ""

    def describe(self) -> dict[str, Any]:
        """What pages say of the project: results.json carries it, so that nothing that draws needs the project."""
        names = ("title", "question", "for_whom", "intended_use", "example", "pipeline_tag", "pipeline_options")
        return {**{name: getattr(self, name) for name in (*names, "usage")}, "about": self.about()}

    @abstractmethod
    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        """At least one simple method, fitted on the same training rows; `source` is the pretrained model's folder."""

    @abstractmethod
    def load_baseline(self, folder: Path) -> Baseline:
        """The baseline that one of `baselines` saved."""

    def slices(self, rows: Dataset, train: Dataset) -> Mapping[str, Sequence[str | None]]:
        """{slice: value of each row}: the parts of a test set that get a score of their own; None for no part."""
        return {}

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        """{perturbation: perturbed raw inputs}: changes that must not change the answer, or must, as the name says."""
        return {}


def as_key(value: Any) -> str:
    """A JSON value as text that is equal for equal values: a text as it is, spans as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
