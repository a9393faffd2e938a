"""Summarization: what does this document say, in one sentence?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.findings import Finding
from common.data.splits import Data
from common.metrics import rouge
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

from .abstractive import ChatWriter, writer_of
from .config import SummarizationConfig
from .extractive import Extractive
from .faithful import unsupported
from .sentences import on_lines
from .usage import usage_of


class Summarization(Task):
    """Two recipes for one task: an encoder that chooses sentences of a document, or a model that writes some.

    Attributes:
        recipe: the one that the options name, with the model's side of the contract.
    """

    title = "Summarization"
    question = "What does this text say, in short?"
    for_whom = "For whoever has more to read than time, and wants to know what a short version leaves out or makes up."
    intended_use = (
        "A first look at a document, with the document beside it: a summary leaves most of it out, and one that a "
        "model writes may say what is not there."
    )
    pipeline_tag = title.lower()  # the Hub's name of the task, also in a copy of this project
    example = '"The text that is to be summarised."'
    config_class = SummarizationConfig
    input_columns = ("document",)

    def __init__(self, config: Any):
        super().__init__(config)
        extractive = config.method == "extractive"
        self.recipe: Any = Extractive(self) if extractive else ChatWriter(self)
        names = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeLsum": "ROUGE-Lsum"}
        stopped = () if extractive else (Metric("stopped", exact=True, title="stopped by itself"),)
        meanings = {"rouge1": "how many words a summary and one that people wrote share; 1 where all"}
        rouges = (Metric(name, title=title, meaning=meanings.get(name, "")) for name, title in names.items())
        self.metrics = (*rouges, *stopped)

    # Rows

    def data(self) -> Data:
        from .rows import load_rows

        return load_rows(self.config)

    # Features, model, learning and answering are the recipe's

    def load_processor(self, source: Path) -> None:
        if self.config.method == "abstractive":
            self.recipe = writer_of(self, source)
        self.recipe.load_processor(source)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        features: dict[str, list[Any]] = self.recipe.encode(rows)
        return features

    def seen(self, feature: Mapping[str, Any]) -> list[tuple[str, bool]]:
        parts: list[tuple[str, bool]] = self.recipe.seen(feature)
        return parts

    def check_features(self, features: Dataset) -> list[Finding]:
        found: list[Finding] = self.recipe.check_features(features)
        return found

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        batch: Batch = self.recipe.collate(features, epoch)
        return batch

    def prepare(self, source: Path, train: Dataset | None) -> nn.Module:
        model: nn.Module = self.recipe.prepare(source, train)
        return model

    def load(self, folder: Path) -> nn.Module:
        model: nn.Module = self.recipe.load(folder)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        self.recipe.save(model, folder)

    def parameters(self, model: nn.Module) -> int:
        return int(self.recipe.parameters(model))

    def head(self, model: nn.Module) -> tuple[str, ...]:
        prefixes: tuple[str, ...] = self.recipe.head(model)
        return prefixes

    def items(self, batch: Batch) -> int:
        return int(self.recipe.items(batch))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        loss: Tensor = self.recipe.loss(model, batch)
        return loss

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        outputs: list[Any] = self.recipe.predict(model, batch)
        return outputs

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Any]]:
        evaluated: tuple[Tensor, list[Any]] = self.recipe.evaluate(model, batch)
        return evaluated

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        """Summaries, each with the characters of its unsupported words, and of the sentences that it comes from."""
        found = []
        for document, of_row in zip(rows["document"], outputs, strict=True):
            answer: Prediction = self.recipe.answer(document, of_row)
            odd = [list(span) for span in unsupported(document, answer.value)]
            found.append(replace(answer, details={**answer.details, "unsupported": odd}))
        return found

    # Evidence

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> NDArray[np.float64]:
        said = [on_lines(one.value) for one in predictions]
        stopped = [bool(one.details.get("stopped", True)) for one in predictions]
        return rouge.statistics(said, [list(map(on_lines, of_row)) for of_row in references], stopped)

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = rouge.score(sums)
        return {metric.name: found[metric.name] for metric in self.metrics}

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """The same summary, or another one where two sentences or two tokens were as likely as the tolerance allows."""
        if old.value == new.value:
            return True
        return bool(min(one.details.get("gap", np.inf) for one in (old, new)) <= tolerance)

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        from .evidence import sections_of

        return sections_of(self, records)

    def examine(
        self, model: nn.Module, data: Data, answers: Mapping[str, list[Prediction]], baselines: Mapping[str, Baseline]
    ) -> dict[str, Any]:
        from .evidence import oracle_section

        return oracle_section(self, data.splits["test"])

    def in_words(self, value: Any, given: Any) -> str:
        """A summary on one line; several, with a stroke between them."""
        return " | ".join(" ".join(one.split()) for one in ([value] if isinstance(value, str) else value))

    def about(self) -> str:
        return str(self.recipe.about())

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "usage": usage_of(self.recipe)}

    def slices(self, rows: Dataset, train: Dataset) -> Mapping[str, Sequence[str | None]]:
        from .evidence import by_kind

        return by_kind(rows)

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        from .evidence import perturbed

        return perturbed(rows)

    # Baselines

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from .baselines import fit_baselines

        return fit_baselines(self, data, source)

    def load_baseline(self, folder: Path) -> Baseline:
        from .baselines import load

        return load(self, folder)


TASK = Summarization
