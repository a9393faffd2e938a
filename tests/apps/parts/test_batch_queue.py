"""The queue in front of the model."""

import asyncio
import time
from typing import Any

import pytest

from apps.parts.batch_queue import BatchQueue


def test_questions_that_arrive_while_the_model_works_are_one_batch() -> None:
    batches: list[list[int]] = []

    def double(questions: list[int]) -> list[int]:
        batches.append(questions)
        time.sleep(0.05)
        return [2 * question for question in questions]

    async def ask() -> list[int]:
        queue = BatchQueue(double, largest=16)
        return await asyncio.gather(*(queue.ask(number) for number in range(33)))

    assert asyncio.run(ask()) == [2 * number for number in range(33)]
    assert [len(batch) for batch in batches] == [16, 16, 1]


def test_an_error_reaches_those_who_asked_and_the_queue_goes_on() -> None:
    def answer(questions: list[Any]) -> list[Any]:
        if "bad" in questions:
            raise ValueError("no")
        return questions

    async def ask() -> None:
        queue = BatchQueue(answer, largest=1)
        results = await asyncio.gather(*(queue.ask(word) for word in ("a", "bad", "b")), return_exceptions=True)
        assert results[0] == "a" and results[2] == "b"
        assert isinstance(results[1], ValueError)
        assert await queue.ask("again") == "again"

    asyncio.run(ask())


def test_whoever_gives_up_is_not_computed_for() -> None:
    asked: list[str] = []

    def slow(questions: list[str]) -> list[str]:
        asked.extend(questions)
        time.sleep(0.2)
        return questions

    async def ask() -> None:
        queue = BatchQueue(slow, largest=1)
        first = asyncio.create_task(queue.ask("first"))
        await asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.ask("impatient"), 0.05)
        assert await first == "first"
        assert await queue.ask("last") == "last"

    asyncio.run(ask())
    assert asked == ["first", "last"]
