"""What every classification shares: one label of several for each input, whatever the input is."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import column
from common.data.splits import Data
from common.evaluation import baselines, slices
from common.evaluation.baselines import FrozenEncoder, Vectors
from common.evaluation.records import groups_of
from common.kinds.classification_checks import labels_of
from common.metrics import calibration, classification
from common.metrics.intervals import Bootstrap
from common.models import regression
from common.models.heads import new_head, start_head
from common.models.neighbours import DIGITS, ROWS, Neighbours, farthest, inputs_of, last_layer, write_shown
from common.models.weights import WithHead, auto
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

CONFUSED = 20
# Confusion matrices of more classes cannot be read; the most confused pairs are listed for all.
MATRIX_CLASSES = 30
# Labels that the model card names one by one.
NAMED = 20
UNLIKE = "unlike its training data"
# Inputs of each kind without a meaning that the model is asked about.
MEANINGLESS = 100


class Read(NamedTuple):
    """What the model makes of an input.

    Attributes:
        logits: (c,).
        vector: (d,) what its last layer reads, as long as no training rows are remembered.
        nearest: distances to the nearest of those, and their indices, (k,) each.
    """

    logits: NDArray[np.float32]
    vector: NDArray[np.float32] | None = None
    nearest: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None


class Classification(WithHead, Task):
    """A task whose model gives logits, (b, c): its loss is the cross-entropy, its scores are accuracy and macro-F1."""

    metrics = (Metric("accuracy", exact=True), Metric("macro_f1", title="macro-F1"))
    simple_vectors: ClassVar[str]  # name of the baseline that knows no pretrained model
    processor: Any
    rows_read: Data  # by `data`
    remembered: Dataset  # the training rows of `neighbours`, while these are new
    neighbours: Neighbours | None = None

    @property
    def labels(self) -> list[str]:
        """The model's classes in order."""
        labels: list[str] = self.settings["labels"]
        return labels

    def data(self) -> Data:
        self.rows_read = self.load_data()
        self.settings["labels"] = labels_of(self.rows_read)
        return self.rows_read

    @abstractmethod
    def load_data(self) -> Data:
        """The checked and split rows."""

    # Model

    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        model = self.adapt(new_head(auto(self.auto_class), source, self.labels, self.config.pretrained))
        if self.config.start_head and self.config.pretrained:
            start_head(self, model, train, column(train, "labels"), len(self.labels), seed=self.config.seed)
        return model

    def adapt(self, model: Any) -> nn.Module:
        """Change what the architecture needs before the head is started."""
        adapted: nn.Module = model
        return adapted

    def save(self, model: nn.Module, folder: Path) -> None:
        model.save_pretrained(folder)  # type: ignore[operator]
        self.processor.save_pretrained(folder)

    def keep(self, folder: Path) -> None:
        """Vectors of training rows, and what a demo shows of these rows."""
        if self.neighbours is None:
            return
        self.neighbours.save(folder)
        write_shown(folder, [(row["reference"], self.small_input(row)) for row in self.remembered])

    def recall(self, folder: Path) -> None:
        self.neighbours = Neighbours.load(folder)

    def small_input(self, row: Mapping[str, Any]) -> str:
        """What a demo shows of a training row: a text, or the data URI of a small picture."""
        return str(self.shown_input(row))

    # Learning and answering

    @abstractmethod
    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        """(b, c) what the model gives for a batch."""

    def class_ids(self, rows: Mapping[str, list[Any]]) -> dict[str, list[int]]:
        """The column `labels` of features, from the references of their rows; nothing for rows without."""
        if "reference" not in rows:
            return {}
        number = {label: index for index, label in enumerate(self.labels)}
        return {"labels": [number[label] for label in rows["reference"]]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self._loss(self.logits(model, batch), batch)

    def predict(self, model: nn.Module, batch: Batch) -> list[Read]:
        logits, vectors = self._read(model, batch)
        rows = logits.float().cpu().numpy()
        if vectors is None:
            return [Read(row) for row in rows]
        if self.neighbours is None:
            return [Read(row, vector) for row, vector in zip(rows, vectors.float().cpu().numpy(), strict=True)]
        nearest = zip(*self.neighbours.nearest(vectors), strict=True)
        return [Read(row, nearest=pair) for row, pair in zip(rows, nearest, strict=True)]

    def _read(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """(b, c) logits, and (b, d) what the last layer reads; None where that is no vector of a whole input."""
        layer = last_layer(model, len(self.labels))
        if layer is None:
            return self.logits(model, batch), None
        with inputs_of(layer) as read:
            logits = self.logits(model, batch)
        return logits, read[-1] if read[-1].ndim == 2 else None

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Read]]:
        logits = self.logits(model, batch)
        return self._loss(logits, batch), [Read(row) for row in logits.float().cpu().numpy()]

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        smoothing = self.config.label_smoothing
        return nn.functional.cross_entropy(logits.float(), batch["labels"], label_smoothing=smoothing, reduction="sum")

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        return self._answers([self._details(of_row[0]) for of_row in outputs])

    def _details(self, read: Read) -> dict[str, Any]:
        """All that decides an answer, rounded, so that predictions.jsonl holds it as it was used."""
        details: dict[str, Any] = {"logits": [float(f"{value:.6g}") for value in read.logits.tolist()]}
        if read.nearest is not None:
            distances, indices = read.nearest
            details |= {"distance": round(float(distances[0]), DIGITS), "nearest": indices.tolist()}
        return details

    def _answers(self, details: list[dict[str, Any]]) -> list[Prediction]:
        """Labels with calibrated confidence; an input unlike the training data is never sure."""
        if not details:
            return []
        logits = np.asarray([of_row["logits"] for of_row in details])
        probabilities = calibration.probabilities(logits, self.settings.get("temperature", 1.0))
        threshold = self.settings.get("threshold") or 0.0
        answers = []
        for of_row, best, highest in zip(details, probabilities.argmax(axis=1), probabilities.max(axis=1), strict=True):
            confidence, unlike = round(float(highest), 6), self._is_unlike(of_row)
            sure = confidence >= threshold and not unlike
            answers.append(Prediction(self.labels[best], confidence, sure, of_row, UNLIKE if unlike else ""))
        return answers

    def _is_unlike(self, details: dict[str, Any]) -> bool:
        most = self.settings.get("farthest")
        return most is not None and details.get("distance", 0.0) > most

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """What decides whether an answer is sure: temperature, confidence, and distance to the nearest training row.

        1 and None for too few rows. The training rows that distances are measured to are remembered.
        """
        self.neighbours = None
        if len(validation) < calibration.FEWEST_ROWS:
            return {"temperature": 1.0, "threshold": None, "farthest": None, "meaningless": {}}
        self.neighbours = self._remember(ask)
        details = [self._details(of_row[0]) for of_row in ask(validation)]
        logits = np.asarray([of_row["logits"] for of_row in details], dtype=np.float64)
        references = np.asarray(self.class_ids({"reference": list(validation["reference"])})["labels"])
        temperature = round(calibration.fit_temperature(logits, references), 6)
        confidence = calibration.probabilities(logits, temperature).max(axis=1)
        most = self._farthest(details, validation)
        far = np.asarray([most is not None and of_row["distance"] > most for of_row in details])
        # An answer to what is unlike the training rows is not sure, however high its confidence.
        threshold = calibration.answer_threshold(np.where(far, 0.0, confidence), logits.argmax(axis=1) == references)
        threshold = max(threshold, float(confidence[~far].min()))
        settled = {"temperature": temperature, "threshold": round(threshold, 6), "farthest": most}
        return {**settled, "meaningless": self._found_unlike(ask, validation, most)}

    def _remember(self, ask: Callable[[Dataset], Outputs]) -> Neighbours | None:
        """Some training rows of every label; None where the model's last layer reads no vector of a whole input."""
        self.remembered = remembered_rows(self.rows_read.splits["train"], self.config.seed)
        vectors = [of_row[0].vector for of_row in ask(self.remembered)]
        return None if vectors[0] is None else Neighbours(torch.from_numpy(np.stack(vectors)))

    def _farthest(self, details: list[dict[str, Any]], validation: Dataset) -> float | None:
        """The distance beyond which a row is unlike the training rows, by validation rows that are none of these."""
        leaked = set(self.rows_read.leaked.get("validation", ()))
        pairs = zip(details, validation["id"], strict=True)
        distances = [of_row["distance"] for of_row, name in pairs if "distance" in of_row and name not in leaked]
        return farthest(np.asarray(distances))

    def _found_unlike(
        self, ask: Callable[[Dataset], Outputs], validation: Dataset, most: float | None
    ) -> dict[str, float]:
        """{kind: share of inputs without a meaning that are found to be unlike the training rows}."""
        if most is None:
            return {}
        with TemporaryDirectory() as folder:
            asked = self.meaningless(validation, MEANINGLESS, Path(folder))
            answers = {kind: [self._details(of_row[0]) for of_row in ask(rows)] for kind, rows in asked.items()}
        return {
            kind: round(float(np.mean([of_row["distance"] > most for of_row in details])), 6)
            for kind, details in answers.items()
        }

    def meaningless(self, rows: Dataset, count: int, folder: Path) -> dict[str, Dataset]:
        """{kind: rows without a meaning}, made of these rows; files go to the folder."""
        return {}

    def probabilities(self, prediction: Prediction) -> dict[str, float]:
        """The calibrated probability of every label."""
        row = calibration.probabilities(np.asarray([prediction.details["logits"]]), self.settings["temperature"])[0]
        return dict(zip(self.labels, row.tolist(), strict=True))

    # Evidence

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        return classification.statistics(*self._numbers(predictions, references), len(self.labels))

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return classification.score(sums)

    def compute_metrics(self, predictions: list[Prediction], references: list[Any]) -> dict[str, float]:
        from common.metrics.classification_modules import Accuracy, MacroF1

        predicted, true = self._numbers(predictions, references)
        found: dict[str, float] = {}
        for module in (Accuracy(), MacroF1()):
            found |= module.compute(predictions=predicted, references=true) or {}
        return found

    def _numbers(
        self, predictions: list[Prediction], references: list[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        number = {label: index for index, label in enumerate(self.labels)}
        predicted = np.asarray([number[prediction.value] for prediction in predictions], dtype=np.int64)
        return predicted, np.asarray([number[reference] for reference in references], dtype=np.int64)

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        answers = [Prediction.from_json(record["prediction"]) for record in records]
        predicted, true = self._numbers(answers, [record["reference"] for record in records])
        logits = np.asarray([answer.details["logits"] for answer in answers], dtype=np.float64)
        return {
            "calibration": self._calibration(records, logits, true),
            "confusion": self._confusion(predicted, true),
            "classes": {"classes": classification.per_class(predicted, true, self.labels)},
            **self._unlike(),
        }

    def _unlike(self) -> dict[str, Any]:
        """From which distance on an input is unlike the training rows; how many are, each set of rows says itself."""
        if self.settings.get("farthest") is None:
            return {}
        found = {name: self.settings[name] for name in ("farthest", "meaningless")}
        return {"unlike": {**found, "doubt": UNLIKE, "remembered": len(self.neighbours or ())}}

    def _calibration(
        self, records: list[dict[str, Any]], logits: NDArray[np.float64], true: NDArray[np.int64]
    ) -> dict[str, Any]:
        """The calibration before and after, and whether the temperature made it better on these rows."""
        temperature, threshold = self.settings["temperature"], self.settings["threshold"]
        is_calibrated = threshold is not None
        bootstrap = Bootstrap(groups_of(records), self.config.seed)
        return {
            **calibration.summary(logits, true, temperature),
            "threshold": threshold,
            "calibrated": is_calibrated,
            "change": calibration.change(logits, true, temperature, bootstrap) if is_calibrated else None,
        }

    def _confusion(self, predicted: NDArray[np.int64], true: NDArray[np.int64]) -> dict[str, Any]:
        """The most confused pairs; for few classes the whole matrix, (reference, prediction)."""
        wrong = predicted != true
        count = Counter(zip(true[wrong].tolist(), predicted[wrong].tolist(), strict=True)).most_common(CONFUSED)
        pairs = [{"reference": self.labels[t], "prediction": self.labels[p], "examples": n} for (t, p), n in count]
        if len(self.labels) > MATRIX_CLASSES:
            return {"pairs": pairs}
        matrix = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        np.add.at(matrix, (true, predicted), 1)
        return {"pairs": pairs, "labels": self.labels, "matrix": matrix.tolist()}

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """An answer follows from its logits, and no probability has moved by more than the tolerance."""
        if not old.details:
            return bool(old.value == new.value)
        (stated,) = self._answers([old.details])
        if stated != old or abs(old.details.get("distance", 0) - new.details.get("distance", 0)) > tolerance:
            return False
        both = np.asarray([old.details["logits"], new.details["logits"]])
        one, two = calibration.probabilities(both, self.settings["temperature"])
        first, second = np.sort(one)[::-1][:2]
        if old.value != new.value:
            return bool(first - second <= tolerance)
        return bool(np.abs(one - two).max() <= tolerance)  # NaN fails

    def about(self) -> str:
        labels = self.labels
        rest = f" and {len(labels) - NAMED // 2} more (in `config.json`)"
        named = ", ".join(labels) if len(labels) <= NAMED else ", ".join(labels[: NAMED // 2]) + rest
        return f"It knows {len(labels)} labels: {named}."

    def slices(self, rows: Dataset, train: Dataset) -> dict[str, list[str]]:
        by_frequency = slices.by_frequency(rows, train, self.labels, "label")
        return {"label": list(rows["reference"]), **by_frequency, **slices.by_column(rows)}

    # Baselines

    @abstractmethod
    def make_vectors(self, inputs: list[Any]) -> Vectors:
        """The vectors of the baseline that knows no pretrained model, made from the training inputs."""

    @abstractmethod
    def load_vectors(self, folder: Path) -> Vectors:
        """What those vectors saved."""

    @abstractmethod
    def load_encoder(self, folder: Path, complete: bool = False) -> nn.Module:
        """The pretrained model as it came, or `complete` as a run kept it, for the frozen encoder's vectors."""

    @abstractmethod
    def encoder_vectors(self, encoder: Any, batch: Batch) -> Tensor:
        """(b, d) what the pretrained model makes of a batch."""

    def _frozen(self, folder: Path, complete: bool) -> FrozenEncoder:
        return FrozenEncoder(self, self.load_encoder(folder, complete), self.encoder_vectors)

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        made = {
            self.simple_vectors: self.make_vectors,
            "frozen_encoder_logistic_regression": lambda _: self._frozen(source, complete=False),
        }
        return baselines.fit_baselines(self, data, made)

    def load_baseline(self, folder: Path) -> Baseline:
        def load_vectors(kind: str, folder: Path) -> Vectors:
            return self._frozen(folder / "encoder", True) if kind == FrozenEncoder.kind else self.load_vectors(folder)

        return baselines.load(folder, load_vectors)


def remembered_rows(train: Dataset, seed: int) -> Dataset:
    """The training rows that inputs are held against: all, or `ROWS` of them, some of every label."""
    return train.select(regression.draw(train["reference"], ROWS, seed))
