"""CSV and TSV: which delimiter, and rows that a stray quotation mark would swallow."""

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.data import tables
from common.system.errors import UserError

COUNT = 24
SWALLOWED = "a cell with lines that look like rows of their own"


def raw_rows(text_column: int, labels: tuple[str, ...] = ("pos", "neg")) -> list[list[str]]:
    """Rows of a text, a category and a number, as a program writes them that knows no quotation marks."""
    rows = [[f"the parcel {n} was late", labels[n % len(labels)], str(100 + n)] for n in range(COUNT)]
    return [[*row[1:][:text_column], row[0], *row[1:][text_column:]] for row in rows]


def write(path: Path, rows: list[list[str]], delimiter: str, line_end: str = "\n") -> Path:
    names = [f"column {number}" for number in range(len(rows[0]))]
    path.write_bytes("".join(delimiter.join(row) + line_end for row in [names, *rows]).encode())
    return path


def number_of_rows(path: Path) -> int:
    return sum(isinstance(row, dict) for _, row in tables.rows(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.integers(0, COUNT - 1),
    st.integers(0, COUNT - 1),
    st.integers(0, 2),
    st.sampled_from(["csv,", "csv;", "csv|", "csv\t", "tsv\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_no_two_quotation_marks_swallow_the_rows_between(
    tmp_path: Path, opens: int, closes: int, text_column: int, kind: str, line_end: str
) -> None:
    rows = raw_rows(text_column)
    rows[opens][text_column] = f'"{rows[opens][text_column]}'
    rows[closes][text_column] += '"'
    path = write(tmp_path / f"rows.{kind[:3]}", rows, kind[3], line_end)
    if opens == closes:
        assert number_of_rows(path) == COUNT
    elif opens > closes:  # the second mark is never closed
        with pytest.raises(UserError, match=f"row {opens + 1} .*: a quotation mark is never closed"):
            number_of_rows(path)
    else:
        with pytest.raises(UserError, match=rf"row {opens + 1} \(from line {opens + 2} on\): {SWALLOWED}"):
            number_of_rows(path)


@pytest.mark.parametrize("swallowed", [(0, COUNT - 1), (0, 5), (2, COUNT - 1)])
def test_rows_of_values_that_no_other_row_has_are_known_by_their_shape(
    tmp_path: Path, swallowed: tuple[int, int]
) -> None:
    rows = [[f"the parcel {n} was late", f"{n / 7:.4f}"] for n in range(COUNT)]
    rows[swallowed[0]][0] = f'"{rows[swallowed[0]][0]}'
    rows[swallowed[1]][0] += '"'
    with pytest.raises(UserError, match=SWALLOWED):
        number_of_rows(write(tmp_path / "rows.csv", rows, ","))


LETTERS = st.text("abc xyz", min_size=1, max_size=8)
MARKS = st.sampled_from([", ", ".\n", "\n", ",\n", "; ", ' "', '"', "3,5 ", "|\n"])
PROSE = st.lists(st.tuples(LETTERS, MARKS), max_size=12).map(
    lambda parts: "".join(word + mark for word, mark in parts) + "end"
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.lists(PROSE, min_size=2, max_size=8), st.sampled_from("01"), st.sampled_from(",;"))
def test_texts_of_several_lines_are_no_rows(tmp_path: Path, texts: list[str], label: str, delimiter: str) -> None:
    """Blanks and line ends follow the commas of a text; what follows at once is part of a number."""
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([["text", "label"], *([text, label] for text in texts), ["one", "5"], ["two", ""]])
    assert [row["text"] for _, row in tables.rows(path) if isinstance(row, dict)] == [*texts, "one", "two"]


def test_a_number_at_the_end_of_a_line_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,stars\n"the part is only 3,5\nand fits",5\nfine,5\nbroken,1\n')
    assert number_of_rows(path) == 3
    path.write_text('text,stars\n"it costs 3,5\nit costs 4,1\nand 7",5\nfine,5\nbroken,1\n')
    with pytest.raises(UserError, match=SWALLOWED):  # two such lines are two rows
        number_of_rows(path)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("\ufeffsep=;\ntext;label\n", ["text", "label"]),
        ('"sep=,"\r\ntext,label\r\n', ["text", "label"]),
        ("SEP=\t\ntext\tlabel, as given\n", ["text", "label, as given"]),
        ("\ufeff\ufefftext,label\n", ["text", "label"]),
        ("\n \ntext;label\n", ["text", "label"]),
        ('"text, as written";"label"\n', ["text, as written", "label"]),
        ("text\tlabel\n", ["text", "label"]),
        ("text|label|a,b\n", ["text", "label", "a,b"]),
        ("text\n", ["text"]),
        ('"two\nlines","label"\n', ["two\nlines", "label"]),
    ],
)
def test_the_header_tells_the_delimiter(tmp_path: Path, content: str, names: list[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content.encode())
    assert tables.column_names(path) == names
    assert [item.why for _, item in tables.read(path) if isinstance(item, tables.NoRow)].count("header") == 1
