"""The training rows that are nearest to a question, below its answer."""

from pathlib import Path

import pytest

from apps.parts.answers import said
from apps.parts.nearest import NearestRows
from common.models.neighbours import write_shown
from common.run import Run
from common.system.errors import UserError
from common.task.contract import Prediction

ROWS = [("kind", "A <b>charming</b> film."), ("dull", "It drags on."), ("kind", "A <b>charming</b> film.")]
PICTURE = "data:image/jpeg;base64,AAAA"


def nearest(folder: Path, rows: list[tuple[str, str]] = ROWS) -> NearestRows:
    (folder / "neighbours").mkdir()
    write_shown(folder / "neighbours", rows)
    return NearestRows(Run(folder), len(rows))


def test_each_row_stands_there_once_with_its_label_and_means_nothing_in_html(tmp_path: Path) -> None:
    shown = nearest(tmp_path).as_html(Prediction("kind", details={"nearest": [2, 1, 0]}))
    assert shown.startswith("<details><summary>The nearest training rows")
    assert shown.count("<li>") == 2 and shown.index("charming") < shown.index("It drags on.")
    assert "<b>charming" not in shown and "&lt;b&gt;charming" in shown and "<b>kind</b>" in shown


def test_rows_that_are_far_away_are_called_so(tmp_path: Path) -> None:
    answer = Prediction("kind", 0.99, False, {"nearest": [1]}, "unlike its training data")
    assert "far away" in nearest(tmp_path).as_html(answer)


def test_pictures_are_shown_and_only_those_of_the_kit(tmp_path: Path) -> None:
    rows = [("cat", PICTURE), ("cat", f'{PICTURE}" onload="x')]
    shown = nearest(tmp_path, rows).as_html(Prediction("cat", details={"nearest": [0, 1]}))
    assert f'<img src="{PICTURE}"' in shown and '" onload' not in shown


def test_nothing_is_shown_where_no_rows_are_kept(tmp_path: Path) -> None:
    assert NearestRows(None, 0).as_html(Prediction("kind", details={"nearest": [0]})) == ""
    assert NearestRows(Run(tmp_path), 9).as_html(Prediction("kind", details={"nearest": [0]})) == ""
    assert nearest(tmp_path).as_html(Prediction("kind")) == ""


def test_rows_that_are_not_those_of_the_model_are_refused(tmp_path: Path) -> None:
    nearest(tmp_path)
    with pytest.raises(UserError, match="holds 3 rows, and the model remembered 3,000: get the run's files again"):
        NearestRows(Run(tmp_path), 3_000)


def test_an_answer_says_its_doubt_in_place_of_the_label() -> None:
    shown = said("kind", Prediction("kind", 0.99, False, doubt="unlike its training data"))
    assert "Unlike its training data" in shown and "Perhaps kind" in shown and "Sure" not in shown
