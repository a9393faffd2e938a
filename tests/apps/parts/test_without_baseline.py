"""A run whose baselines failed has a demo without a second answer."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from apps.text_classification import TextDemo
from common import fine_tune
from common.evaluation import baselines
from common.predictor import Predictor
from common.run import Run
from projects.text_classification.task import TextClassification


def fails(*_: Any) -> Any:
    raise ValueError("no vocabulary")


@pytest.mark.parametrize("broken", ["all baselines", "the copy of the best one"])
def test_a_demo_without_a_baseline_answers(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "tiny")
    if broken == "all baselines":
        monkeypatch.setattr(TextClassification, "baselines", fails)
    for kind in (baselines.Regression, baselines.Majority):
        monkeypatch.setattr(kind, "save", fails)
    run = fine_tune.evaluate_again(tmp_path / "tiny")
    assert "no vocabulary" in run.report.read_text(encoding="utf-8")
    demo = TextDemo(Predictor.load(run.folder))
    assert demo.baseline is None
    page = TextDemo.build(Predictor.load(run.folder))
    assert page.blocks
