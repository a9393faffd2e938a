"""The queue in front of the model."""

import asyncio
import contextvars
import time
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from hypothesis import given, settings
from hypothesis import strategies as st

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


def as_visitor(address: str, request: str) -> Any:
    """A context in which a handler of Gradio's works for that address."""
    context = contextvars.copy_context()
    context.run(LocalContext.request.set, gr.Request(client=SimpleNamespace(host=address), headers={}))
    context.run(LocalContext.event_id.set, request)
    return context


def batches_of(askers: list[tuple[str, str, int]], **options: Any) -> list[list[str]]:
    """The batches in which the questions of (address, request, how many) are answered; all wait from the start."""
    batches: list[list[str]] = []

    def answer(questions: list[str]) -> list[str]:
        batches.append(questions)
        return questions

    async def ask() -> None:
        queue, loop = BatchQueue(answer, **options), asyncio.get_running_loop()
        asked = [
            loop.create_task(queue.ask(f"{address}/{request}/{number}"), context=as_visitor(address, request))
            for address, request, many in askers
            for number in range(many)
        ]
        await asyncio.gather(*asked)

    asyncio.run(ask())
    return batches


def test_whoever_asks_much_lets_all_others_in_between() -> None:
    batches = batches_of(
        [("flooder", "table", 200), ("flooder", "why", 100), ("one", "ask", 1), ("two", "ask", 1)], largest=8
    )
    assert batches[0][:4] == ["flooder/table/0", "one/ask/0", "two/ask/0", "flooder/why/0"]
    assert sum(map(len, batches)) == 302


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 9)), min_size=1, max_size=9),
    st.integers(1, 8),
)
@settings(max_examples=30, deadline=None)
def test_every_question_is_answered_once_and_nobody_waits_for_more_than_one_of_each(
    askers: list[tuple[str, str, int]], largest: int
) -> None:
    batches = batches_of(askers, largest=largest)
    order = [question for batch in batches for question in batch]
    asked = [f"{a}/{r}/{n}" for a, r, many in askers for n in range(many)]
    assert sorted(order) == sorted(asked)
    addresses = [question[0] for question in order]
    for place, address in enumerate(addresses):
        following = addresses[place + 1 :]
        if address in following:  # between two of one address, each other that still waits has its turn
            between = following[: following.index(address)]
            assert set(between) == set(following) - {address} and len(between) == len(set(between))


def test_whoever_asks_dear_things_is_given_no_more_than_others() -> None:
    askers = [("flooder", "r", 20), ("one", "r", 20), ("two", "r", 20)]
    batches = batches_of(askers, largest=1, cost=lambda question: 10.0 if question.startswith("flooder") else 1.0)
    order = [question.split("/")[0] for (question,) in batches]
    before = order[: order.index("flooder", order.index("flooder") + 1)]
    assert before.count("one") == before.count("two") == 10


def test_a_batch_costs_no_more_than_it_may_but_for_a_single_question() -> None:
    costs = {"a": 3.0, "b": 9.0, "c": 4.0}
    batches = batches_of(
        [(address, "r", 3) for address in costs], cost=lambda question: costs[question[0]], dearest=7.0
    )
    assert all(len(batch) == 1 or sum(costs[one[0]] for one in batch) <= 7 for batch in batches)
    assert sum(map(len, batches)) == 9
