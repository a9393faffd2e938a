"""The file that corrections are kept in: how much, of whom, and what is never overwritten."""

import dataclasses
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.parts.corrections import Corrections
from apps.parts.inputs import LIMITS
from common.data.corrections import review
from common.system.errors import UserError
from tests.apps.pictures import png


def corrections(folder: Path, answer: str = "label", **limits: int) -> Corrections:
    return Corrections(folder / "corrections.jsonl", answer, dataclasses.replace(LIMITS, **limits))


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "corrections.jsonl").read_text().splitlines()]


def test_the_file_of_corrections_has_an_end(tmp_path: Path) -> None:
    kept = corrections(tmp_path, corrections_bytes=1_000)
    with pytest.raises(UserError, match="full"):
        for number in range(20):
            kept.add({"text": f"some words {number}"}, "good", "bad", str(number))
    assert (tmp_path / "corrections.jsonl").stat().st_size <= 1_000


def test_one_address_and_one_answer_have_an_end_until_the_owner_has_looked(tmp_path: Path) -> None:
    kept = corrections(tmp_path, corrections_of_visitor=3, corrections_of_answer=5)
    for number in range(3):
        assert kept.add({"text": f"a{number}"}, "good", "bad", "1.2.3.4")
    with pytest.raises(UserError, match="You have sent 3 corrections"):
        kept.add({"text": "a3"}, "bad", "good", "1.2.3.4")
    for number in range(2):
        assert kept.add({"text": f"b{number}"}, "good", "bad", "5.6.7.8")
    with pytest.raises(UserError, match="many corrections to this answer"):
        kept.add({"text": "c"}, "good", "bad", "9.9.9.9")
    review(kept.file, keep=["all"], drop=[])
    assert kept.add({"text": "a3"}, "good", "bad", "1.2.3.4")
    assert "1.2.3.4" not in (tmp_path / "corrections.jsonl").read_text()


def test_equal_rows_are_kept_once_and_nobody_contradicts_himself(tmp_path: Path) -> None:
    kept = corrections(tmp_path)
    assert kept.add({"text": "a"}, "good", "bad", "x")
    assert not kept.add({"text": "a"}, "good", "bad", "y")
    with pytest.raises(UserError, match="corrected this one before"):
        kept.add({"text": "a"}, "bad", "good", "x")
    assert kept.add({"text": "a"}, "bad", "good", "y")
    assert [row["label"] for row in rows(tmp_path)] == ["good", "bad"]
    again = corrections(tmp_path)  # after a restart
    assert not again.add({"text": "a"}, "bad", "good", "z")


def test_the_visitors_answer_stands_whatever_its_column_is_called(tmp_path: Path) -> None:
    for name in ("prediction", "answer", "time", "visitor"):
        (tmp_path / name).mkdir()
        corrections(tmp_path / name, name).add({"text": "a"}, "right", "wrong", "x")
        (row,) = rows(tmp_path / name)
        assert row[name] == "right" and row["demo"]["answer"] == "wrong"
    for columns, name in (({"demo": "a"}, "label"), ({"text": "a"}, "demo"), ({"text": "a"}, "text")):
        with pytest.raises(UserError, match="two columns have one name"):
            corrections(tmp_path, name).add(columns, "right", "wrong", "x")


def picture(folder: Path, side: int) -> Path:
    file = folder / f"given-{side}.png"
    file.write_bytes(png(side))
    return file


def test_a_row_and_its_picture_are_kept_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    kept = corrections(tmp_path / "run", pictures_bytes=2 * 4_096)
    for side in (8, 9):
        assert kept.add({"image": picture(tmp_path, side)}, "red", "blue", "x")
    with pytest.raises(UserError, match="full"):  # small files count for what they take of the disk
        kept.add({"image": picture(tmp_path, 10)}, "red", "blue", "x")
    pictures = sorted(f"corrections/{file.name}" for file in (tmp_path / "run/corrections").iterdir())
    assert sorted(row["image"] for row in rows(tmp_path / "run")) == pictures and len(pictures) == 2

    full = corrections(tmp_path / "run")
    write = os.open

    def without_room(file: Any, flags: int, *mode: Any, **options: Any) -> int:
        if str(file).endswith(".jsonl") and flags & os.O_APPEND:
            raise OSError(28, "No space left on device")
        return write(file, flags, *mode, **options)

    monkeypatch.setattr(os, "open", without_room)
    with pytest.raises(UserError, match="may not write"):
        full.add({"image": picture(tmp_path, 11)}, "red", "blue", "x")
    assert len(list((tmp_path / "run/corrections").iterdir())) == 2


def test_a_visitor_does_not_see_where_a_damaged_file_is(tmp_path: Path) -> None:
    (tmp_path / "corrections.jsonl").write_text("{")
    with pytest.raises(UserError, match="mend their file first") as refused:
        corrections(tmp_path).add({"text": "a"}, "good", "bad", "x")
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("link", ["corrections.jsonl", "corrections"])
def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    """A run's folder may come from somebody else, and a link in it lead to the owner's files."""
    (tmp_path / "run").mkdir()
    victim = tmp_path / "victim"
    victim.mkdir() if link == "corrections" else victim.write_text("mine")
    (tmp_path / "run" / link).symlink_to(victim)
    with pytest.raises(UserError, match="cannot be kept here"):
        corrections(tmp_path / "run").add({"image": picture(tmp_path, 8)}, "red", "blue", "x")
    assert not list(victim.iterdir()) if victim.is_dir() else victim.read_text() == "mine"
    assert not stat.S_ISLNK(os.lstat(victim).st_mode)


def test_many_at_once_are_all_kept_whole(tmp_path: Path) -> None:
    kept = corrections(tmp_path, corrections_of_visitor=1_000)
    with ThreadPoolExecutor(8) as visitors:
        list(visitors.map(lambda n: kept.add({"text": f"t{n}"}, "good", "bad", "x"), range(100)))
    assert {row["text"] for row in rows(tmp_path)} == {f"t{number}" for number in range(100)}
