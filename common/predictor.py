"""The one door to a fine-tuned model: evaluation, demo, card and export all ask here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from torch import OutOfMemoryError, nn

from common import inference
from common.config import load as load_config
from common.data.features import Features, by_row, in_memory
from common.run import Run, understood, vouched_files, weights_sha256
from common.system.errors import UserError
from common.system.files import read_json, write_json
from common.system.hardware import choose_precision, default_device
from common.task.contract import Baseline, Outputs, Prediction, Task
from common.task.projects import load_task_class

if TYPE_CHECKING:
    from accelerate import Accelerator

# Beside the weights: what the model needs to answer as it was measured.
SETTINGS = "kit.json"


class Predictor:
    """A fine-tuned model that answers as it was measured.

    Args:
        task: knows how inputs are encoded and outputs are read; its `settings` belong to the model.
        model: on any device.
        precision: `auto` takes bf16 where the hardware multiplies it, else fp32.
        folder: the run that the model belongs to, where its evidence lies.
    """

    def __init__(self, task: Task, model: nn.Module, precision: str = "auto", folder: Path | None = None):
        self.task, self.folder = task, folder
        self.device = default_device()
        self.precision = choose_precision(precision, self.device.type).name
        self.model = model.to(self.device).eval()

    @classmethod
    def load(cls, run: str | Path, precision: str = "auto", task: Task | None = None) -> "Predictor":
        """The model of a run's folder, with a `task` that has read its data already if there is one.

        Raises UserError where there is no finished model, its files cannot be read, or its weights are not those of
        the manifest.
        """
        folder = Path(run)
        vouched_files(Run(folder))  # none is a link, the baseline's included
        task = load_task(folder, task)
        with understood(folder):
            named = read_json(Run(folder).manifest)["model"]["weights_sha256"]
        if named != weights_sha256(Run(folder)):
            problem = f"the weights of {folder} are not those that its manifest.json names"
            raise UserError(f"{problem}: get the run's files again, or train it anew.")
        model = Run(folder).model
        with _readable(folder, "model"):
            task.load_processor(model)
            task.recall(Run(folder).neighbours)
            loaded = task.load(model)
        return cls(task, loaded, precision, folder)

    def predict(self, inputs: list[Any], name: str = "") -> list[Prediction]:
        """The answers to raw inputs, such as texts, in their order; `name` describes the progress bar."""
        if not inputs:
            return []
        rows = self.task.rows(inputs)
        return self.task.finish(rows, self.outputs(in_memory(self.task.encode, rows), len(inputs), name=name))

    def answers(
        self, rows: Dataset, features: Dataset, accelerator: "Accelerator | None" = None, name: str = ""
    ) -> list[Prediction]:
        """The answers to rows whose features are given; `name` describes the progress bar."""
        return self.task.finish(rows, self.outputs(features, len(rows), accelerator, name))

    def outputs(
        self, features: Features, rows: int, accelerator: "Accelerator | None" = None, name: str = ""
    ) -> Outputs:
        """What the model gives for the features of each of so many rows; processes share the work, each gets all."""
        found = inference.run(
            self.task,
            self.model,
            features,
            self.device,
            precision=self.precision,
            accelerator=accelerator,
            description=name,
        )
        return by_row(found.values, features, rows)


@contextmanager
def _readable(folder: Path, what: str) -> Iterator[None]:
    """Load a part of a run.  Raises UserError where one of its files cannot be read."""
    try:
        yield
    except (UserError, OutOfMemoryError):
        raise
    except Exception as error:  # what forged files make other libraries raise is written nowhere
        reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}"
        remedy = "get the run's files again, or train it anew"
        raise UserError(f"the {what} of {folder} cannot be loaded ({reason}): {remedy}.") from error


def kept_baseline(task: Task, run: Run) -> Baseline:
    """The baseline that is kept beside a run's model.  Raises UserError where its files cannot be read."""
    with _readable(run.folder, "baseline"):
        return task.load_baseline(run.baseline)


def load_task(folder: Path, task: Task | None = None) -> Task:
    """The task of a finished run with the settings of its model, which is not loaded; a `task` gets them if given.

    Raises UserError where there is no finished model.
    """
    run = Run(folder)
    files = {file.name for file in run.files("model")}
    if SETTINGS not in files or not run.manifest.is_file():
        raise UserError(f"{folder} holds no finished model: train it first, or name another run.")
    saved = read_json(run.model / SETTINGS)
    if (
        not isinstance(saved, dict)
        or not isinstance(saved.get("settings"), dict)
        or not isinstance(saved.get("project"), str)
    ):
        raise UserError(f"{folder} comes from another version of the kit (see {SETTINGS}): train it again.")
    if task is None:
        task_class = load_task_class(saved["project"])
        task = task_class(load_config(task_class.config_class, run.config))
    task.settings = saved["settings"]
    return task


def save_settings(task: Task, folder: Path) -> None:
    """Write what `Predictor.load` needs beside weights and configuration."""
    write_json(folder / SETTINGS, {"project": task.project, "settings": task.settings})
