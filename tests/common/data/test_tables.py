"""Files of rows: strict, numbered, streamed."""

import csv
import gzip
import io
import json
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.data import tables
from common.data.tally import Tally
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


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f'{{"text": {DEEP}}}', "nested too deeply"),
        (DEEP, "nested too deeply"),
        ('{"text": "a", "text": "b"}', "two values for 'text'"),
        ('{"text": {"a": 1, "a": 2}}', "two values for 'a'"),
        ('{"n": ' + "9" * 5_000 + "}", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"text": "\\ud8', "not a JSON object"),
    ],
)
def test_a_line_that_is_no_row_is_one_problem(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "one"}}\n\n{line}\n{{"text": "three"}}\n')
    first, problem, third = (row for _, row in tables.rows(path))
    assert first == {"text": "one"} and third == {"text": "three"}
    assert isinstance(problem, tables.RowProblem) and said in str(problem)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (DEEP, "nested too deeply"),
        ('[{"a": 1, "a": 2}]', "two values for 'a'"),
        ("[" + "9" * 5_000 + "]", "is no JSON"),
    ],
)
def test_json_that_holds_no_rows_is_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        list(tables.rows(path))


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json"])
def test_a_small_file_that_unzips_into_an_endless_line_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.data.streams.LONGEST_LINE", 1_000_000)
    monkeypatch.setattr("common.data.tables.LARGEST_JSON", 1_000_000)
    path = tmp_path / f"rows{kind}.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"text\n" if kind in (".csv", ".tsv") else b"")
        for _ in range(200):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(UserError, match="longer than 1,000,000 characters"):
        list(tables.rows(path))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


CSV_LINES = 'sep=,\n\ntext,label\none,a\n\n"two\n\nlines",b\n'
CSV_ACCOUNT = {"rows": 2, "header": 1, "blank": 2, "naming the delimiter": 1, "going on with a cell": 2}


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("rows.csv", CSV_LINES, CSV_ACCOUNT),
        ("rows.tsv", "text\tlabel\r\none\ta\r\n", {"rows": 1, "header": 1}),
        ("rows.jsonl", '{"text": "one"}\n \n{"text": "two"}', {"rows": 2, "blank": 1}),
    ],
)
def test_every_line_is_a_row_or_said_to_be_none(tmp_path: Path, name: str, content: str, lines: dict[str, int]) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    tally = Tally(name)
    tally.rows = len(list(tally.without_no_rows(tables.read(path))))
    assert {"rows": tally.rows, **{why: count for (_, why), count in tally.no_rows.items()}} == lines
    assert sum(lines.values()) == len(content.splitlines())


def test_a_tally_reads_like_a_bill() -> None:
    tally = Tally("train.csv", 2_000, {"labels": 3, "entities": 1})
    assert str(tally) == "train.csv: 2,000 rows with 3 labels and 1 entity; nothing left out"
    tally.no_rows.update({("lines", "header"): 1, ("lines", "blank"): 2})
    assert str(tally).endswith("1 entity; not rows: 3 of 2,003 lines (2 blank, 1 header)")


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


def test_long_rows_are_written_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK_BYTES", 1_000)
    schema = pa.schema({"text": pa.string()})
    file, _ = tables.write_table(({"text": f"{number:0600}"} for number in range(9)), schema, tmp_path)
    batches = list(pa.ipc.open_stream(str(file)))
    assert [len(batch) for batch in batches] == [2, 2, 2, 2, 1]


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
