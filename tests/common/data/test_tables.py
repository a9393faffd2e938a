"""Files of rows: strict, numbered, streamed."""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.data import tables
from common.system.errors import UserError

ROWS = [{"text": "one, two", "label": "a"}, {"text": 'say "hello"', "label": "b"}, {"text": "two\nlines", "label": "ü"}]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = io.StringIO()
    kind = tables.format_of(path)
    if kind in (".csv", ".tsv"):
        writer = csv.DictWriter(text, list(rows[0]), delimiter="," if kind == ".csv" else "\t")
        writer.writeheader()
        writer.writerows(rows)
    elif kind == ".json":
        json.dump(rows, text)
    elif kind == ".jsonl":
        text.writelines(json.dumps(row) + "\n" for row in rows)
    content = text.getvalue().encode()
    if kind == ".parquet":
        import pyarrow.parquet

        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), buffer)
        content = buffer.getvalue()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("kind", tables.FORMATS)
def test_every_format_gives_the_same_rows(tmp_path: Path, kind: str, zipped: str) -> None:
    path = write(tmp_path / f"rows{kind}{zipped}", ROWS)
    assert list(tables.rows(path)) == list(enumerate(ROWS, start=1))
    assert tables.column_names(path) == ["text", "label"]


def test_semicolons_and_byte_order_marks_of_spreadsheets(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes("\ufefftext;label\ngut, sehr gut;1\n".encode())
    assert list(tables.rows(path)) == [(1, {"text": "gut, sehr gut", "label": "1"})]


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("bad", [1, 3, 30_000])
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json"])
def test_the_line_that_is_no_utf_8_is_named(tmp_path: Path, kind: str, bad: int, zipped: str) -> None:
    lines = [b'{"text": "schoen"}'] * 30_001
    lines[bad - 1] = '{"text": "schön"}'.encode("latin-1")
    path = tmp_path / f"rows{kind}{zipped}"
    content = b"\n".join(lines)
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(UserError, match=rf"rows{kind}{zipped}, line {bad}: byte 0xf6 is no UTF-8"):
        list(tables.rows(path))


CELLS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
def test_any_csv_that_python_writes_is_read_back(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    path = tmp_path / "any.csv"
    rows = [{"text": text, "label": label} for text, label in cells]
    write(path, rows)
    assert [row for _, row in tables.rows(path)] == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(b"text,label\n" + content)
    try:
        for number, row in tables.rows(path):
            assert number >= 1
            assert isinstance(row, tables.RowProblem) or list(row) == ["text", "label"]
    except UserError as error:
        assert re.search(r"any\.csv, (row|line) \d", str(error)) and "\n" not in str(error)


def test_a_table_is_named_by_its_content_and_streams(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": "x" * n} for n in range(25_000 // 10)]
    schema = pa.schema({"id": pa.string(), "text": pa.string()})
    one, digest = tables.write_table(iter(rows), schema, tmp_path)
    two, same = tables.write_table(iter(rows), schema, tmp_path)
    assert one == two and digest == same and one.name == f"{digest}.arrow"
    assert Dataset.from_file(str(one)).to_list() == rows
    assert [path.name for path in tmp_path.iterdir()] == [one.name]
    _, other = tables.write_table(iter([*rows[:-1], {"id": "x", "text": ""}]), schema, tmp_path)
    assert other != digest


def test_a_table_keeps_lists_structs_and_numbers(tmp_path: Path) -> None:
    span = pa.struct({"start": pa.int32(), "end": pa.int32(), "label": pa.string()})
    schema = pa.schema({"id": pa.string(), "reference": pa.list_(span), "rating": pa.float64()})
    rows = [
        {"id": "train:1", "reference": [{"start": 0, "end": 4, "label": "name"}], "rating": 3.5},
        {"id": "train:2", "reference": [], "rating": None},
    ]
    file, _ = tables.write_table(iter(rows), schema, tmp_path)
    assert Dataset.from_file(str(file)).to_list() == rows


def test_what_breaks_while_a_table_is_written_leaves_no_file(tmp_path: Path) -> None:
    def rows() -> Iterator[tables.Row]:
        yield {"id": "1"}
        raise UserError("the file cannot be read on.")

    with pytest.raises(UserError, match="cannot be read on"):
        tables.write_table(rows(), pa.schema({"id": pa.string()}), tmp_path)
    assert list(tmp_path.iterdir()) == []
