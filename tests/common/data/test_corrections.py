"""What visitors sent: the owner looks through it, and the data says how much of it was trained on."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from common.data.corrections import chosen, doubts, kept_file, read, review
from common.data.splits import Data
from common.system.errors import UserError
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows
from tests.warm import python

WORDS = {"good": "fine lovely great sunny", "bad": "poor dreadful dull rainy"}


def sent(number: int, label: str = "good", visitor: str = "v1") -> dict[str, Any]:
    notes = {"corrected": "label", "answer": "bad", "time": "2026-01-01T00:00:00+00:00", "visitor": visitor}
    return {"text": f"a visitor's own words, {number * 7919} in all", "label": label, "demo": notes}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Four corrections beside a run, of which the last contradicts the first."""
    rows = [sent(0), sent(1), sent(2, visitor="v2"), sent(0, "bad", "v2")]
    (tmp_path / "corrections.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "corrections.jsonl"


def loaded(folder: Path, extra: Path, rows: int = 60) -> Data:
    lines = [
        f'"{word} number {number} of the day {number * 31}",{label}'
        for label, words in WORDS.items()
        for number in range(rows // 8)
        for word in words.split()
    ]
    (folder / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return load_rows(TextClassificationConfig(train_file=str(folder / "train.csv"), extra_train_file=str(extra)))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "corrections.jsonl")
    with pytest.raises(OSError, match="no regular file"):
        read(tmp_path / "corrections.jsonl")


def test_nothing_is_trained_on_that_nobody_has_looked_through(tmp_path: Path, file: Path) -> None:
    with pytest.raises(UserError, match=r"4 rows that visitors of a demo sent .* `kit corrections"):
        loaded(tmp_path, file)


def test_what_is_kept_is_trained_on_and_counted(tmp_path: Path, file: Path) -> None:
    assert review(file, keep=["1-3"], drop=["4"]) == (3, 1)
    data = loaded(tmp_path, kept_file(file), rows=400)
    assert data.reference.endswith(
        f"3 rows of {kept_file(file)} in the training split, 3 of them sent by visitors of a demo"
    )
    assert not [finding for finding in data.findings if "visitors of a demo sent" in finding.problem]


def test_a_large_share_of_visitors_rows_is_a_finding(tmp_path: Path, file: Path) -> None:
    review(file, keep=["1-3"], drop=["all"][:0])
    data = loaded(tmp_path, kept_file(file), rows=40)
    (finding,) = [finding for finding in data.findings if "visitors of a demo sent" in finding.problem]
    assert finding.rows == [1, 2, 3] and "10%" in finding.problem


def test_rows_of_the_owner_need_no_review_and_are_counted(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("text,label\nmy own row,good\n")
    assert loaded(tmp_path, tmp_path / "own.csv").reference.endswith(
        f"1 rows of {tmp_path / 'own.csv'} in the training split"
    )


def test_a_review_moves_rows_and_removes_the_pictures_that_nobody_else_names(tmp_path: Path) -> None:
    (tmp_path / "corrections").mkdir()
    for name in ("aa", "bb"):
        (tmp_path / "corrections" / f"{name}.png").write_bytes(b"x")
    (tmp_path / "mine.png").write_bytes(b"x")
    names = ["corrections/aa.png", "corrections/bb.png", "corrections/aa.png", "mine.png", "corrections/../mine.png"]
    rows = [{**sent(number), "image": name} for number, name in enumerate(names)]
    file = tmp_path / "corrections.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert review(file, keep=["3"], drop=["1", "2", "4", "5"]) == (1, 4)
    assert sorted(path.name for path in (tmp_path / "corrections").iterdir()) == ["aa.png"]
    assert (tmp_path / "mine.png").exists()
    assert read(file) == [] and [row["image"] for row in read(kept_file(file))] == ["corrections/aa.png"]


def test_doubts_name_the_earlier_row(file: Path) -> None:
    assert doubts(read(file)) == ["", "", "", "contradicts row 1"]


@pytest.mark.parametrize("given", ["0", "5", "3-2", "1-5", "-1", "x", "1,2", "", "1" * 20])
def test_numbers_that_name_no_row_are_refused(given: str, file: Path) -> None:
    before = file.read_text()
    with pytest.raises(UserError, match="names none of the 4 rows"):
        review(file, keep=["1", given], drop=[])
    assert file.read_text() == before and not kept_file(file).exists()


def test_numbers_are_counted_from_one() -> None:
    assert chosen(["1", "3-4"], 5) == {0, 2, 3} and chosen(["all"], 2) == {0, 1}


def test_a_row_cannot_be_kept_and_dropped(file: Path) -> None:
    with pytest.raises(UserError, match="row 2 is to be kept and to be dropped"):
        review(file, keep=["1-2"], drop=["2"])


def test_the_command_shows_keeps_and_drops(file: Path) -> None:
    rows = read(file)
    rows[1]["text"] = "red \x1b[31m and \u202e back"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def kit(*options: str) -> "subprocess.CompletedProcess[str]":
        return python("-m", "common.cli", "corrections", str(file.parent), *options)

    shown = kit()
    assert shown.returncode == 0 and "contradicts row 1" in shown.stdout and "bad -> good" in shown.stdout
    assert "\x1b" not in shown.stdout and "\u202e" not in shown.stdout and "4 rows wait" in shown.stdout
    done = kit("--keep", "1", "--drop", "2-4")
    assert f"kept, in {kept_file(file)}: 1 - dropped: 3" in done.stdout and "no correction waits" in done.stdout
    refused = kit("--keep", "9")
    assert refused.returncode == 2 and "names none of the 0 rows" in refused.stderr
