"""The words of any text: a baseline and slices by length for every script, and for texts without words."""

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.fine_tune import fine_tune
from common.models import regression
from common.run import Run
from common.system.files import read_json
from projects.text_classification.baselines import MOST, Signs, Words
from projects.text_classification.slices import by_length, perturbed
from projects.text_classification.words import are_unspaced, words_of
from tests.conftest import write_csv

TEXTS = {
    "English": ("The soup was cold, and it's 9 o'clock", "The soup was cold and it clock"),
    "Chinese": ("很好的电影", "很 好 的 电 影"),
    "Chinese and English": ("很好 good", "很 好 good"),
    "Japanese": ("カタカナです", "カ タ カ ナ で す"),
    "Thai": ("สวัสดี", "ส วั ส ดี"),
    "Hindi": ("हिन्दी में", "हिन्दी में"),
    "Korean": ("한국어 문장", "한국어 문장"),
    "accents in two ways": ("café cafe\u0301", "café cafe\u0301"),
    "emojis": ("wow 😀😀", "wow 😀 😀"),
    "grades": ("A B C", ""),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_words_of_a_text_in_its_script(name: str) -> None:
    text, words = TEXTS[name]
    assert words_of(text) == words.split()


@settings(max_examples=200, deadline=None)
@given(st.text(string.ascii_letters + string.digits + string.punctuation + "_ \néüßñж", max_size=60))
def test_in_scripts_with_blanks_they_are_scikit_learns(text: str) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    assert words_of(text.lower()) == TfidfVectorizer().build_analyzer()(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1).filter(lambda text: bool(text.strip())), min_size=2, max_size=8))
def test_any_texts_give_vectors_that_are_the_same_after_they_were_saved(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    vectors = Words.of(texts, 2)
    assert vectors(texts).shape[1] > 0
    folder = tmp_path_factory.mktemp("vectors")
    vectors.save(folder)
    again = Words.load(folder)
    assert again.kind == vectors.kind and (again(texts) != vectors(texts)).nnz == 0


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "2", "3 4"], Signs),
        (["😀", "☹"], Words),
        (["∑", "±", "§"], Signs),
        (["A B C D", "B", "A good one"], Signs),
        (["good", "fine", "A"], Words),
        (["好", "坏"], Words),
    ],
)
def test_texts_without_words_are_told_apart_by_their_signs(texts: list[str], kind: type[Words]) -> None:
    vectors = Words.of(texts, 2)
    assert type(vectors) is kind
    found = vectors(texts).toarray()
    assert len({tuple(row) for row in found}) == len(texts)


def test_many_labels_get_as_many_words_as_the_memory_of_a_regression_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert regression.COEFFICIENTS // 77 >= MOST, "of fewer labels nothing changes"
    texts = [f"word{n} word{n + 1} other{n % 7}" for n in range(200)]
    monkeypatch.setattr(regression, "COEFFICIENTS", 2_000)
    for labels in (20, 300):
        vectors = Words.of(texts, labels)
        width = vectors(texts).shape[1]
        assert 0 < width * labels <= 2_000 and width == 2_000 // labels


def test_the_length_of_texts_without_blanks_is_in_characters() -> None:
    chinese = ["好" * count for count in range(1, 31)]
    values = by_length(chinese)["length"]
    assert set(values) == {"short (up to 11 characters)", "medium (up to 20 characters)", "long (over 20 characters)"}
    assert are_unspaced(["ไม่มีช่องว่าง", "ok"]) and not are_unspaced(["a 好 word", "more words"])
    english = ["word " * count for count in range(1, 31)]
    assert by_length(english)["length"][0] == "short (up to 11 words)"


def test_a_change_that_changes_nothing_is_no_perturbation() -> None:
    assert list(perturbed(["很好的电影", "不好看"], 0)) == ["typos in 10% of the words"]
    assert list(perturbed(["1", "2"], 0)) == []
    assert len(perturbed(["Good soup", "BAD soup"], 0)) == 3


@pytest.mark.parametrize("texts", ["digits", "emojis", "kanji", "grades"])
def test_texts_of_single_signs_are_trained_on_and_measured(texts: str, tiny_model: Path, tmp_path: Path) -> None:
    signs = {
        "digits": "0123456789",
        "emojis": "😀☹🎉💔🙂😡🥳😢👍👎",
        "kanji": "良悪好嫌楽苦喜悲上下",
        "grades": "ABCDEFGHIJ",
    }[texts]
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for number in random.permutation(10**4)[:80]:
        chosen = [signs[int(digit)] for digit in f"{number:04}"]
        rows.append({"text": " ".join(chosen), "label": "odd" if number % 2 else "even"})
    file = write_csv(tmp_path / "rows.csv", list({row["text"]: row for row in rows}.values()))
    options = ["--train_file", str(file), "--model", str(tiny_model), "--output_dir", str(tmp_path / "runs")]
    fine_tune("text_classification", [*options, "--run_name", "tiny", "--max_steps", "1", "--precision", "fp32"])
    results = read_json(Run(tmp_path / "runs/text_classification/tiny").results)
    assert results["failed"] == []
    assert "tfidf_logistic_regression" in results["baselines"]
