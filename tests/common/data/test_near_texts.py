"""Nearly equal texts are found whatever their length and script, and others are not."""

import random
from collections import defaultdict

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data import near_texts as module
from common.data.near_texts import near_texts

from .planted import LENGTHS, planted


def found(train: list[str], test: list[str]) -> set[tuple[int, int]]:
    """(test text, training text) of the pairs that are nearly equal."""
    splits = {"train": Dataset.from_dict({"text": train}), "test": Dataset.from_dict({"text": test})}
    pairs = near_texts("text")(splits, {"test": np.arange(len(test)), "train": np.arange(len(train))})
    return {(index, train_index) for split, index, train_index in pairs if split == "test"}


def invented(lengths: list[int], seed: int) -> list[str]:
    """Texts of words that are drawn as words are: a few often, most seldom."""
    chance = random.Random(seed)
    letters = "eeeeaaaiiooounnrrsstttlldddmmppbbcgkhvwyfz"
    words = ["".join(chance.choices(letters, k=chance.randrange(2, 9))) for _ in range(5_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    return [" ".join(chance.choices(words, weights, k=length)) for length in lengths]


def test_planted_pairs_of_3_to_300_words_are_found_and_no_others() -> None:
    lengths = [length for length in LENGTHS for _ in range(30)]
    texts = invented([*lengths, *lengths], seed=0)
    train, test = texts[: len(lengths)], planted(texts[: len(lengths)], seed=1) + texts[len(lengths) :]
    pairs = found(train, test)
    right = {(index, train_index) for index, train_index in pairs if index == train_index}
    assert len(right) >= 0.9 * len(pairs), "precision"
    by_length: dict[int, list[bool]] = defaultdict(list)
    for index, length in enumerate(lengths):
        by_length[length].append((index, index) in right)
    assert len(right) >= 0.95 * len(lengths), "recall"
    assert all(np.mean(hits) >= 0.8 for hits in by_length.values()), by_length


def test_short_texts_with_endings_of_their_own_are_found() -> None:
    """What templates and language models give: the same sentence again, each time with another ending."""
    beginnings = ["The coffee was cold", "The staff was friendly", "The soup tasted of nothing", "The bread was fresh"]
    beginnings += [
        "We waited for the bill",
        "Prices are far too high",
        "The music was too loud",
        "The waiter forgot our order",
    ]
    endings = [" on Monday", ", really", ", I think"]
    texts = [f"{text}{endings[number]} ({number})" for number in range(3) for text in beginnings]
    pairs = found(texts[:16], texts[16:])
    assert {index for index, _ in pairs} == set(range(8))
    assert all(train_index % 8 == index for index, train_index in pairs)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("我昨天买的手机今天就坏了 真的很失望", "我昨天买的手机今天就坏了 真的失望"),
        ("كانت القهوة باردة والخدمة بطيئة جدا", "كانت القهوة باردة والخدمة بطيئة"),
        ("ร้านนี้อาหารอร่อยมากและราคาไม่แพง", "ร้านนี้อาหารอร่อยมากและราคาไม่แพงเลย"),
    ],
)
def test_every_script(one: str, other: str) -> None:
    others = ["今天天气很好 我们去公园散步", "ذهبنا إلى البحر في الصيف", "เมื่อวานฝนตกหนักมาก"]
    assert found([*others, one], [other]) == {(0, 3)}


def test_texts_of_one_kind_are_not_nearly_equal() -> None:
    questions = ["How do I track my parcel?", "How do I cancel an order?", "How do I reset the password?"]
    assert found(questions, ["How do I change my address?", "How do I close the account?"]) == set()


def test_each_looked_up_text_is_found_once_in_a_thousand_rows_and_never_itself() -> None:
    train = ["a sentence that is here many times, more or less " + word for word in "abcdefgh"]
    splits = {"train": Dataset.from_dict({"text": train})}
    pairs = list(near_texts("text")(splits, {"train": np.arange(8)}))
    assert len(pairs) == 8 and all(index != train_index for _, index, train_index in pairs)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=6), st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_any_texts(train: list[str], test: list[str]) -> None:
    """No text stops it, and every pair that it gives shares words."""
    for index, train_index in found(train, test):
        shared = module._pieces([test[index], train[train_index]])
        assert (shared[[0]].multiply(shared[[1]])).nnz > 0
