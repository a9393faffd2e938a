"""The pad to draw on: what arrives from it is checked."""

import base64
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.parts import drawing
from common.system.errors import UserError
from tests.apps.pictures import bomb, png


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "no drawing from the pad"),
        ("data:image/svg+xml;base64,PHN2Zz4=", "no drawing from the pad"),
        (drawing.PREFIX + "%%%", "no drawing from the pad"),
        (drawing.PREFIX + "A" * 300_000, "no drawing from the pad"),
        (drawing.PREFIX + base64.b64encode(bomb()).decode(), "no drawing from the pad"),
        (drawing.PREFIX + base64.b64encode(png(drawing.SIDE)[:90]).decode(), "no drawing from the pad"),
        (drawing.PREFIX + base64.b64encode(png(40)).decode(), "no drawing from the pad"),
        (drawing.PREFIX + base64.b64encode(png(drawing.SIDE, "black")).decode(), "no drawing yet"),
    ],
)
def test_what_is_no_drawing_gets_a_sentence(tmp_path: Path, value: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        drawing.save(value, tmp_path / "drawing.png")


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_damaged_drawing_is_one_or_gets_the_sentence(changes: list[tuple[float, bytes]]) -> None:
    content = bytearray(png(drawing.SIDE))
    for where, written in changes:
        place = int(where * len(content))
        content[place : place + len(written)] = written
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(UserError):
        drawing.save(drawing.PREFIX + base64.b64encode(content).decode(), Path(folder) / "drawing.png")
