"""The benchmark of "Why" on a small run: the orders that it compares, its curves, and its table in the README."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.predictor import Predictor
from common.reporting.readme_benchmarks import attribution_table
from common.run import Run
from projects.text_classification.pieces import pieces
from tests.benchmarks import attribution
from tests.benchmarks.attribution import Asked, both_curves


@pytest.fixture(scope="module")
def predictor(finished_run: Run) -> Predictor:
    return Predictor.load(finished_run.folder, precision="fp32")


def asked(predictor: Predictor, text: str) -> tuple[Asked, list[str]]:
    parts = pieces(text, predictor.task.processor, 40)  # type: ignore[attr-defined]
    return Asked(predictor, predictor.predict([text])[0].value), parts


def test_curves_run_from_the_whole_text_to_none_of_it(predictor: Predictor) -> None:
    text = "the soup and the drum and the bread are here today"
    ask, parts = asked(predictor, text)
    curves = both_curves(ask, parts, np.arange(len(parts)))
    ends = ask([text, " "]).tolist()
    assert curves["deletion"][[0, -1]].tolist() == ends and curves["insertion"][[-1, 0]].tolist() == ends


def test_every_way_to_weigh_words_finds_the_one_that_decides(predictor: Predictor) -> None:
    """The rows of this run are about food, music or weather by a single word."""
    text = "today here and there the drum was very"
    ask, parts = asked(predictor, text)
    for name, weigh in attribution.METHODS.items():
        values = weigh(ask, text, parts)
        assert values.shape == (len(parts),) and np.isfinite(values).all()
        if name != "random order" and ask.label == "music":
            assert parts[int(np.argmax(values))] == "drum "


def test_the_benchmark_fills_the_readmes_table(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(attribution, "RESULTS", tmp_path / "attribution.json")
    monkeypatch.setattr(attribution, "SHORTEST", 2)
    monkeypatch.setattr("apps.text_classification.COALITIONS", 32)
    monkeypatch.setattr("sys.argv", ["attribution", str(finished_run.folder), "--rows", "3", "--write"])
    attribution.main()
    written: dict[str, Any] = json.loads((tmp_path / "attribution.json").read_text())
    assert written["rows"] == 3 and set(written["methods"]) == set(attribution.METHODS)
    table = attribution_table({"attribution": written})
    assert all(f"| {name} |" in table for name in attribution.METHODS)
    area = written["methods"]["leave one out"]["deletion"]["area"]
    assert f"| leave one out | {area:.3f} |" in table and "3 test rows" in table
