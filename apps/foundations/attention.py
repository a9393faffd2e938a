"""Lesson 6: attention, head by head."""

import dataclasses
import functools
import logging
from typing import Any

import gradio as gr
from matplotlib.figure import Figure

from apps.foundations.shared import Answer, checked_number, computed, png, shown
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, checked_text
from common.system.errors import UserError
from projects.foundations.lesson06_attention import lesson

logger = logging.getLogger("apps")

SENTENCE_LIMITS = dataclasses.replace(LIMITS, characters=300)
SHOWN_TOKENS = 40


@functools.lru_cache(maxsize=16)
def looks(sentence: str) -> tuple[list[str], Any]:
    """Lesson 6's tokens and weights; who moves to another head does not wait for the encoder again."""
    return lesson.sentence_weights(sentence)


def head_weights(sentence: Any, layer: Any, head: Any) -> tuple[list[str], Any, str]:
    """Tokens, weights (time, time) of one head, and what is strongest in words; layers and heads count from 1.

    Raises UserError for what is no sentence, too long, or not there.
    """
    tokens, weights = looks(checked_text(sentence, SENTENCE_LIMITS))
    if len(tokens) < 3:
        raise UserError("The encoder finds no word in this: write a sentence.")
    if len(tokens) > SHOWN_TOKENS:
        raise UserError(f"The sentence has {len(tokens)} tokens, and {SHOWN_TOKENS} are shown at most: shorten it.")
    place = (
        checked_number(layer, "layer", 1, len(weights), whole=True) - 1,
        checked_number(head, "head", 1, weights.shape[1], whole=True) - 1,
    )
    return tokens, weights[place], strongest(tokens, weights[place])


def strongest(tokens: list[str], weights: Any) -> str:
    """Which word looks hardest at which, and how much goes to the signs that begin and end the sentence."""
    words = weights[1:-1, 1:-1]
    row, column = divmod(int(words.argmax()), len(words))
    ends = weights[1:-1, [0, -1]].sum(dim=-1).mean().item()
    at = "itself" if row == column else f"“{tokens[column + 1]}” (token {column + 2})"
    return (
        f"Hardest looks “{tokens[row + 1]}” (token {row + 2}) at {at}: {words[row, column]:.2f} of its weight. "
        f"On average the words give {ends:.2f} to the two signs around the sentence, {tokens[0]} and {tokens[-1]}."
    )


def heat_map(tokens: list[str], weights: Any, title: str) -> bytes:
    """The row looks, the column is looked at."""
    side = max(4.5, 0.3 * len(tokens) + 1.5)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(tokens)), tokens, rotation=90, parse_math=False)  # a dollar is a dollar
    axes.set_yticks(range(len(tokens)), tokens, parse_math=False)
    axes.set_title(title, fontsize=11)
    axes.set(xlabel="looked at", ylabel="looks")
    axes.spines[:].set_color("#d1d5db")
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8)
    return png(figure)


def attention_answer(sentence: Any, layer: Any, head: Any) -> Answer:
    """One head's weights as lists."""
    tokens, weights, said = head_weights(sentence, layer, head)
    return {"tokens": tokens, "weights": weights.tolist(), "said": said}


@guarded(LIMITS.seconds)
async def attend(sentence: str, layer: int, head: int) -> Answer:
    """The sentence's tokens, how much each looks at each in one head of MiniLM,
    and one sentence on the strongest look."""
    return await computed(attention_answer, sentence, layer, head)


def attention_shown(sentence: Any, layer: Any, head: Any) -> str:
    """The answer as HTML."""
    tokens, weights, said = head_weights(sentence, layer, head)
    return shown(
        said,
        heat_map(tokens, weights, f"MiniLM, layer {int(layer)}, head {int(head)}"),
        narrowest=1.4 * len(tokens) + 8,
    )


@guarded(LIMITS.seconds)
async def show_attention(sentence: str, layer: int, head: int) -> str:
    """The answer as HTML."""
    return await computed(attention_shown, sentence, layer, head)


def attention_tab() -> None:
    """Lesson 6: which token looks where.

    Without the encoder the tab only says how to get it: no visitor makes the server fetch it.
    """
    layer_first, head_first, _ = lesson.HEADS[1]
    try:
        first = attention_shown(lesson.SENTENCE, layer_first + 1, head_first + 1)
    except UserError as missing:
        logger.warning("there is no attention to see: %s", missing)
        gr.Markdown(
            "The pretrained encoder is not on this computer: `kit starters` fetches it, "
            "and then this page has to be started again."
        )
        return
    gr.Markdown(
        "Each row is a token, and its colours say how much it looks at the others (lesson 6). "
        "The encoder is MiniLM, with 6 layers of 12 heads."
    )
    with gr.Row():
        with gr.Column(min_width=280):
            sentence = gr.Textbox(
                lesson.SENTENCE, label="A sentence", lines=2, max_lines=5, max_length=SENTENCE_LIMITS.characters
            )
            layer = gr.Slider(1, 6, layer_first + 1, step=1, label="Layer", buttons=[])
            head = gr.Slider(1, 12, head_first + 1, step=1, label="Head", buttons=[])
            look = gr.Button("Look", variant="primary")
        with gr.Column(min_width=280, scale=2):
            answer = gr.HTML(first)
    inputs: list[Any] = [sentence, layer, head]
    gr.on([look.click, sentence.submit], show_attention, inputs, answer, api_visibility="private")
    moved: Any = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
    gr.on([layer.release, head.release], show_attention, inputs, answer, **moved)
    gr.api(attend, api_name="attention")  # type: ignore[attr-defined]
