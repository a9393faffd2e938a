"""Rows with several features each: every answer is made of its own row's features, in their order."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
from accelerate import Accelerator
from datasets import Dataset

from common.data.features import Encoded, by_row, encoded, in_memory
from common.inference import run
from common.predictor import Predictor
from common.system.hardware import default_device
from common.training.loop import Trainer
from tests.common.tiny import TinyWindowed, long_rows
from tests.common.training.test_loop import CONFIG

# More rows than `Dataset.map` hands over at once.
ROWS = 1_200


@pytest.fixture(scope="module")
def rows() -> Dataset:
    return long_rows(ROWS)


@pytest.fixture(scope="module")
def task() -> TinyWindowed:
    return TinyWindowed(CONFIG)


@pytest.fixture(scope="module")
def predictor(task: TinyWindowed) -> Predictor:
    return Predictor(task, task.model(), precision="fp32")


def windows_of(rows: Dataset) -> list[tuple[int, list[int]]]:
    """(row, tokens) of every window, made by hand."""
    cut = ((n, tokens, start) for n, tokens in enumerate(rows["tokens"]) for start in range(0, len(tokens), 3))
    return [(n, tokens[start : start + 3]) for n, tokens, start in cut]


@pytest.mark.parametrize("cached", [False, True])
def test_features_know_their_row_among_all_rows(
    task: TinyWindowed, rows: Dataset, tmp_path: Path, cached: bool
) -> None:
    features = encoded(task.encode, rows, tmp_path / "features.arrow" if cached else None)
    expected = windows_of(rows)
    assert len(features) == len(expected) > ROWS
    assert features["row"][:] == [row for row, _ in expected]
    assert features["input_ids"][:] == [tokens for _, tokens in expected]
    assert features["id"][:] == [f"test:{row + 1}" for row, _ in expected]
    assert set(features.column_names) == {"id", "row", "input_ids", "length", "labels"}


def test_a_few_rows_in_memory_have_the_same_features(task: TinyWindowed, rows: Dataset) -> None:
    few = rows.select(range(40))
    features, table = in_memory(task.encode, few[:]), encoded(task.encode, few)
    assert len(features) == len(table)
    for name in ("row", "input_ids", "length", "labels"):
        assert features[name] == table[name][:]


def test_values_come_back_by_row_whatever_order_they_were_computed_in(task: TinyWindowed, rows: Dataset) -> None:
    features = encoded(task.encode, rows)
    found = run(task, task.model().to(default_device()), features, default_device(), batch_size=7)
    of_rows = by_row([tokens for _, tokens in found.values], features, len(rows))
    assert [list(itertools.chain(*of_row)) for of_row in of_rows] == rows["tokens"][:]
    assert max(map(len, of_rows)) == 4 and min(map(len, of_rows)) == 1
    with pytest.raises(ValueError, match="shorter"):
        by_row(found.values[:-1], features, len(rows))


def test_the_predictor_answers_raw_inputs_and_rows_alike(predictor: Predictor, rows: Dataset) -> None:
    together = predictor.predict(rows["tokens"][:])
    by_features = predictor.answers(rows, encoded(predictor.task.encode, rows))
    assert [answer.details["tokens"] for answer in together] == rows["tokens"][:]
    assert together == by_features
    assert len({answer.value for answer in together}) > 1
    for number in (0, 7, ROWS - 1):
        assert predictor.predict([rows["tokens"][number]])[0].details == together[number].details
    assert predictor.predict([]) == []


def test_a_validation_split_is_scored_by_row_and_its_loss_taken_by_feature(tmp_path: Path, rows: Dataset) -> None:
    config = dataclasses.replace(CONFIG, epochs=1)
    task = TinyWindowed(config, 0.0)
    train, validation = encoded(task.encode, rows.select(range(60))), rows.select(range(60, 160))
    features = encoded(task.encode, validation)
    assert len(train) > 90 and len(features) > 150
    trainer = Trainer(
        task, task.model(), train, Encoded(validation, features), config, Accelerator(cpu=True), tmp_path, 32
    )
    trainer.run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    evaluated = {line["step"]: line for line in lines if "validation_loss" in line}
    assert evaluated.keys() == {0, -(-len(train) // 32)}
    best = evaluated[trainer.progress.best_step]
    found = run(task, trainer.model, features, trainer.accelerator.device, with_loss=True)
    answers = task.finish(validation, by_row(found.values, features, len(validation)))
    right = [one.value == reference for one, reference in zip(answers, validation["reference"], strict=True)]
    assert best["validation_accuracy"] == pytest.approx(sum(right) / 100)
    assert best["validation_loss"] == pytest.approx(found.loss, abs=1e-6)
