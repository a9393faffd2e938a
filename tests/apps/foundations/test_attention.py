"""The tab of attention shows what lesson 6 computes."""

import json

import numpy as np
import pytest

from apps.foundations import attention
from apps.foundations.__main__ import build
from common.system.errors import UserError
from projects.foundations.lesson06_attention import lesson
from tests.apps.foundations.conftest import call


@pytest.mark.parametrize(("layer", "head"), [(1, 3), (6, 12)])
def test_attention_is_lesson_6s(url: str, layer: int, head: int) -> None:
    kind, (answer,) = call(url, "attention", lesson.SENTENCE, layer, head)
    tokens, weights = lesson.sentence_weights()
    assert kind == "complete" and answer["tokens"] == tokens
    assert np.allclose(answer["weights"], weights[layer - 1, head - 1])
    words = weights[layer - 1, head - 1, 1:-1, 1:-1]
    row, column = np.unravel_index(words.argmax(), words.shape)
    at = "itself" if row == column else f"“{tokens[column + 1]}” (token {column + 2})"
    assert (
        f"Hardest looks “{tokens[row + 1]}” (token {row + 2}) at {at}: {words.max():.2f} of its weight"
        in answer["said"]
    )


def test_without_the_encoder_the_other_tabs_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(sentence: str) -> None:
        raise UserError("nothing can be fetched")

    monkeypatch.setattr(attention, "looks", missing)
    blocks = build()
    assert "`kit starters` fetches it" in json.dumps(blocks.get_config_file())
    assert set(blocks.get_api_info()["named_endpoints"]) == {"/descend", "/fit", "/continue"}
