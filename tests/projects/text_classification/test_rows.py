"""Data checks: every bad file gets its message, with file, rows and what to do."""

import gzip
import json
from pathlib import Path

import pytest

from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows

from .rows import GOOD, load

ERRORS: dict[str, tuple[str | bytes, str, dict, str]] = {
    "missing column": (
        "txt,label\na,b\n",
        "train.csv",
        {},
        "has no column 'text' (did you mean txt?): its columns are 'txt', 'label'; "
        "name the right one with --text_column",
    ),
    "missing label column": (GOOD, "train.csv", {"label_column": "stars"}, "has no column 'stars'"),
    "missing group column": (GOOD, "train.csv", {"group_column": "user"}, "name the right one with --group_column"),
    "doubled column": ("text,text,label\na,b,c\n", "train.csv", {}, "has two columns called 'text'"),
    "empty text": (
        GOOD + ",weather\n  ,food\n",
        "train.csv",
        {},
        "train.csv, rows 61, 62: an empty text: fill in or remove these rows.",
    ),
    "empty label": (GOOD + "some text,\n", "train.csv", {}, "train.csv, row 61: an empty label"),
    "ragged row": (GOOD + "one, two, three\n", "train.csv", {}, "train.csv, row 61: not 2 cells like the header"),
    "wrong encoding": (
        GOOD.encode() + "schön,food\n".encode("latin-1"),
        "train.csv",
        {},
        "train.csv, line 62: byte 0xf6 is no UTF-8: save the file with the encoding UTF-8",
    ),
    "half an emoji": (
        '{"text": "nice \\ud83d", "label": "a"}\n{"text": "x", "label": "b"}\n',
        "train.jsonl",
        {},
        "train.jsonl, row 1: half a character: save the text, or the name of the file, again as UTF-8.",
    ),
    "open quotation mark": (GOOD + '"never closed,food\n', "train.csv", {}, "check the quotation marks"),
    "NUL": (GOOD + "a\0b,food\n", "train.csv", {}, "a NUL character in the text"),
    "numbers for texts": (
        json.dumps([{"text": 3, "label": "a"}, {"text": "x y z", "label": "b"}]),
        "train.json",
        {},
        "row 1: a text cell that holds int, not text",
    ),
    "list for a label": (
        json.dumps([{"text": "a b", "label": ["a"]}, {"text": "x", "label": "b"}]),
        "train.json",
        {},
        "a label that is a list",
    ),
    "no JSON": ("{", "train.json", {}, "is no JSON"),
    "JSON object": ('{"a": 1}', "train.json", {}, "must hold a list of objects"),
    "bad line": ('{"text": "a", "label": "b"}\nnonsense\n', "train.jsonl", {}, "row 2: not a JSON object"),
    "no Parquet": ("PAR1 nonsense", "train.parquet", {}, "is no Parquet file"),
    "no gzip": ("text,label\n", "train.csv.gz", {}, "cannot be read on"),
    "damaged gzip": (gzip.compress(GOOD.encode())[:40] + b"\xff" * 200, "train.csv.gz", {}, "cannot be read on"),
    "damaged gzip of Parquet": (gzip.compress(b"PAR1 nonsense")[:20], "train.parquet.gz", {}, "is no Parquet file"),
    "an out-of-domain set with a name of its own meaning": (
        GOOD,
        "train.csv",
        {"out_of_domain_files": {"extra": "other.csv"}},
        "cannot be called 'extra'",
    ),
    "unknown format": ("text", "train.xlsx", {}, "is of no known format"),
    "no rows": ("text,label\n", "train.csv", {}, "has no rows"),
    "empty file": ("", "train.csv", {}, "has no column 'text'"),
    "one label": ("text,label\na b c,x\nd e f,x\n", "train.csv", {}, "every row has the label 'x'"),
    "labels that occur once": (
        "text,label\n" + "".join(f"text {n},label {n}\n" for n in range(20)),
        "train.csv",
        {},
        "20 of 20 labels occur once: is it the right column?",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_files_get_their_message(tmp_path: Path, name: str) -> None:
    content, file, options, message = ERRORS[name]
    with pytest.raises(UserError) as caught:
        load(tmp_path, content, file, **options)
    assert message in str(caught.value)


def test_the_table_of_bad_files_is_whole() -> None:
    assert len(ERRORS) == 26


def test_a_missing_file_says_where_one_is() -> None:
    with pytest.raises(UserError, match=r"there is no file none.csv: check the path \(you are in "):
        load_rows(TextClassificationConfig(train_file="none.csv"))


def test_one_file_for_two_splits(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is given for train and for test"):
        load(tmp_path, GOOD, test=GOOD)


def test_blank_columns_of_a_spreadsheet_are_not_in_the_way(tmp_path: Path) -> None:
    data = load(tmp_path, GOOD.replace("\n", ",,\n"))
    assert labels_of(data) == ["food", "music", "weather"] and data.fingerprint == load(tmp_path, GOOD).fingerprint


def test_empty_cells_of_made_splits_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load(tmp_path, GOOD + ",food\n", output_dir=str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
