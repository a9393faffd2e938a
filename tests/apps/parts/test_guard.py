"""What goes wrong becomes a sentence."""

import asyncio
import time

import gradio as gr
import pytest

from apps.parts.guard import guarded


def test_a_slow_model_costs_a_sentence_and_not_the_server() -> None:
    @guarded(0.05)
    async def slow() -> None:
        await asyncio.sleep(5)

    started = time.perf_counter()
    with pytest.raises(gr.Error, match="took too long"):
        asyncio.run(slow())
    assert time.perf_counter() - started < 2
