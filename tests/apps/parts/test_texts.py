"""Tables of visitors: which column is asked about, what breaks a table, and what is only one bad row."""

import json
from pathlib import Path

import pytest

from apps.parts.inputs import LIMITS
from apps.parts.texts import read_upload
from common.system.errors import UserError


def upload(folder: Path, content: str, name: str = "many.csv") -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (",review\n0,good\n1,bad\n", "Which column holds the texts? The file has review, and one without a name"),
        ("review,\ngood,x\nbad,y\n", "Which column holds the texts? The file has review, and one without a name"),
        ("a,b\n1,2\n", "Which column holds the texts? The file has a, b: write its name into the field"),
        ('""\nx\n', "no named column, and one without a name: give it a header"),
        ("review,review\ngood,bad\n", "two columns called 'review'"),
        ("a,,\n1,2,3\n", "two columns without a name"),
        ("sep=;\nlabel;\nx;y\n", "The file has label, and one without a name"),
    ],
)
def test_a_column_is_asked_for_where_it_is_not_clear(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_upload(upload(tmp_path, content), "", "text")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "asked", "texts"),
    [
        (",review\n0,good\n", "review", ["good"]),
        ("sep=;\nlabel;text\nx;good, really\n", "", ["good, really"]),
        ("sep=;\nreview\ngood\n", "", ["good"]),
        ("label;text\nx;good\n", "", ["good"]),
        ("review\ngood\n", "", ["good"]),
        ("text,review\nx,good\n", " review ", ["good"]),
    ],
)
def test_the_named_the_usual_or_the_only_column_is_answered(
    tmp_path: Path, content: str, asked: str, texts: list[str]
) -> None:
    assert [row.text for row in read_upload(upload(tmp_path, content), asked, "text")] == texts


def test_a_text_that_cannot_be_answered_keeps_no_other_from_it(tmp_path: Path) -> None:
    long = "a" * (LIMITS.characters + 1)
    given = [{"id": 1, "text": "x"}, {"id": None, "text": " "}, {"id": 3, "text": long}, {"id": 4, "text": 7}]
    lines = "".join(json.dumps(row) + "\n" for row in given)
    rows = read_upload(upload(tmp_path, lines, "many.jsonl"), "", "text")
    assert [row.text for row in rows] == ["x", "", "", ""]
    assert [row.problem[:20] for row in rows] == [
        "",
        "There is no text yet",
        "The text has 10,001 ",
        "Give one text: words",
    ]
    assert [row.cells["id"] for row in rows] == ["1", "", "3", "4"]
    assert len(rows[2].cells["text"]) < LIMITS.characters + 3 and rows[2].cells["text"].endswith(" …")
    with pytest.raises(UserError, match="No row of 'text' can be answered"):
        read_upload(upload(tmp_path, "id,text\n1,\n2,\n"), "", "text")


def test_what_stands_in_other_columns_has_an_end(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Row 2 has 10,001 characters in 'notes'"):
        read_upload(upload(tmp_path, f"text,notes\nx,y\nz,{'a' * 10_001}\n"), "", "text")


@pytest.mark.parametrize(("name", "cell"), [("notes", "half \ud800"), ("half \ud800", "notes"), ("notes", "a\0b")])
def test_what_is_no_text_in_other_columns_is_refused(tmp_path: Path, name: str, cell: str) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ({"text": "x", name: ""}, {"text": "x", name: cell}))
    with pytest.raises(
        UserError, match=r"Row [12] has characters that are no text \(such as NUL\) in '(notes|half .ud800)'"
    ):
        read_upload(upload(tmp_path, lines, "many.jsonl"), "text", "text")


def test_a_text_that_is_none_can_be_written_beside_its_problem(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("x", "half \ud800"))
    row = read_upload(upload(tmp_path, lines, "many.jsonl"), "", "text")[1]
    assert "no text" in row.problem and row.cells["text"] == "half \ufffd"
