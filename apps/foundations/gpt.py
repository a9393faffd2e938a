"""Lesson 8: the GPT that `kit learn 08` trains goes on with a text."""

import dataclasses
import functools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from apps.foundations.shared import checked_number, computed
from apps.parts.guard import answering, guarded
from apps.parts.inputs import LIMITS, checked_text
from common.system.errors import UserError
from projects.foundations import lessons
from projects.foundations.lesson08_gpt import lesson
from projects.foundations.lesson08_gpt.model import GPT
from projects.foundations.lesson08_gpt.tokenizer import Tokenizer

PROMPT_LIMITS = dataclasses.replace(LIMITS, characters=1_000)
WRITTEN_TOKENS = 200


@functools.lru_cache(maxsize=1)
def loaded(folder: Path, changed: float) -> tuple[GPT, Tokenizer]:
    """Lesson 8's model, read again when its files are of another time."""
    return lesson.load(folder)


def trained() -> tuple[GPT, Tokenizer]:
    """The model that `kit learn 08` has left.  Raises UserError where there is none."""
    folder = lessons.PICTURES / "gpt"
    files = [folder / name for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")]
    if not all(file.is_file() for file in files):
        raise UserError(
            "There is no trained GPT yet: `kit learn 08` trains one in a few minutes, and then this page can write."
        )
    return loaded(folder, max(file.stat().st_mtime for file in files))


def checked_sampling(temperature: Any, top_k: Any, top_p: Any) -> lesson.Sampling:
    """How to choose.  Raises UserError for what is out of range."""
    warmth = (
        0.0
        if temperature == 0
        else checked_number(temperature, "temperature (0 takes the likeliest each time)", 0.05, 2)
    )
    return lesson.Sampling(
        warmth,
        checked_number(top_k, "top-k (0 keeps all)", 0, 1_000, whole=True),
        checked_number(top_p, "top-p", 0.05, 1),
    )


async def write_on(
    text: str, temperature: float, top_k: int, top_p: float, tokens: int, seed: int
) -> AsyncIterator[str]:
    """The text with what the GPT adds to it, again and again, longer each time.

    Each piece is computed on its own, so that others get their turn in between.
    """
    until = time.monotonic() + LIMITS.seconds
    async with answering(LIMITS.seconds):
        written, sampling = checked_text(text, PROMPT_LIMITS), checked_sampling(temperature, top_k, top_p)
        count = checked_number(tokens, "number of tokens", 1, WRITTEN_TOKENS, whole=True)
        number = checked_number(seed, "seed", 0, 2**31 - 1, whole=True)
        model, tokenizer = await computed(trained)
    pieces = lesson.stream(model, tokenizer, written, count, sampling, number)
    while True:
        async with answering(until - time.monotonic()):
            piece = await computed(next, pieces, None)
        if piece is None:
            return
        written += piece
        yield written


@guarded(LIMITS.seconds)
async def which_model() -> str:
    """What writes here, or how to make it; asked each time the page is opened."""
    try:
        model, tokenizer = await computed(trained)
    except UserError as missing:
        return str(missing)
    size, shape = sum(parameter.numel() for parameter in model.parameters()), model.shape
    return (
        f"A model of {size:,} parameters in {shape.layers} layers, with {len(tokenizer.tokens):,} tokens, "
        f"that sees {shape.context} of them at once (lesson 8)."
    )


def gpt_tab() -> gr.Markdown:
    """Lesson 8: let it write. The component that says which model there is."""
    which = gr.Markdown()
    with gr.Row():
        with gr.Column(min_width=280):
            text = gr.Textbox(
                lesson.PROMPT,
                label="The beginning of a text",
                lines=2,
                max_lines=6,
                max_length=PROMPT_LIMITS.characters,
            )
            temperature = gr.Slider(
                0, 2, 0.7, step=0.05, label="Temperature", info="0 takes the likeliest token each time", buttons=[]
            )
            top_k = gr.Slider(0, 100, 0, step=1, label="Top-k", info="0 keeps all tokens", buttons=[])
            top_p = gr.Slider(0.05, 1, 0.9, step=0.05, label="Top-p", info="1 keeps all tokens", buttons=[])
            tokens = gr.Slider(1, WRITTEN_TOKENS, 80, step=1, label="Tokens to write", buttons=[])
            seed = gr.Slider(0, 100, 0, step=1, label="Seed", info="another one gives another text", buttons=[])
            go_on = gr.Button("Continue", variant="primary")
        with gr.Column(min_width=280, scale=2):
            output = gr.Textbox(label="The text goes on", lines=14, max_lines=20, interactive=False, elem_id="written")
    gr.on(
        [go_on.click, text.submit],
        write_on,
        [text, temperature, top_k, top_p, tokens, seed],
        output,
        api_visibility="private",
    )
    return which
