"""The baselines on rows that have little to learn from, and on many types."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset

from common.config import parse
from common.evaluation import baselines as shared
from common.evaluation.baselines import Failed
from common.models import regression
from common.task.projects import load_task_class

from .conftest import PROJECT
from .rows import weather_reports

TASK = load_task_class(PROJECT)


def module(name: str) -> Any:
    return importlib.import_module(f"projects.{PROJECT}.{name}")


def dataset(rows: list[dict[str, Any]]) -> Dataset:
    entities = [row["spans"] for row in rows]
    texts = [row["text"] for row in rows]
    return Dataset.from_dict({"id": [f"train:{n + 1}" for n in range(len(rows))], "text": texts, "reference": entities})


@pytest.fixture
def task(tiny_model: Path) -> Any:
    task = TASK(parse(TASK.config_class, ["--train_file", "none"]))
    task.settings = {"types": ["food", "weather"], "seen": [], "whole_words": False}
    task.load_processor(tiny_model)
    return task


def test_texts_without_any_entity_give_baselines_that_find_none(task: Any, tiny_model: Path) -> None:
    """Their words have one tag only, of which a regression could learn nothing."""
    rows = dataset([{"text": row["text"], "spans": []} for row in weather_reports(30)])
    data = SimpleNamespace(splits={"train": rows})
    found = module("baselines").fit_baselines(task, data, tiny_model, task.types)
    assert len(found) == 4 and not any(isinstance(one, Failed) for one in found.values())
    for one in found.values():
        assert all(answer.value == [] for answer in one.predict(["rain and soup", "the storm"]))


def test_one_baseline_that_cannot_be_fitted_leaves_the_others(
    task: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module("baselines").Shapes, "fit", fails)
    data = SimpleNamespace(splits={"train": dataset(weather_reports(30))})
    found = module("baselines").fit_baselines(task, data, tiny_model, task.types)
    assert [name for name, one in found.items() if isinstance(one, Failed)] == ["shapes_logistic_regression"]
    with pytest.raises(MemoryError):
        found["shapes_logistic_regression"].predict(["rain"])


def test_many_types_get_fewer_features_so_that_the_regression_fits_the_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    baselines = module("baselines")
    rows, types = dataset(weather_reports(60)), sorted({"food", "weather", *(f"type {n}" for n in range(50))})
    monkeypatch.setattr(regression, "COEFFICIENTS", 2**20)
    shapes = baselines.Shapes.fit(rows, types)
    assert shapes.weight.size <= 2**20 < 2 * shapes.weight.size
    shapes.save(tmp_path)
    again = baselines.load(None, tmp_path, types)
    assert again.predict(rows["text"][:5]) == shapes.predict(rows["text"][:5])
    assert not regression.is_affordable(101, baselines.SHAPE_FEATURES), "one of 50 types would take gigabytes"


def test_a_sample_of_many_texts_has_some_of_every_type(monkeypatch: pytest.MonkeyPatch) -> None:
    rare = [{"text": "hail", "spans": [{"start": 0, "end": 4, "label": "ice"}]}]
    rows = dataset([*weather_reports(200), *rare])
    monkeypatch.setattr(shared, "ROWS", 60)
    for seed in range(10):
        drawn = shared.training_rows(SimpleNamespace(splits={"train": rows}), seed, module("baselines")._types_in)
        assert len(drawn) == 60 and "hail" in drawn["text"][:]


def test_what_changes_no_text_is_no_perturbation() -> None:
    perturbed = module("evidence").perturbed
    assert list(perturbed(dataset([{"text": "很好的电影", "spans": []}]), 0)) == ["typos in 10% of the other words"]
    assert len(perturbed(dataset([{"text": "Rain in March", "spans": []}]), 0)) == 2
