"""The picture of a result."""

import copy
import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from common.reporting.figures import shape, small_picture
from common.reporting.picture import DARK, HEIGHT, MARKERS, MODEL, ROWS, WIDTH, describe, draw, is_shown, rows_of
from common.reporting.report import TEMPLATES
from common.reporting.wording import plain
from common.run import Run
from tests.common.reporting import synthetic


def pixels(picture: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def test_it_says_question_number_baseline_and_author() -> None:
    results = synthetic.classifier()
    said = {"question": "Does the critic like the film?", "for_whom": "For an editor.", "author": "Ada Lovelace"}
    results["portfolio"] = said
    picture = draw(results)
    assert draw(copy.deepcopy(results)) == picture, "the same results give the same bytes"
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (WIDTH, HEIGHT)
        assert image.info["Description"] == describe(results)
    assert describe(results) == (
        "Does the critic like the film? For an editor. "
        "The fine-tuned model gets 86.4 % (84.9 to 87.9) of 2,014 test rows right. "
        "On test, +6.6 points against the best baseline, words. On tweets, -7.8 points against the best baseline, "
        "words. On letters, +1.1 points against the best baseline, words. By Ada Lovelace."
    )
    for change in ({"question": "Does it?"}, {"author": ""}, {"for_whom": ""}):
        assert not np.array_equal(pixels(draw(results | {"portfolio": said | change})), pixels(picture)), change


def test_every_baseline_has_a_shape_of_its_own_on_every_page() -> None:
    names = [f"baseline {number}" for number in range(5)]
    results = synthetic.classifier() | {"baseline_titles": dict.fromkeys(names, synthetic.TITLES["words"])}
    shapes = [shape(results, name) for name in names]
    assert sorted(shapes) == sorted(MARKERS) and len(set(shapes)) == 5
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    assert all(f".report .dot.{one} {{" in css for one in shapes)


def test_there_is_a_dark_one_and_one_that_scales() -> None:
    results = synthetic.regression()
    corner = "#{:02x}{:02x}{:02x}".format(*pixels(draw(results, "dark"))[0, 0])
    assert corner == DARK["ground"]
    drawn = draw(results, "dark", "svg")
    assert drawn == draw(results, "dark", "svg") and describe(results) in drawn.decode()
    assert not re.search(r"<text|<image|href=\"http|<script|\d{4}-\d\d-\d\dT", drawn.decode())


def test_rows_are_test_sets_or_where_there_is_one_methods() -> None:
    results = synthetic.classifier()
    rows, left_out = rows_of(results)
    assert [(row.name, plain(row.note), row.verdict) for row in rows] == [
        ("test", "+6.6 points", "better"),
        ("tweets", "-7.8 points", "worse"),
        ("letters", "+1.1 points", "unclear"),
    ]
    assert left_out == 0 and all(row.intervals.keys() == {MODEL, "words"} for row in rows)
    rows, _ = rows_of(results | {"out_of_domain": {}})
    assert [list(row.intervals) for row in rows] == [[MODEL], ["words"], ["majority"]], "each with its own mark"
    assert [(row.name, plain(row.note)) for row in rows] == [
        ("fine-tuned", "86.4 %"),
        ("words", "79.8 %"),
        ("majority", "50.4 %"),
    ]


def test_what_has_no_room_is_counted_and_is_never_the_worst() -> None:
    results = synthetic.classifier()
    bad = results["out_of_domain"]["tweets"]
    better = copy.deepcopy(bad) | {"metrics": {"accuracy": synthetic.interval(0.9)}}
    results["out_of_domain"] = {**{f"set {i}": better for i in range(5)}, "worst": bad}
    rows, left_out = rows_of(results)
    assert len(rows) == ROWS and left_out == 3
    assert (rows[0].name, rows[-1].name) == ("test", "worst")
    draw(results)


@pytest.mark.parametrize(
    "text",
    [
        "$\\frac{1}{2}$ costs 5 $ and _x^2_",
        "word " * 200,
        "W" * 5000,
        "<b>&amp;\x1b[31m\u202etxt",
        "映画 مرحبا ไทย 🎬",
        "\n\n",
    ],
    ids=["formula", "long", "without a blank", "marks", "scripts", "blank"],
)
def test_texts_of_users_are_drawn_as_they_are_and_nothing_runs_out_of_the_picture(text: str, tmp_path: Path) -> None:
    results = synthetic.spans(tmp_path)
    results["portfolio"] = {"question": text, "for_whom": text, "author": text}
    results["metric_kinds"]["f1"]["title"] = text
    results["baseline_titles"]["table"]["short"] = text
    picture = pixels(draw(results))
    assert ElementTree.fromstring(draw(results, form="svg")).tag.endswith("svg")
    assert (picture[:, :40] == 255).all() and (picture[:, -40:] == 255).all(), "the margins are free"


def test_a_run_without_baselines_or_intervals_has_one(pages: dict[str, Run]) -> None:
    results = synthetic.classifier() | {"comparison": None, "baselines": {}, "baseline_titles": {}, "out_of_domain": {}}
    results["metrics"] = {"accuracy": synthetic.interval(0.8, None), "macro_f1": synthetic.interval(0.8, None)}
    assert "against" not in describe(results) and draw(results)
    for run in pages.values():
        assert Image.open(run.picture).size == (WIDTH, HEIGHT)


def test_of_a_strangers_pictures_only_png_are_opened(tmp_path: Path) -> None:
    """For other kinds Pillow starts other programs, or shows what lay in the memory."""
    results, file = synthetic.classifier(), tmp_path / "picture.png"
    file.write_bytes(draw(results))
    assert is_shown(file, results) and small_picture(file, 96).startswith("data:image/webp")
    Image.open(file).save(file, "BMP")
    assert not is_shown(file, results)
    with pytest.raises(OSError, match="cannot identify"):
        small_picture(file, 96)
