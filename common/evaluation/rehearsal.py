"""What the evaluation will need is tried before the training, on a few rows, while nothing can be lost yet."""

import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import Dataset
from torch import nn

from common.data.features import encoded
from common.data.splits import Data
from common.evaluation.attempts import Attempts
from common.evaluation.measure import evidence
from common.evaluation.results import summarise
from common.predictor import Predictor
from common.task.contract import Outputs, Task

# Rows of each split: enough to go through every step.
ROWS = 8


def rehearse(task: Task, model: nn.Module, data: Data, source: Path) -> list[dict[str, str]]:
    """{what, why} of each part of the evidence that fails on a few rows, with the model as it is before training.

    The task's settings are as before afterwards.
    """
    attempts, settings = Attempts(), task.settings
    task.settings, task.rehearsal = deepcopy(settings), True
    try:
        with attempts.part("the evaluation"):
            _evaluate(Predictor(task, model), _few(data), source, attempts)
    finally:
        task.settings, task.rehearsal = settings, False
    return attempts.failed


def _evaluate(predictor: Predictor, data: Data, source: Path, attempts: Attempts) -> None:
    """Go through the steps of an evaluation and write nothing."""
    task = predictor.task

    def ask(rows: Dataset) -> Outputs:
        return predictor.outputs(encoded(task.encode, rows), len(rows))

    task.refresh(ask)
    task.settings |= task.settle(ask, data.splits["validation"])
    test = data.splits["test"]
    answers = {"test": predictor.answers(test, encoded(task.encode, test))}
    baselines = task.baselines(data, source)
    records, measured = evidence(data, predictor, answers, baselines, attempts)
    attempts.failed += summarise(records, task)["failed"]
    with attempts.part("what the model itself is examined for"):
        task.examine(predictor.model, data, answers, baselines)
    with tempfile.TemporaryDirectory() as folder:
        for name in measured:
            with attempts.part(f"the baseline {name}"):
                (draft := Path(folder) / name).mkdir()
                baselines[name].save(draft)
        with attempts.part("what the report shows of single rows"):
            task.keep_input(test[0], Path(folder) / "input")


def _few(data: Data) -> Data:
    """Rows from all over each split; no out-of-domain sets, which are asked alike."""
    splits = {
        name: rows.select(np.unique(np.linspace(0, len(rows) - 1, ROWS).astype(int)))
        for name, rows in data.splits.items()
    }
    return replace(data, splits=splits, out_of_domain={})
