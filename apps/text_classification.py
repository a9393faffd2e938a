"""The demo of text classification: ask it, see why, see how good it is, ask it about a whole file."""

import asyncio
import html
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from apps.parts import server
from apps.parts.answers import probability
from apps.parts.classifier import ClassifierDemo, said
from apps.parts.texts import Cut, TextQuestions
from common.metrics.attribution import clear, coalitions, shapley
from common.reporting.wording import signed
from common.task.contract import Prediction
from projects.text_classification.pieces import kept_texts, pieces

# A text is cut into at most so many pieces to see which of them matter.
PIECES = 40
# Texts with some of the pieces that the model is asked about: of long texts fewer, so that nobody waits for long.
COALITIONS, FEWEST, CHARACTERS = 256, 128, 60_000
# A piece that changes the probability by less is not marked.
LEAST_SHARE = 0.01
# Blanks and punctuation at the ends of a piece, which are not shaded.
AROUND_WORDS = re.compile(r"^\W+|\W+$")
# Pieces that the table names.
NAMED = 8


@dataclass(frozen=True)
class Explained:
    """What the pieces of a text add to the probability of its answer.

    Attributes:
        pieces: of the part that the model reads; joined, they are this part.
        points: (pieces,) the Shapley value of each; 0 where it is not clearly more than the noise of its estimate.
        without: the answer's probability without any piece.
        together: what all pieces add to that.
    """

    answer: Prediction
    pieces: list[str]
    points: "np.ndarray[Any, Any]"
    without: float
    together: float


class TextDemo(TextQuestions, ClassifierDemo):
    """Questions are texts, answers are labels."""

    explanation: ClassVar[str] = (
        "The model was asked about the text with many different sets of its words left out. A word's points are what "
        "it adds to the answer's probability, on average over all that the others say (its Shapley value). Texts with "
        "gaps are odd, so read it as a hint."
    )

    def notes_html(self, question: Any, prediction: Prediction) -> list[str]:
        return [*super().notes_html(question, prediction), self.unread([question])]

    def unread(self, texts: list[str]) -> str:
        return self.cut.unread(texts)

    @cached_property
    def cut(self) -> Cut:
        """What the model reads of a text."""
        return Cut(self.task.processor)

    async def explained(self, text: str) -> Explained:
        """What the pieces of a checked text add to its answer."""
        read = self.cut.read_part(text)
        with self.cut.alone:
            parts = pieces(read, self.cut.tokenizer, PIECES)
        answer = await self.prediction(text)
        if len(parts) == 1:
            return Explained(answer, parts, np.zeros(1), 0.0, 0.0)
        kept = coalitions(len(parts), max(FEWEST, min(COALITIONS, CHARACTERS // len(read))))
        scores = np.asarray(await self.probabilities(answer.value, kept_texts(parts, kept)))
        values, errors = await asyncio.to_thread(shapley, kept, scores)
        points = np.where(clear(values, errors, LEAST_SHARE), values, 0.0)
        return Explained(answer, parts, points, float(scores[0]), float(values.sum()))

    async def because(self, question: str) -> str:
        found = await self.explained(question)
        if len(found.pieces) == 1:
            return "<p>The model reads this as one piece: there is nothing to leave out.</p>"
        rest = question[sum(map(len, found.pieces)) :]
        unread = f'<span class="quiet">{html.escape(rest)}</span>' if rest else ""
        numbers = f"<details><summary>The points of the words</summary>{points_table(found)}</details>"
        return f'<p class="shaded">{shaded(found)}{unread}</p>{legend(found)}{numbers}'


def shaded(found: Explained) -> str:
    """The text as HTML: the darker a piece, the more it speaks for the answer or, underlined, against it."""
    most = max(float(np.abs(found.points).max()), 1e-9)
    parts = []
    for piece, points in zip(found.pieces, found.points.tolist(), strict=True):
        look, weight = "supports" if points > 0 else "opposes", abs(points) / most
        before, word, after = map(html.escape, piece.partition(AROUND_WORDS.sub("", piece) or piece.strip()))
        mark = f'<mark class="{look}" style="--weight: {weight:.2f}" title="{100 * points:+.1f} points">{word}</mark>'
        parts.append(before + (mark if points else word) + after)
    return "".join(parts)


def legend(found: Explained) -> str:
    """What the shades mean, as HTML."""
    if not found.points.any():
        return "<p>No single word makes a clear difference.</p>"
    answer = html.escape(found.answer.value)
    looks = {"supports": f"speaks for {answer}", "opposes": "speaks against it"}
    shades = (
        f'{said}: <mark class="{look}" style="--weight: .15">little</mark>&nbsp; '
        f'<mark class="{look}" style="--weight: 1">most</mark>'
        for look, said in looks.items()
    )
    return f'<p class="quiet legend-of-shades">{"; ".join(shades)}</p>'


def points_table(found: Explained) -> str:
    """The answer's probability as a sum: without any piece, the weightiest ones, and all others together."""
    most = [index for index in np.argsort(-np.abs(found.points))[:NAMED].tolist() if found.points[index]]
    lines = [(f"<b>{html.escape(found.pieces[index].strip())}</b>", found.points[index]) for index in most]
    others = found.together - sum(found.points[index] for index in most)
    lines.append(("all other words together" if most else "all words together, none of them clearly", others))
    rows = "".join(f'<tr><td>{name}</td><td class="n">{signed(f"{100 * add:+.1f}")}</td></tr>' for name, add in lines)
    without = probability(found.without)
    lead = (
        f"<p>{said(found.answer)} Without any word it would have {without}; what the words add to that, in points:</p>"
    )
    return f'<div class="report">{lead}<table><tr><th>word</th><th class="n">points</th></tr>{rows}</table></div>'


build = TextDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
