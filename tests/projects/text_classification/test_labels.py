"""Labels that are, or look, alike; what looks empty, or right, and is not."""

from pathlib import Path

import pytest

from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from tests.conftest import sentences

from .rows import GOOD, load


def test_a_label_only_in_test(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"test.csv, row 2: labels that no training row has \('sport'\)"):
        load(tmp_path, GOOD, test="text,label\nrain again,weather\na ball,sport\n")


def test_blanks_around_labels_are_warned_of(tmp_path: Path) -> None:
    data = load(tmp_path, GOOD.replace(",food", ", food"))
    (found,) = [finding for finding in data.findings if "blanks" in finding.problem]
    assert found.problem == "labels with blanks at their ends (' food')" and found.severity == "warning"


def test_contradictory_and_confusable_labels_are_warned_of(tmp_path: Path) -> None:
    data = load(tmp_path, GOOD + "the same words,food\nthe same words,music\nmore rain,Weather\nmore wind,Weather\n")
    texts = " ".join(map(str, data.findings))
    assert "rows 61, 62: equal texts with different labels" in texts
    assert "labels that differ only by case, blanks, width or .0 ('Weather', 'weather')" in texts


def with_labels(*pairs: tuple[str, str]) -> str:
    """A file in which each of some labels is written in a second way in every fifth row of it."""
    rows = sentences(60)
    for number, row in enumerate(rows):
        one, other = pairs[number % len(pairs)]
        row["label"] = other if number % 5 == 0 else one
    return "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("Café", "Cafe\u0301", r"'Cafe\u0301', 'Café' = 'Caf\xe9'"),
        ("한", "\u1112\u1161\u11ab", r"\u1112\u1161\u11ab"),
        ("positive", "positive\u200b", r"'positive', 'positive\u200b'"),
        ("positive", "\ufeffpositive", r"\ufeffpositive"),
        ("positive", "posi\u00adtive", r"posi\xadtive"),
        ("שאלה", "שאלה\u200f", r"\u200f"),
    ],
)
def test_labels_that_look_the_same_are_an_error_with_their_rows(
    tmp_path: Path, one: str, other: str, said: str
) -> None:
    with pytest.raises(UserError, match=r"train.csv, rows 1, 11, 21, 31, 41 and 1 more: labels that look the") as error:
        load(tmp_path, with_labels((one, other), ("other", "other")))
    assert said in str(error.value) and f"write them all as {one!a}" in str(error.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [("A1", "\uff21\uff11"), ("☺", "☺\ufe0f"), ("a b", "a\u00a0b"), ("1", "1.0"), ("Rain", "rain"), ("x", " x")],
)
def test_labels_that_nearly_look_the_same_are_warned_of(tmp_path: Path, one: str, other: str) -> None:
    data = load(tmp_path, with_labels((one, other), ("other", "other")))
    (found,) = [finding for finding in data.findings if "differ only" in finding.problem]
    assert found.severity == "warning" and ascii(one) in found.problem and ascii(other) in found.problem
    assert labels_of(data) == sorted([one, other, "other"])


@pytest.mark.parametrize(("one", "other"), [("Café", "Cafe\u0301"), ("1", "1.0"), ("positive", "positive\u200b")])
def test_a_label_of_the_test_rows_is_told_from_the_one_that_it_resembles(tmp_path: Path, one: str, other: str) -> None:
    train = with_labels((one, one), ("other", "other"))
    with pytest.raises(UserError) as error:
        load(tmp_path, train, test=f"text,label\nrain again,{other}\nmore rain,other\n")
    message = str(error.value)
    assert "test.csv, row 1: labels that no training row has (" in message and "write them as the training" in message
    assert f"{other!a}, but {one!r}" in message and f"{one!a} is one)" in message


def test_a_column_whose_name_only_looks_right_is_told_from_the_right_one(tmp_path: Path) -> None:
    for name, exact in (("text\u200b", r"'text\u200b'"), ("te\u00adxt", r"'te\xadxt'")):
        with pytest.raises(UserError) as error:
            load(tmp_path, GOOD.replace("text", name, 1))
        assert f"has a column {exact}, which looks like 'text' and is not the same: rename it" in str(error.value)


def test_texts_of_which_nothing_is_seen_are_empty(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rows 61, 62: an empty text"):
        load(tmp_path, GOOD + "\u200b,food\n\u00a0\ufeff,food\n")
    with pytest.raises(UserError, match="row 61: an empty label"):
        load(tmp_path, GOOD + "some words,\u200b\n")
