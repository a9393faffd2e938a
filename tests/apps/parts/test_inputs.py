"""What visitors give is checked, and what they get back holds no formula."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.parts.inputs import checked_file, neutralised, uploaded
from common.system.errors import UserError
from tests.apps.pictures import png


@given(st.text())
def test_no_cell_starts_a_formula(cell: str) -> None:
    safe = neutralised(cell)
    assert safe.replace("'", "") == cell.replace("'", "")
    assert not re.search(r"[;\t]\s*[=+@-]", safe)
    assert safe[:1] not in tuple("=@\t\r") and (safe[:1] not in tuple("+-") or float(safe) is not None)


def test_only_tables_are_read(tmp_path: Path) -> None:
    """Gradio looks at the kind of file, too; this holds without it."""
    (tmp_path / "many.exe").write_bytes(b"MZ")
    with pytest.raises(UserError, match="This kind of file cannot be read"):
        checked_file(str(tmp_path / "many.exe"), (".csv",))
    for odd in (None, 3, "nowhere.csv", str(tmp_path)):
        with pytest.raises(UserError, match="There is no file yet"):
            checked_file(odd, (".csv",))


def test_only_uploads_are_read(uploads: Path) -> None:
    inside = uploads / "a.png"
    outside: list[Callable[[], Any]] = [
        lambda: "/etc/passwd",
        lambda: f"{uploads}/../a.png",
        lambda: {"path": 3},
        lambda: "\0",
        lambda: None,
    ]
    inside.write_bytes(png())
    (uploads / "link.png").symlink_to("/etc/passwd")
    assert uploaded(str(inside)) == uploaded({"path": str(inside)}) == str(inside)
    assert [uploaded(value()) for value in outside] == [None] * 5
    assert uploaded(str(uploads / "link.png")) is None
