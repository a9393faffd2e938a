"""Names that look the same are told from those that do not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.looks import is_blank, look, rough_look, sharing, spelled

SAME = [
    ("Café", "Cafe\u0301"),
    ("한", "\u1112\u1161\u11ab"),
    ("positive", "positive\u200b"),
    ("positive", "\ufeffpositive"),
    ("positive", "posi\u00adtive"),
    ("שאלה", "שאלה\u200f"),
    ("a", "\u2066a\u2069"),
]
NEARLY = [
    ("A1", "\uff21\uff11"),
    ("☺", "☺\ufe0f"),
    ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u062e"),  # Persian with and without a joiner
    ("a b", "a\u00a0b"),
    ("Rain", "rain "),
    ("1", "1.0"),
    ("\ufb01ne", "fine"),
]
ENGLAND, SCOTLAND = ("\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in name) for name in ("gbeng", "gbsct"))
DIFFERENT = [(ENGLAND, SCOTLAND), ("1.1", "1.10"), ("007", "7"), ("a-b", "ab"), ("\U0001f600", "\U0001f601")]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_looks_the_same(one: str, other: str) -> None:
    assert one != other and look(one) == look(other) and spelled(one) != spelled(other)
    assert sharing([one, "x", other], look) == [[one, other]]


@pytest.mark.parametrize(("one", "other"), NEARLY)
def test_what_nearly_looks_the_same(one: str, other: str) -> None:
    assert look(one) != look(other) and rough_look(one) == rough_look(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_looks_different(one: str, other: str) -> None:
    assert look(one) != look(other) and rough_look(one) != rough_look(other)


@given(st.text())
def test_looks_are_looked_at_once(text: str) -> None:
    for form in (look, rough_look):
        assert form(form(text)) == form(text)
        assert form(unicodedata.normalize("NFD", text)) == form(unicodedata.normalize("NFC", text))
    assert is_blank(text) == (rough_look(text) == "")


def test_what_cannot_be_seen_is_spelled_out() -> None:
    assert spelled("plain") == "'plain'"
    assert spelled("a\u200b") == r"'a\u200b'" and spelled("é") == r"'é' = '\xe9'"
