"""Files of every kind, whole and damaged: all rows and labels are read, or one sentence says what is wrong.

`KIT_GENERATED_FILES=2000 KIT_SEED=1 pytest -s FILE` tries as many files, and prints what became of them.
"""

import csv
import gzip
import io
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from datasets import disable_progress_bars, enable_progress_bars
from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st

from common.data.looks import is_blank, rough_look
from common.data.splits import Data
from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows

FILES, SEED = int(os.environ.get("KIT_GENERATED_FILES", "120")), int(os.environ.get("KIT_SEED", "0"))
TESTS = 4
BUDGET = settings(
    max_examples=FILES // TESTS,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
became: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def summary() -> Iterator[None]:
    disable_progress_bars()
    yield
    enable_progress_bars()
    listed = ", ".join(f"{count:,} {what}" for what, count in sorted(became.items()))
    print(f"\n{became.total():,} files with the seed {SEED}: {listed}")


def load(path: Path, **options: Any) -> Data | str:
    """The rows, or the sentence that is said instead of them."""
    try:
        data = load_rows(TextClassificationConfig(train_file=str(path), **options))
    except UserError as error:
        became[f"refused as {path.name.split('.')[1]}"] += 1
        assert path.name in str(error)
        return str(error)
    became[f"read as {path.name.split('.')[1]}"] += 1
    return data


def rows_of(data: Data) -> list[tuple[str, str]]:
    """(text, label) of all rows in the order of their file."""
    by_number = {
        int(row["id"].partition(":")[2]): (row["text"], row["reference"])
        for rows in data.splits.values()
        for row in rows
    }
    return [by_number[number] for number in range(1, len(by_number) + 1)]


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.one_of(st.text(CHARACTERS, max_size=40), st.text('ab ,;"\n\t|', max_size=20))
LABELS = st.lists(
    st.text(CHARACTERS, min_size=1, max_size=10).filter(lambda label: not is_blank(label)),
    min_size=2,
    max_size=4,
    unique_by=rough_look,
)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Rows of which each label has five or more, in any order."""
    labels = draw(LABELS)
    texts = draw(st.lists(TEXTS, min_size=5 * len(labels), max_size=30))
    made = [(f"{text} {number}", labels[number % len(labels)]) for number, text in enumerate(texts)]
    return draw(st.permutations(made))


def cell(text: str, delimiter: str, always: bool) -> str:
    """A cell as RFC 4180 has it."""
    needs_marks = always or text != text.strip() or any(mark in text for mark in (delimiter, '"', "\r", "\n"))
    return '"' + text.replace('"', '""') + '"' if needs_marks else text


@st.composite
def delimited(draw: st.DrawFn, made: list[tuple[str, str]], delimiter: str) -> bytes:
    """A file as one of many programs writes it, with blank lines here and there."""
    line_end, always = draw(st.sampled_from(["\n", "\r\n", "\r"])), draw(st.booleans())
    lines = [delimiter.join(cell(value, delimiter, always) for value in row) for row in [("text", "label"), *made]]
    for place in draw(st.lists(st.integers(0, len(lines)), max_size=3)):
        lines.insert(place, "")
    start = draw(st.sampled_from(["", "\ufeff", "\ufeff\ufeff"]))
    if draw(st.booleans()):
        lines.insert(0, f"sep={delimiter}")
    return (start + line_end.join(lines) + draw(st.sampled_from(["", line_end]))).encode()


@st.composite
def parquet(draw: st.DrawFn, made: list[tuple[str, str]]) -> bytes:
    """A table with its texts as bytes or as text, in one row group or several, beside a column of any kind."""
    types = [draw(st.sampled_from([pa.string(), pa.large_string(), pa.binary()])) for _ in range(2)]
    columns = {
        name: pa.array([value.encode() for value in values], pa.binary()).cast(kind)
        for name, kind, values in zip(("text", "label"), types, zip(*made, strict=True), strict=True)
    }
    odd = draw(st.sampled_from([None, pa.timestamp("s", "Mars/Olympus"), pa.timestamp("us"), pa.date32(), pa.binary()]))
    if odd is not None:
        values = draw(st.lists(st.integers(0, 2**31 - 1), min_size=len(made), max_size=len(made)))
        raw = [b"\xff"] * len(made) if odd == pa.binary() else values
        columns["odd"] = pa.array(raw, pa.int32()).cast(odd) if odd == pa.date32() else pa.array(raw, odd)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), buffer, row_group_size=draw(st.integers(1, 40)))
    return buffer.getvalue()


@st.composite
def whole_files(draw: st.DrawFn) -> tuple[str, bytes, list[tuple[str, str]]]:
    """(name, content, rows) of a file with nothing wrong."""
    made, kind = draw(rows()), draw(st.sampled_from(["csv", "tsv", "jsonl", "json", "parquet"]))
    objects = [dict(zip(("text", "label"), row, strict=True)) for row in made]
    ascii_only = draw(st.booleans())
    if kind == "parquet":
        return "rows.parquet", draw(parquet(made)), made
    if kind == "json":
        content = json.dumps(objects, ensure_ascii=ascii_only, indent=draw(st.sampled_from([None, 2]))).encode()
    elif kind == "jsonl":
        ends = draw(st.lists(st.sampled_from(["\n", "\r\n", "\n\n"]), min_size=len(made), max_size=len(made)))
        lines = (json.dumps(row, ensure_ascii=ascii_only) + end for row, end in zip(objects, ends, strict=True))
        content = "".join(lines).encode()
    else:
        content = draw(delimited(made, "\t" if kind == "tsv" else draw(st.sampled_from(",;\t|"))))
    if draw(st.booleans()):
        return f"rows.{kind}.gz", gzip.compress(content), made
    return f"rows.{kind}", content, made


@seed(SEED)
@BUDGET
@given(whole_files())
def test_a_whole_file_is_read_whole(tmp_path: Path, file: tuple[str, bytes, list[tuple[str, str]]]) -> None:
    name, content, made = file
    (tmp_path / name).write_bytes(content)
    data = load(tmp_path / name)
    if isinstance(data, str):  # what was drawn as one text may look like rows indeed
        assert "a cell with lines that look like rows of their own" in data
        return
    assert rows_of(data) == made
    assert labels_of(data) == sorted({label for _, label in made})
    assert data.tallies[0].counted == {"labels": len(labels_of(data))}
    assert_every_line_is_counted(data, name, content)


def assert_every_line_is_counted(data: Data, name: str, content: bytes) -> None:
    """In files that have lines: as many as rows and lines that are none together."""
    if name.split(".")[1] in ("csv", "tsv", "jsonl"):
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8-sig")
        (tally,) = data.tallies
        assert tally.rows + sum(tally.no_rows.values()) == len(io.StringIO(text, newline="").readlines())


RAW = st.text("abcdefghij '", min_size=1, max_size=12).filter(lambda text: text.strip() != "")


@seed(SEED)
@BUDGET
@given(
    st.lists(RAW, min_size=12, max_size=40),
    st.integers(2, 3),
    st.sampled_from(["csv,", "csv;", "csv|", "csv\t", "tsv\t"]),
    st.lists(st.tuples(st.integers(0, 39), st.booleans(), st.booleans()), min_size=1, max_size=4),
    st.booleans(),
)
def test_no_quotation_marks_swallow_rows_or_labels(
    tmp_path: Path, texts: list[str], labels: int, kind: str, marks: list[tuple[int, bool, bool]], text_first: bool
) -> None:
    """Marks at the beginning or the end of cells, in files of a program that knows no quotation marks."""
    made = [[f"{text}{number}x", "abc"[number % labels] * 3] for number, text in enumerate(texts)]
    for number, at_the_end, of_the_label in marks:
        row = made[number % len(made)]
        row[of_the_label] = f'{row[of_the_label]}"' if at_the_end else f'"{row[of_the_label]}'
    lines = [["text", "label"], *made]
    path = tmp_path / f"rows.{kind[:3]}"
    path.write_text("".join(kind[3].join(row if text_first else row[::-1]) + "\n" for row in lines))
    data = load(path)
    if isinstance(data, Data):
        assert [text.strip('"') for text, _ in rows_of(data)] == [text.strip('"') for text, _ in made]
        assert [label.strip('"') for _, label in rows_of(data)] == [label.strip('"') for _, label in made]


@seed(SEED)
@BUDGET
@given(
    whole_files(),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_damaged_bytes_give_rows_or_a_sentence(
    tmp_path: Path,
    file: tuple[str, bytes, list[tuple[str, str]]],
    bytes_changed: list[tuple[float, int]],
    cut: float | None,
) -> None:
    name, content, _ = file
    damaged = bytearray(content)
    for place, value in bytes_changed:
        damaged[int(place * (len(damaged) - 1))] = value
    if cut is not None:
        damaged = damaged[: int(cut * len(damaged))]
    (tmp_path / name).write_bytes(damaged)
    data = load(tmp_path / name)
    if isinstance(data, Data):
        assert data.tallies[0].rows == sum(map(len, data.splits.values()))
        assert_every_line_is_counted(data, name, bytes(damaged))


TWICE_WRITTEN = [
    ("Café", "Cafe\u0301"),
    ("good", "go\u200bod"),
    ("A1", "\uff21\uff11"),
    ("1", "1.0"),
    ("x y", "x\u00a0y"),
]


@seed(SEED)
@BUDGET
@given(rows(), st.sampled_from(TWICE_WRITTEN), st.sampled_from(["csv", "tsv", "jsonl", "parquet"]), st.randoms())
def test_a_label_that_is_written_in_two_ways_is_said(
    tmp_path: Path, made: list[tuple[str, str]], forms: tuple[str, str], kind: str, choose: random.Random
) -> None:
    made += [(f"once more {number}", forms[number % 2]) for number in range(10)]
    choose.shuffle(made)
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        texts, labels = zip(*made, strict=True)
        pyarrow.parquet.write_table(pa.table({"text": texts, "label": labels}), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in made))
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="," if kind == "csv" else "\t", quoting=csv.QUOTE_ALL).writerows(
                [("text", "label"), *made]
            )
    data = load(path)
    event("refused" if isinstance(data, str) else "warned of")
    said = data if isinstance(data, str) else " ".join(map(str, data.findings))
    assert all(form in said or ascii(form)[1:-1] in said for form in forms) or "look like rows of their own" in said
