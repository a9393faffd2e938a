"""The demo of text classification: ask it, see why, see how good it is, ask it about a whole file."""

import asyncio
import html
from typing import Any

import gradio as gr
import numpy as np

from apps.parts import server
from apps.parts.answers import BaselineAnswer, share
from apps.parts.classifier import ClassifierDemo, said
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.metrics.attribution import clear, coalitions, shapley
from common.task.contract import Prediction
from projects.text_classification.pieces import kept_texts, pieces, read_part

# A text is cut into at most so many pieces to see which of them matter.
PIECES = 40
# Texts with some of the pieces that the model is asked about: of long texts fewer, so that nobody waits for long.
COALITIONS, FEWEST, CHARACTERS = 256, 128, 60_000
# A piece that changes the probability by less is not marked.
LEAST_SHARE = 0.01
# Pieces that the table names.
NAMED = 8


class TextDemo(TextQuestions, ClassifierDemo):
    """Questions are texts, answers are labels."""

    def answer_html(
        self, question: Any, prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float
    ) -> str:
        return super().answer_html(question, prediction, baseline, milliseconds) + self.unread([question])

    def unread(self, texts: list[str]) -> str:
        processor = self.task.processor
        lengths = [len(text) - len(read_part(text, processor)) for text in texts]
        if not any(lengths):
            return ""
        whose = "" if len(texts) == 1 else f" of {sum(map(bool, lengths)):,} texts"
        limit = f"The model reads {processor.model_max_length} tokens"
        return f"<p>{limit}: the last {sum(lengths):,} characters{whose} were not read.</p>"

    @guarded(LIMITS.seconds)
    async def explain(self, text: str) -> tuple[list[tuple[str, str | None]], str]:
        """The text's pieces, marked where they speak for or against the answer, and the weightiest as a table.

        A piece's points are its Shapley value: what it adds to the answer's probability, on average over all orders
        in which the pieces could come. Only what is clearly more than the noise of the estimate is shown.
        """
        text = await self.checked(text)
        read = read_part(text, self.task.processor)
        parts = pieces(read, self.task.processor, PIECES)
        whole = await self.prediction(text)
        if len(parts) == 1:
            return [(text, None)], "<p>The model reads this as one piece: there is nothing to leave out.</p>"
        kept = coalitions(len(parts), max(FEWEST, min(COALITIONS, CHARACTERS // len(read))))
        scores = np.asarray(await self.probabilities(whole.value, kept_texts(parts, kept)))
        values, errors = await asyncio.to_thread(shapley, kept, scores)
        marked = clear(values, errors, LEAST_SHARE)
        marks = [
            None if not seen else "for" if value > 0 else "against" for value, seen in zip(values, marked, strict=True)
        ]
        rest = [(text[len(read) :], None)] if len(read) < len(text) else []
        table = shares_table(whole, parts, np.where(marked, values, 0.0), scores[0], values.sum()) + self.unread([text])
        return [*zip(parts, marks, strict=True), *rest], table

    def why_tab(self) -> list[Any]:
        gr.Markdown(
            "The model is asked about the text with many different sets of its words left out. A word's points are "
            "what it adds to the probability of the answer, on average over all that the others say (its Shapley "
            "value); words that make no clear difference are not marked."
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


def shares_table(
    whole: Prediction, parts: list[str], shown: "np.ndarray[Any, Any]", without: float, together: float
) -> str:
    """The answer's probability as a sum: `without` any piece, the weightiest ones, and all others together.

    `shown` are the points of the pieces, 0 where they are not clear; `together` is what all pieces add.
    """
    most = [index for index in np.argsort(-np.abs(shown))[:NAMED].tolist() if shown[index]]
    lines = [(f"<b>{html.escape(parts[index].strip())}</b>", shown[index]) for index in most]
    others = together - sum(shown[index] for index in most)
    lines.append(("all other words together" if most else "all words together, none of them clearly", others))
    rows = "".join(f'<tr><td>{name}</td><td class="n">{100 * points:+.1f}</td></tr>' for name, points in lines)
    lead = (
        f"<p>{said(whole)} Without any word it would have {share(without)}; what the words add to that, in points:</p>"
    )
    return f'<div class="report">{lead}<table><tr><th>word</th><th class="n">points</th></tr>{rows}</table></div>'


build = TextDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
