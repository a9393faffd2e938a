"""Texts in pieces: nothing is lost, scripts without blanks are cut, and what is not read is not explained."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.models.pretrained import pretrained
from common.models.tokenizer import read_part
from projects.text_classification.pieces import kept_texts, pieces


@pytest.fixture(scope="module")
def processor() -> Any:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(pretrained("starter:minilm-l6").folder)
    loaded.model_max_length = 16
    return loaded


@given(st.text(st.sampled_from("ab é\n\u3000漢字かなกข'👩\u200d"), min_size=1, max_size=80), st.integers(2, 20))
@settings(max_examples=60, deadline=None)
def test_joined_the_pieces_are_the_text(processor: Any, text: str, most: int) -> None:
    parts = pieces(text, processor, most)
    assert "".join(parts) == text and 1 <= len(parts) <= most and all(parts)
    nothing, everything = kept_texts(parts, np.asarray([[False] * len(parts), [True] * len(parts)]))
    assert nothing == " " and everything == text


def test_words_are_pieces_and_scripts_without_blanks_are_cut(processor: Any) -> None:
    assert pieces("  a charming,\n film ", processor, 40) == ["  a ", "charming,\n ", "film "]
    assert pieces("这部电影很好", processor, 40) == list("这部电影很好")
    assert pieces("iPhone 手机 good", processor, 40) == ["iPhone ", "手", "机 ", "good"]
    assert pieces("a b c d e", processor, 2) == ["a b c ", "d e"]


def test_only_what_the_model_reads_is_explained(processor: Any) -> None:
    assert read_part("a short text", processor) == "a short text"
    text = " ".join(f"word{letter}" for letter in "abcdefghijklmnop")
    read = read_part(text, processor)
    assert text.startswith(read) and len(read) < len(text)
    assert processor(read, truncation=True)["input_ids"] == processor(text, truncation=True)["input_ids"]
