"""What visitors give is checked, and what they get back holds no formula."""

import csv
import io
import os
import re
import tempfile
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.parts import visitors
from apps.parts.answers import write_csv
from apps.parts.inputs import Limits, checked_file, fresh_folder, neutralised, uploaded
from common.system.errors import UserError
from tests.apps.pictures import png

# What is dangerous at the start of a cell, and what may stand before it without being seen.
SIGN = st.sampled_from(list("=+-@|＝＋－＠﹦﹢﹣﹫"))  # noqa: RUF001
BEFORE = st.text(
    st.sampled_from(list("\ufeff\u200b\u200e\u2060\u00ad\u00a0\u3000\u180e\x0b\x00 \t\r\n;,\"'a1")), max_size=6
)
CELL = st.one_of(st.text(max_size=20), st.builds("".join, st.lists(st.one_of(BEFORE, SIGN), max_size=6)))


def starts_formula(cell: str, numbers: tuple[str, ...]) -> bool:
    """What a program may take for a formula that strips whatever it does not show.

    Numbers stay numbers: with one of the `numbers` a line may begin.
    """
    seen = cell.lstrip('"')
    while seen and (seen[0].isspace() or unicodedata.category(seen[0]) in ("Cc", "Cf") or seen[0] == '"'):
        seen = seen[1:]
    return unicodedata.normalize("NFKC", seen)[:1] in tuple("=+-@|") and not cell.startswith(numbers)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=3))
@example([["\ufeff\ufeff=HYPERLINK(1)", "x"]])
@example([["a", 'x;"=1+1"']])
@example([["a", "x\n=1+1"]])
@example([["-0", ""]])
def test_no_program_finds_a_formula_in_the_answers(table: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / "a.csv", table)
        content = (Path(folder) / "a.csv").read_bytes().decode()
    assert content.startswith("\ufeff")
    content = content[1:]  # spreadsheets take the first mark for the encoding
    assert [[cell.replace("'", "") for cell in line] for line in csv.reader(io.StringIO(content, newline=""))] == [
        [cell.replace("'", "") for cell in line] for line in table
    ]
    signed = re.compile(r"[+-][0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")
    numbers = tuple(cell for line in table for cell in line if signed.fullmatch(cell))
    for delimiter in ",;\t":  # the right one, and those of other countries' spreadsheets
        for line in csv.reader(io.StringIO(content, newline=""), delimiter=delimiter):
            assert not any(starts_formula(cell, numbers) for cell in line), line
    assert not any(starts_formula(cell, numbers) for line in content.splitlines() for cell in re.split(r"[;\t]", line))


@given(st.text(max_size=30))
def test_a_cell_loses_nothing_and_numbers_stay(cell: str) -> None:
    assert neutralised(cell).replace("'", "") == cell.replace("'", "")
    for number in ("-5", "+3.25", "-1e-05", "-1,5", "0"):
        assert neutralised(number) == number


def test_a_long_cell_takes_no_time() -> None:
    started = time.perf_counter()
    for cell in ("\n" * 100_000, "; " * 50_000 + "x", '"' * 100_000 + "="):
        neutralised(cell)
    assert time.perf_counter() - started < 1


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


def made(parent: Path, visitor: str, size: int, seconds_ago: float, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that was made for a visitor, with a file of so many bytes."""
    monkeypatch.setattr(visitors, "visitor", lambda: visitor)
    folder = fresh_folder(parent)
    (folder / "answers.csv").write_bytes(bytes(size))
    os.utime(folder, (time.time() - seconds_ago,) * 2)
    return folder


def test_of_many_made_files_a_visitors_own_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [made(tmp_path, "10.0.0.1", 400, 30 - age, monkeypatch) for age in range(4)]
    anothers = made(tmp_path, "10.0.0.2", 900, 60, monkeypatch)
    old = made(tmp_path, "10.0.0.3", 1, 4_000, monkeypatch)
    monkeypatch.setattr(visitors, "visitor", lambda: "10.0.0.1")
    new = fresh_folder(tmp_path, Limits(made_bytes=1_000))
    assert [folder.exists() for folder in mine] == [False, False, True, True], "800 of at most 1,000 bytes are left"
    assert anothers.exists() and new.exists() and not old.exists()


def test_visitors_that_make_files_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    for number in range(200):
        folder = fresh_folder(tmp_path)
        (folder / "answers.csv").write_bytes(bytes(number))
        os.utime(folder, (time.time() - 4_000,) * 2)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: fresh_folder(tmp_path), range(40)))
    assert len(set(folders)) == 40 and all(folder.exists() for folder in folders)
