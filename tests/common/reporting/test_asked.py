"""What `kit predict` reads and prints."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.reporting.asked import answer_json, answer_line, inputs
from common.system.errors import UserError
from common.task.contract import Prediction


def test_inputs_come_from_everywhere_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffgröße\r\nb\u2028c\x0b\nlast".encode())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"one\ntwo\n")))
    assert inputs(["x", "-"], tmp_path / "a.txt") == ["x", "one", "two", "größe", "b\u2028c\x0b", "last"]


@pytest.mark.parametrize("given", [[""], ["a", "  "], []])
def test_nothing_is_no_input(given: list[str]) -> None:
    with pytest.raises(UserError, match=r"an input is empty|there is nothing to answer"):
        inputs(given, None)


def test_empty_lines_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gaps.txt").write_text("a\n\nb\n \n")
    (tmp_path / "latin.txt").write_bytes("größe".encode("latin-1"))
    (tmp_path / "empty.txt").touch()
    for name, sentence in {
        "gaps.txt": "gaps.txt, line 2: an empty input: fill in or remove the 2 empty lines",
        "latin.txt": "is no text in UTF-8",
        "empty.txt": "there is nothing to answer",
        "none.txt": "there is no file",
    }.items():
        with pytest.raises(UserError, match=sentence):
            inputs([], tmp_path / name)


def test_an_answer_says_when_it_is_not_sure() -> None:
    assert answer_line("so so", Prediction("negative", 0.682, sure=False)) == " 68.2%  negative (not sure)   so so"
    assert answer_line("fine", Prediction("positive", 0.983)) == " 98.3%  positive   fine"
    assert answer_line("a\nb\x1b[2J", Prediction("x\x07y")) == r"x\x07y   a\nb\x1b[2J"


def test_an_answer_says_why_it_is_not_sure() -> None:
    answer = Prediction("spam", 0.99, sure=False, doubt="unlike its training data")
    assert "(not sure: unlike its training data)" in answer_line("asdf", answer)
    assert json.loads(answer_json("asdf", answer))["doubt"] == answer.doubt


def test_an_answer_as_json_is_one_line_of_ascii() -> None:
    line = answer_json("größe\n\U0001f600", Prediction({"a": [1]}, 0.5, sure=False))
    assert line.isascii() and "\n" not in line
    assert json.loads(line) == {"input": "größe\n\U0001f600", "value": {"a": [1]}, "confidence": 0.5, "sure": False}


def test_an_answer_of_several_lines_stands_below_its_input() -> None:
    lines = answer_line("a\nb", Prediction(["x"]), ["  1  x", "  2  \x1b"])
    assert lines == "a\\nb\n  1  x\n  2  \\x1b"
