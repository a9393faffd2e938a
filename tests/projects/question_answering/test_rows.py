"""Every form of rows becomes a question, a context and answers that stand there; bad rows are named."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.config import parse
from common.data.splits import Data
from common.data.tables import RowProblem
from common.system.errors import UserError
from common.task.projects import load_task_class
from tests.projects.question_answering.rows import questions

from .conftest import PROJECT

TASK = load_task_class(PROJECT)


def data_of(*options: str) -> Data:
    return TASK(parse(TASK.config_class, list(options))).data()


def cells(*given: Any) -> list[tuple[int, str]]:
    """(start, text) of the answers that cells give."""
    import importlib

    made = importlib.import_module(f"projects.{PROJECT}.rows").from_cells("what?", *given)
    assert all(made["context"][one["start"] :].startswith(one["text"]) for one in made["reference"])
    return [(one["start"], one["text"]) for one in made["reference"]]


def write_jsonl(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def as_squad(rows: list[dict[str, Any]], version: str) -> dict[str, Any]:
    """Rows in SQuAD's format, two paragraphs an article."""
    paragraphs = []
    for number, row in enumerate(rows):
        answers = [{"text": one["text"], "answer_start": one["start"]} for one in row["answers"]]
        asked: dict[str, Any] = {"id": f"q{number}", "question": row["question"], "answers": answers}
        if version == "2.0":
            asked |= {"is_impossible": not answers, "plausible_answers": [{"text": "x", "answer_start": 3}]}
        paragraphs.append({"context": row["context"], "qas": [asked]})
    articles = [{"title": f"t{at}", "paragraphs": paragraphs[at : at + 2]} for at in range(0, len(paragraphs), 2)]
    return {"version": version, "data": articles}


@pytest.mark.parametrize("form", ["1.1", "2.0", "csv", "parquet", "texts", "starts"])
def test_every_form_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    import csv

    import pyarrow as pa
    import pyarrow.parquet

    rows = questions(60)
    if form == "1.1":
        rows = [row for row in rows if row["answers"]]
    one = data_of("--train_file", str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    options: list[str] = []
    if form in ("1.1", "2.0"):
        file = tmp_path / "squad.json"
        file.write_text(json.dumps(as_squad(rows, form)), encoding="utf-8")
    elif form == "parquet":
        file = tmp_path / "rows.parquet"
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), file)
    else:
        file = tmp_path / "rows.csv"
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(["question", "context", "answer", "at"])
            for row in rows:
                first = row["answers"][0] if row["answers"] else {"text": "", "start": ""}
                answer = json.dumps(row["answers"]) if form == "csv" else first["text"]
                writer.writerow([row["question"], row["context"], answer, first["start"]])
        options = ["--answers_column", "answer", *(["--start_column", "at"] if form == "starts" else [])]
    other = data_of("--train_file", str(file), *options)
    for split in ("train", "validation", "test"):
        for column in ("question", "context", "reference"):
            assert one.splits[split][column][:] == other.splits[split][column][:]
    assert sum(map(len, other.splits.values())) == len(rows)


def test_answers_stand_where_they_stand_whatever_the_text_holds() -> None:
    text = "one\r\ntwo  three é e\u0301 🙂 four"
    assert cells(text, ["four"]) == [(text.index("four"), "four")]
    assert cells(text, [{"text": "e\u0301", "answer_start": 18}]) == [(18, "e\u0301")]
    assert cells(text, "two  three") == [(5, "two  three")]
    assert cells(text, {"text": ["🙂"], "answer_start": [21]}) == [(21, "🙂")]
    assert cells(text, 5, "two") == [(5, "two")]


def test_an_answer_without_a_start_is_each_word_that_it_is() -> None:
    assert cells("a cat, concat and cat", "cat") == [(2, "cat"), (18, "cat")]
    assert cells("concat", "cat") == [(3, "cat")]
    assert cells("a cat", " cat ") == [(2, "cat")]
    assert cells("x [1] y", "[1]") == [(2, "[1]")]


@pytest.mark.parametrize("nothing", [None, "", [], {"text": [], "answer_start": []}, float("nan"), "[]"])
def test_no_answer_is_written_in_many_ways(nothing: Any) -> None:
    assert cells("a text", nothing) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("a text", "word"), "does not stand in its context "),
        (("caf\u00e9 text", "cafe\u0301"), "another Unicode form"),
        (("a text", [{"text": "text", "answer_start": 3}]), "elsewhere"),
        (("a text", [{"text": "text", "answer_start": -4}]), "at its start"),
        (("a text", [{"text": "text", "answer_start": "x"}]), "no whole number"),
        (("a text", {"text": ["a", "text"], "answer_start": [0]}), "more texts than starts"),
        (("a text", 17), "no text, list or object"),
        (("a text", [17]), "an answer without a text"),
        (("", "x"), "an empty context"),
        ((None, "x"), "an empty context"),
        (("a\0b", "a"), "NUL"),
    ],
)
def test_bad_rows_are_named(given: tuple[Any, ...], said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        cells(*given)


def test_every_bad_row_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    rows = questions(60)
    rows[6]["answers"] = [{"text": "nowhere", "start": 0}]
    rows[11]["question"] = " "
    with pytest.raises(UserError, match=r"row 7: .*stand[\s\S]*row 12: an empty question"):
        data_of("--train_file", str(write_jsonl(tmp_path / "rows.jsonl", rows)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}', 'without SQuAD\'s "data"'),
        ('{"data": [1]}', "without a list of paragraphs"),
        ('{"data": [{"paragraphs": [{"context": "x"}]}]}', "without a list of qas"),
        ('{"data": [', "is no JSON"),
        ('{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": 1}]}]}]}', "without a question"),
    ],
)
def test_what_is_no_squad_gets_a_sentence(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "squad.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        data_of("--train_file", str(file))


def test_questions_of_one_context_are_on_one_side_and_a_group(tmp_path: Path) -> None:
    rows = [{**row, "question": f"{row['question']} {n}"} for row in questions(80) for n in range(3)]
    data = data_of("--train_file", str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    contexts = {split: set(rows["context"]) for split, rows in data.splits.items()}
    assert not contexts["train"] & contexts["test"] and not contexts["train"] & contexts["validation"]
    test = data.splits["test"]
    assert len(set(test["group"])) == len(contexts["test"]) == len(test) / 3
    assert not data.findings, "rows of one context are no duplicates of each other"


def test_a_context_that_training_knows_is_told(tmp_path: Path) -> None:
    rows = questions(60)
    test = [{**rows[3], "question": "another"}, *questions(30, seed=5)]
    files = [write_jsonl(tmp_path / f"{name}.jsonl", of) for name, of in (("train", rows), ("test", test))]
    data = data_of("--train_file", str(files[0]), "--test_file", str(files[1]))
    assert ("test:1" in data.leaked["test"]) == ("train:4" in data.splits["train"]["id"])


def test_rows_without_any_answer_cannot_be_trained_on(tmp_path: Path) -> None:
    rows = [{**row, "answers": []} for row in questions(40)]
    with pytest.raises(UserError, match="no row has an answer"):
        data_of("--train_file", str(write_jsonl(tmp_path / "rows.jsonl", rows)))


def test_questions_without_an_answer_that_training_lacks_are_told(tmp_path: Path) -> None:
    train = [row for row in questions(120) if row["answers"]]
    test = questions(40, seed=7)
    files = [write_jsonl(tmp_path / f"{name}.jsonl", of) for name, of in (("train", train), ("test", test))]
    data = data_of("--train_file", str(files[0]), "--test_file", str(files[1]))
    assert any("of which the training rows have none" in str(finding) for finding in data.findings)
