"""The demo of semantic search: the documents that answer a query, and those that a search by words finds."""

import asyncio
import html
import re
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.predictor import Predictor
from common.system.errors import UserError, nearest
from common.task.contract import Prediction
from projects.semantic_search.words import STOPWORDS, words_of

# Documents that a list shows, and characters of each.
LISTED, CHARACTERS = 5, 300
# Words of a query that are left out one by one to see what each does.
WORDS = 24
STYLE = (
    "<style>.found { list-style: none; padding: 0; margin: .3rem 0; }"
    ".found li { margin: .45rem 0; padding: 0; max-width: none; overflow-wrap: anywhere; }"
    ".found small { font-variant-numeric: tabular-nums; margin-right: .5em; }"
    ".found b { text-decoration: underline; text-underline-offset: .2em; }"
    ".found.first li:first-child { font-size: 1.15rem; }"
    "</style>"
)


class SearchDemo(TextQuestions):
    """A demo whose answers are lists of documents."""

    arguments: ClassVar[dict[str, Any]] = {"query": str}
    reference: ClassVar[str] = "document"
    explanation: ClassVar[str] = "Which words decide: each is left out in turn"

    def __init__(self, predictor: Predictor):
        self.task: Any = predictor.task  # before the examples ask for it
        super().__init__(predictor)

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 1, "max_lines": 4, "placeholder": "What are you looking for?"}
        return [gr.Textbox(label="A query", max_length=LIMITS.characters, **look)]

    def said_html(self, question: str, prediction: Prediction) -> str:
        return STYLE + self.listed(question, prediction, "found first")

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        return (
            self.listed(question, prediction, "found") if prediction.value else "nothing: no document has these words."
        )

    def notes_html(self, question: str, prediction: Prediction) -> list[str]:
        shared = "Words that stand in the query, too, are underlined. It always finds something: look at the score."
        return [f'<span class="quiet">{shared}</span>']

    def listed(self, query: str, prediction: Prediction, look: str) -> str:
        """The first documents with their scores; the words of the query are underlined in them."""
        asked = set(words_of([query])[0])
        lines = [
            f"<li><small>{score:.2f}</small>{underlined(self.task.text_of(document)[:CHARACTERS], asked)}</li>"
            for document, score in zip(prediction.value[:LISTED], prediction.details["scores"], strict=False)
        ]
        return f'<ol class="{look}">{"".join(lines)}</ol>'

    async def because(self, question: str) -> str:
        """Each word of the query, the darker the more the first document's score falls without it."""
        words = list(re.finditer(r"\S+", question))
        if not 1 < len(words) <= WORDS:
            return f"<p>Words are left out one by one of queries of 2 to {WORDS} words.</p>"
        whole = await self.prediction(question)
        without = [f"{question[: word.start()]}{question[word.end() :]}".strip() for word in words]
        answers = await asyncio.gather(*map(self.prediction, without))
        first = whole.value[0]
        falls = [whole.details["scores"][0] - score_of(first, answer) for answer in answers]
        most = max(*map(abs, falls), 1e-9)
        marks = [
            f'<mark class="{"supports" if fall > 0 else "opposes"}" style="--weight: {abs(fall) / most:.2f}" '
            f'title="{-fall:+.3f}">{html.escape(word[0])}</mark>'
            for word, fall in zip(words, falls, strict=True)
        ]
        name = html.escape(self.task.in_words([first], question))
        legend = f"The darker a word, the more the score of {name} falls without it; it rises without underlined ones."
        return f'<p class="shaded">{" ".join(marks)}</p><p class="quiet">{legend}</p>'

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The first documents: id, text, and score (cosine)."""
        pairs = zip(prediction.value, prediction.details["scores"], strict=True)
        return {"documents": [{"id": one, "text": self.task.text_of(one), "score": score} for one, score in pairs]}

    def reference_box(self) -> gr.Textbox:
        return gr.Textbox(
            label="The document that answers it",
            info="The beginning of its text is enough.",
            max_length=LIMITS.characters,
        )

    def checked_reference(self, given: Any, question: str) -> str:
        """The document that begins with these words, as training rows name it."""
        if not isinstance(given, str) or not given.strip():
            raise UserError("Write how the text of the document begins that answers the query.")
        index, start = self.task.index, given.strip().casefold()
        pairs = zip(index.ids, index.texts, strict=True)
        found = [(one, text) for one, text in pairs if text.casefold().startswith(start)]
        if exact := [pair for pair in found if pair[1].casefold() == start or pair[0].casefold() == start]:
            found = exact
        if len(found) != 1:
            close = nearest(given.strip()[:100], index.ids)
            several = f"{len(found):,} documents begin" if found else "No document begins"
            raise UserError(f"{several} with {given.strip()[:100]!r}{close}: write more of it.")
        return found[0][0] if self.task.names_documents else found[0][1]


def score_of(document: str, answer: Prediction) -> float:
    """The score of a document in an answer; of one that is not listed, that of the last one that is."""
    scores: list[float] = answer.details["scores"]
    return scores[answer.value.index(document)] if document in answer.value else scores[-1]


def underlined(text: str, stems: set[str]) -> str:
    """The text as HTML, the words with one of the stems underlined."""
    parts = re.split(r"(\w+)", text)
    words = words_of(parts[1::2])
    for index, found in enumerate(words):
        word = html.escape(parts[2 * index + 1])
        shared = parts[2 * index + 1].casefold() not in STOPWORDS and stems.intersection(found)
        parts[2 * index + 1] = f"<b>{word}</b>" if shared else word
    parts[::2] = map(html.escape, parts[::2])
    return "".join(parts)


build = SearchDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
