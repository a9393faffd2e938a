"""The tab of the GPT writes as lesson 8 does, and says how to get a model."""

import asyncio
import itertools
from pathlib import Path

import pytest

from apps.foundations.gpt import which_model, write_on
from projects.foundations import lessons
from projects.foundations.lesson08_gpt import lesson
from tests.apps.foundations.conftest import call, tiny_gpt


def test_the_gpt_goes_on_as_lesson_8_does(url: str) -> None:
    model, tokenizer = lesson.load(lessons.PICTURES / "gpt")
    for sampling in (lesson.Sampling(0), lesson.Sampling(0.7, 10, 0.9), lesson.Sampling(2)):
        expected = "the rows" + "".join(lesson.stream(model, tokenizer, "the rows", 60, sampling, 3))
        kind, (text,) = call(url, "continue", "the rows", sampling.temperature, sampling.top_k, sampling.top_p, 60, 3)
        assert (kind, text) == ("complete", expected)


def test_the_gpt_writes_piece_by_piece(url: str) -> None:
    async def written() -> list[str]:
        return [text async for text in write_on("the", 1, 0, 1, 40, 0)]

    texts = asyncio.run(written())
    assert len(texts) > 20 and all(
        longer.startswith(text) and longer != text for text, longer in itertools.pairwise(texts)
    )


def test_without_a_gpt_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(lessons, "PICTURES", tmp_path)
    kind, said = call(url, "continue", "Compute the", 1, 0, 1, 10, 0)
    assert kind == "error" and "There is no trained GPT yet: `kit learn 08` trains one" in said["error"]
    assert "`kit learn 08`" in asyncio.run(which_model())
    tiny_gpt(tmp_path / "gpt")
    assert call(url, "continue", "Compute the", 1, 0, 1, 10, 0)[0] == "complete"
    assert "in 1 layers" in asyncio.run(which_model())
