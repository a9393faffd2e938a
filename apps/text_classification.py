"""The demo of text classification: ask it, see why, see how good it is, ask it about a whole file."""

import html
from typing import Any

import gradio as gr

from apps.parts import server
from apps.parts.classifier import ClassifierDemo, said
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.task.contract import Prediction

# A text is cut into at most so many pieces to see which of them matter.
PIECES = 60
# A piece that changes the probability by less is not marked.
LEAST_SHARE = 0.01


class TextDemo(TextQuestions, ClassifierDemo):
    """Questions are texts, answers are labels."""

    @guarded(LIMITS.seconds)
    async def explain(self, text: str) -> tuple[list[tuple[str, str | None]], str]:
        """The text's pieces, marked where they speak for or against the answer, and the weightiest as a table.

        A piece's share is what the probability loses when the piece is left out (occlusion: Li et al. 2016).
        """
        text = await self.checked(text)
        pieces = split(text)
        whole = await self.prediction(text)
        rest = [" ".join(pieces[:place] + pieces[place + 1 :]) for place in range(len(pieces))]
        if len(pieces) == 1:
            return [(text, None)], "<p>One word alone: there is nothing to leave out.</p>"
        shares = await self.shares(whole.value, whole, rest)
        least = max(LEAST_SHARE, max(map(abs, shares)) / 10)
        marks = [None if abs(lost) < least else "for" if lost > 0 else "against" for lost in shares]
        return [(piece + " ", mark) for piece, mark in zip(pieces, marks, strict=True)], shares_table(
            whole, pieces, shares
        )

    def why_tab(self) -> list[Any]:
        gr.Markdown(
            "Each word is left out in turn: "
            "where the answer gets less probable without it, the word speaks for the answer."
        )
        (text,) = self.question_boxes()
        button = gr.Button("Explain", variant="primary")
        colors = {"for": "#1d4ed8", "against": "#b45309"}
        spans = gr.HighlightedText(
            label="What speaks for the answer, and what against it", color_map=colors, elem_classes="marked"
        )
        table = gr.HTML()
        button.click(self.explain, text, [spans, table], api_name="explain")
        return [text]


def split(text: str) -> list[str]:
    """The words of a text; of a long one, runs of words, so that there are at most `PIECES`."""
    words = text.split()
    size = -(-len(words) // PIECES)
    return [" ".join(words[start : start + size]) for start in range(0, len(words), size)]


def shares_table(whole: Prediction, pieces: list[str], shares: list[float]) -> str:
    """The five pieces that matter most, in words."""
    most = sorted(zip(pieces, shares, strict=True), key=lambda pair: -abs(pair[1]))[:5]
    rows = "".join(
        f'<tr><td>{html.escape(piece)}</td><td class="n">{100 * lost:+.1f}</td></tr>' for piece, lost in most
    )
    lead = f"<p>{said(whole)} What each word adds to that, in points:</p>"
    return f'<div class="report">{lead}<table><tr><th>word</th><th class="n">points</th></tr>{rows}</table></div>'


build = TextDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
