"""The one door to a fine-tuned model: evaluation, demo, card and export all ask here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common import inference
from common.errors import UserError
from common.evaluation import calibration
from common.hardware import choose_precision, default_device
from common.run import read_json

if TYPE_CHECKING:
    from accelerate import Accelerator

    from common.task import Features, Task

# Beside the weights: what the model needs to answer as it was measured.
SETTINGS = "kit.json"


@dataclass(frozen=True)
class Prediction:
    """An answer: the label, its calibrated probability, the probability of every label, and whether it is sure."""

    label: str
    confidence: float
    probabilities: dict[str, float]
    sure: bool


class Predictor:
    """A fine-tuned classifier that answers as it was measured.

    Args:
        task: knows how inputs are encoded; its `labels` are the model's classes in order.
        model: on any device.
        temperature: divides the logits, so that a probability of 0.9 is right nine times out of ten.
        threshold: an answer with less confidence is not sure.
        precision: `auto` takes bf16 where the hardware multiplies it, else fp32.
        folder: the run that the model belongs to, where its evidence lies.
    """

    def __init__(
        self,
        task: "Task",
        model: nn.Module,
        labels: list[str],
        temperature: float = 1.0,
        threshold: float = 0.0,
        precision: str = "auto",
        folder: Path | None = None,
    ):
        self.task, self.labels, self.temperature, self.threshold, self.folder = task, labels, temperature, threshold, folder
        self.device = default_device()
        self.precision = choose_precision(precision, self.device.type).name
        self.model = model.to(self.device).eval()

    @classmethod
    def load(cls, run: str | Path, precision: str = "auto", task: "Task | None" = None) -> "Predictor":
        """The model of a run's folder, with a `task` that has read its data already if there is one.

        Raises UserError where there is no finished model.
        """
        from common.config import load
        from common.task import load_task_class

        folder = Path(run)
        if not (folder / "model" / SETTINGS).exists():
            raise UserError(f"{folder} holds no finished model: train it first, or name another run.")
        settings = read_json(folder / "model" / SETTINGS)
        if missing := {"project", "labels", "temperature", "threshold"} - settings.keys():
            raise UserError(f"{folder} comes from another version of the kit ({', '.join(sorted(missing))} missing): train it again.")
        if task is None:
            task_class = load_task_class(settings["project"])
            task = task_class(load(task_class.config_class, folder / "config.yaml"))
        task.labels = settings["labels"]
        model = task.model(folder / "model")
        return cls(task, model, settings["labels"], settings["temperature"], settings["threshold"], precision, folder)

    def save_settings(self, folder: Path) -> None:
        """Write what `load` needs beside weights and configuration."""
        settings = {"project": self.task.project, "labels": self.labels, "temperature": self.temperature, "threshold": self.threshold}
        (folder / SETTINGS).write_text(json.dumps(settings, indent=1, ensure_ascii=False), encoding="utf-8")

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        """The answers to raw inputs, such as texts, in their order."""
        if not inputs:
            return []
        return self.answers(self.logits(self.task.features(inputs)))

    def logits(self, features: "Features", accelerator: "Accelerator | None" = None, description: str = "") -> NDArray[np.float64]:
        """(n, c) outputs for encoded features, batched by length, shared out over processes if there are several."""
        outputs = inference.run(
            self.task,
            self.model,
            features,
            self.device,
            precision=self.precision,
            process=accelerator.process_index if accelerator else 0,
            processes=accelerator.num_processes if accelerator else 1,
            description=description,
        )
        return np.stack(outputs.values).astype(np.float64)

    def answers(self, logits: NDArray[np.float64]) -> list[Prediction]:
        """Logits as labels with calibrated probabilities."""
        answers = []
        for row in calibration.probabilities(logits, self.temperature):
            best = int(row.argmax())
            confidence = float(row[best])
            probabilities = dict(zip(self.labels, row.tolist(), strict=True))
            answers.append(Prediction(self.labels[best], confidence, probabilities, sure=confidence >= self.threshold))
        return answers
