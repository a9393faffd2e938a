"""The demo of semantic search: the documents that answer a query, beside those that the best baseline finds.

A visitor may search documents of their own, too.
"""

import asyncio
import contextlib
import html
import re
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from apps.parts import answers, server, visitors
from apps.parts.answers import BaselineAnswer
from apps.parts.batch_queue import BatchQueue
from apps.parts.demo import with_arguments
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, checked_file, checked_text, uploaded
from apps.parts.texts import KINDS, Cut, TextQuestions, read_upload
from common.data.features import in_memory
from common.predictor import Predictor
from common.system.errors import UserError, nearest
from common.task.contract import Prediction, as_key
from projects.semantic_search.baselines import BM25
from projects.semantic_search.index import Index, answer, excerpt
from projects.semantic_search.words import STOPWORDS, words_of

# Documents that a list shows, and characters of each.
LISTED, CHARACTERS = 5, 300
# Words of a query that are left out one by one to see what each does.
WORDS = 24
# Characters of a visitor's documents together, seconds that they are kept, and visitors who may have some: of one
# address a half, so that nobody keeps all others from it.
OWN_CHARACTERS, OWN_SECONDS, OWN_VISITORS = 1_000_000, 3_600, 50
STYLE = (
    "<style>.found { list-style: none; padding: 0; margin: .3rem 0; }"
    ".found li { margin: .45rem 0; padding: 0; max-width: none; overflow-wrap: anywhere; }"
    ".found small { font-variant-numeric: tabular-nums; margin-right: .5em; }"
    ".found b { text-decoration: underline; text-underline-offset: .2em; }"
    ".found.first li:first-child { font-size: 1.15rem; }"
    "</style>"
)


@dataclass(frozen=True, eq=False)  # counted one by one, however equal two of them are
class OwnDocuments:
    """A visitor's documents, searched by their vectors and by their words; they are in the memory alone."""

    index: Index
    words: BM25
    address: str


@dataclass(frozen=True)
class OwnQuery:
    """A query to a visitor's own documents."""

    query: str
    documents: OwnDocuments


# A query to the documents of the run is its text.
Query: TypeAlias = str | OwnQuery


class SearchDemo(TextQuestions):
    """A demo whose answers are lists of documents."""

    arguments: ClassVar[dict[str, Any]] = {"query": str}
    reference: ClassVar[str] = "document"
    explanation: ClassVar[str] = "Each word was left out in turn. Queries with gaps are odd, so read it as a hint."

    def __init__(self, predictor: Predictor):
        self.task: Any = predictor.task  # before the examples ask for it
        self.vectors = BatchQueue(self._vectors, cost=lambda given: len(given[1]), dearest=self.dearest)
        self.cut = Cut(self.task.tokenizer)  # type: ignore[attr-defined]
        self.kept_documents: weakref.WeakSet[OwnDocuments] = weakref.WeakSet()
        self.reading: Counter[str] = Counter()  # {address: files that are read just now}
        super().__init__(predictor)

    def as_input(self, given: tuple[Any, ...]) -> Any:
        query, *own = given
        return OwnQuery(query, own[0]) if own and own[0] else query

    async def checked(self, given: Any) -> Any:
        if isinstance(given, OwnQuery):
            return replace(given, query=checked_text(given.query))
        return checked_text(given)

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 1, "max_lines": 4, "placeholder": "What are you looking for?"}
        return [gr.Textbox(label="A query", max_length=LIMITS.characters, **look)]

    # Documents of the visitor's own

    def more_ways_to_ask(self) -> dict[str, Any]:
        own = self.own = gr.State(time_to_live=OWN_SECONDS)
        with gr.Accordion("Search documents of your own", open=False):
            gr.Markdown(
                f"A file ({', '.join(KINDS)}) with a document in each row: at most {LIMITS.rows:,} of them, with "
                f"{OWN_CHARACTERS:,} characters together. They are kept in the memory, for this page alone and for "
                "an hour, and the file is removed once it is read.",
                elem_classes="quiet",
            )
            look: dict[str, Any] = {"placeholder": self.column("corpus_text"), "max_length": 200, "max_lines": 1}
            column = gr.Textbox(label="Column with the documents", **look)
            file = gr.UploadButton("Choose a file", file_types=list(KINDS))
            said = gr.HTML()
            back = gr.Button(f"Back to the {len(self.task.index.ids):,} documents of the run", visible=False)
        outputs: list[Any] = [own, said, back]
        file.upload(self.read_documents, [file, column], outputs, preprocess=False, api_name="read_documents")
        back.click(lambda: (None, "", gr.Button(visible=False)), None, outputs, api_visibility="private")
        return {"documents": own}

    def listen(self, boxes: list[Any], answered: list[Any]) -> None:
        search = with_arguments(self.search_documents, {"query": str, "documents": Any}, dict[str, Any])
        nobody_sees, found = gr.Button(visible=False), gr.JSON(visible=False)
        nobody_sees.click(search, [*boxes, self.own], found, api_name="search_documents")

    @guarded(LIMITS.seconds)
    async def search_documents(self, query: Any, documents: OwnDocuments | None) -> dict[str, Any]:
        """What is found for other programs in the documents that `/read_documents` took in the same session."""
        if not documents:
            raise UserError("There are no documents of your own in this session: give /read_documents a file first.")
        question = await self.checked(OwnQuery(query, documents))
        prediction, by_words, milliseconds = await self.answer(question)
        assert by_words
        found, words = (
            [
                {"id": one, "text": self.document(question, one), "score": score}
                for one, score in zip(answer.value, answer.details["scores"], strict=True)
            ]
            for answer in (prediction, by_words[1])
        )
        return {"documents": found, "bm25": words, "milliseconds": round(milliseconds, 1)}

    @guarded(LIMITS.file_seconds)
    async def read_documents(
        self,
        upload: Any,
        column: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[OwnDocuments, str, Any]:
        """A visitor's documents, ready to be searched; what is said of them; and a way back."""
        path = uploaded(upload)
        try:
            asked = column if isinstance(column, str) else ""
            rows = await asyncio.to_thread(read_upload, checked_file(path, KINDS), asked, self.column("corpus_text"))
        finally:
            if path and Path(path).is_file():
                Path(path).unlink(missing_ok=True)
        texts = list(dict.fromkeys(row.text for row in rows if not row.problem))
        if (characters := sum(map(len, texts))) > OWN_CHARACTERS:
            most = f"{OWN_CHARACTERS:,} are read at most"
            raise UserError(f"The documents have {characters:,} characters together, and {most}: give a part of them.")
        with self.room():
            documents = await self.own_documents(texts, progress)
            self.kept_documents.add(documents)
        said = f"<p>The search now goes over your <b>{len(texts):,}</b> {'documents' if texts[1:] else 'document'}.</p>"
        if problems := [row.problem for row in rows if row.problem]:
            said += f"<p>Rows that were left out: {len(problems):,}. The first one: {html.escape(problems[0])}</p>"
        said += await asyncio.to_thread(self.unread, texts)
        return documents, f'<div class="report">{said}</div>', gr.Button(visible=True)

    @contextlib.contextmanager
    def room(self) -> Iterator[None]:
        """Room for the documents of one more file.  Raises UserError where there is none."""
        address = visitors.visitor()
        held = Counter(one.address for one in self.kept_documents) + self.reading
        if held.total() >= OWN_VISITORS or held[address] >= OWN_VISITORS / 2:
            raise UserError("Many visitors search documents of their own just now: try again in an hour.")
        self.reading[address] += 1
        try:
            yield
        finally:
            self.reading[address] -= 1
            self.reading = +self.reading  # nobody is remembered

    async def own_documents(self, texts: list[str], progress: gr.Progress) -> OwnDocuments:
        """Checked texts with their vectors; whoever asks in between does not wait for all of them."""
        vectors: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), self.vectors.largest):
            progress(start / len(texts), desc=f"{start:,} of {len(texts):,}")
            part = texts[start : start + self.vectors.largest]
            vectors += await asyncio.gather(*(self.vectors.ask(("document", text)) for text in part))
        ids = [str(number) for number in range(1, len(texts) + 1)]
        words = await asyncio.to_thread(BM25, texts, ids)
        return OwnDocuments(Index(ids, texts, np.stack(vectors)), words, visitors.visitor())

    def _vectors(self, given: list[tuple[str, str]]) -> list[NDArray[np.float32]]:
        """One batch: the vectors of texts, each with `query` or `document` before it."""
        found = {}
        for column in dict(given):
            texts = [text for kind, text in given if kind == column]
            rows = in_memory(self.task.encode, {column: texts})
            found[column] = iter([of_row[0] for of_row in self.predictor.outputs(rows, len(texts))])
        return [next(found[column]) for column, _ in given]

    async def answer(self, question: Any) -> tuple[Prediction, BaselineAnswer | None, float]:
        if not isinstance(question, OwnQuery):
            return await super().answer(question)
        started = time.perf_counter()
        prediction = await self.prediction(question)
        by_words = (await asyncio.to_thread(question.documents.words.predict, [question.query]))[0]
        return prediction, (BM25.title, by_words), 1_000 * (time.perf_counter() - started)

    async def prediction(self, question: Any) -> Prediction:
        if not isinstance(question, OwnQuery):
            return await super().prediction(question)
        vector = await self.vectors.ask(("query", question.query))
        return answer(question.documents.index.search(vector[None])[0])

    # Answers

    def answer_html(
        self, question: Any, prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float
    ) -> str:
        if not isinstance(question, OwnQuery) or not baseline:
            return super().answer_html(question, prediction, baseline, milliseconds)
        ours = f"<p>In your {len(question.documents.index.ids):,} documents:</p>{self.said_html(question, prediction)}"
        theirs = f"{html.escape(baseline[0])} finds: {self.baseline_html(question, baseline[1])}"
        return answers.card(ours, True, [theirs, *self.notes_html(question, prediction)], milliseconds)

    def said_html(self, question: Query, prediction: Prediction) -> str:
        return STYLE + self.listed(question, prediction, "found first")

    def baseline_html(self, question: Query, prediction: Prediction) -> str:
        return (
            self.listed(question, prediction, "found") if prediction.value else "nothing: no document has these words."
        )

    def notes_html(self, question: Query, prediction: Prediction) -> list[str]:
        shared = "Words that stand in the query, too, are underlined. It always finds something: look at the score."
        return [f'<span class="quiet">{shared}</span>', self.unread([text_of(question)])]

    def unread(self, texts: list[str]) -> str:
        return self.cut.unread(texts)

    def listed(self, question: Query, prediction: Prediction, look: str) -> str:
        """The first documents with their scores; the words of the query are underlined in them."""
        asked = set(words_of([text_of(question)])[0])
        lines = [
            f"<li><small>{score:.2f}</small>{underlined(answers.cut(self.document(question, one), CHARACTERS), asked)}"
            for one, score in zip(prediction.value[:LISTED], prediction.details["scores"], strict=False)
        ]
        return f'<ol class="{look}">{"".join(f"{line}</li>" for line in lines)}</ol>'

    def document(self, question: Query, found: str) -> str:
        """The text of a document that was found."""
        if isinstance(question, OwnQuery):
            index = question.documents.index
            return index.texts[index.number[found]]
        return str(self.task.text_of(found))

    async def because(self, question: Query) -> str:
        """Each word of the query, the darker the more the first document's score falls without it."""
        query = text_of(question)
        words = list(re.finditer(r"\S+", query))
        if not 1 < len(words) <= WORDS:
            return f"<p>Words are left out one by one of queries of 2 to {WORDS} words.</p>"
        whole = await self.prediction(question)
        without = [f"{query[: word.start()]}{query[word.end() :]}".strip() for word in words]
        asked = [replace(question, query=one) if isinstance(question, OwnQuery) else one for one in without]
        found = await asyncio.gather(*map(self.prediction, asked))
        first = whole.value[0]
        falls = [whole.details["scores"][0] - score_of(first, answer) for answer in found]
        most = max(*map(abs, falls), 1e-9)
        marks = [
            f'<mark class="{"supports" if fall > 0 else "opposes"}" style="--weight: {abs(fall) / most:.2f}" '
            f'title="{-fall:+.3f}">{html.escape(word[0])}</mark>'
            for word, fall in zip(words, falls, strict=True)
        ]
        name = f"<b>{html.escape(excerpt(self.document(question, first)))}</b>"
        legend = f"The darker a word, the more the score of {name} falls without it; it rises without underlined ones."
        return f'<p class="shaded">{" ".join(marks)}</p><p class="quiet">{legend}</p>'

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The first documents: id, text, and score (cosine)."""
        pairs = zip(prediction.value, self.task.passages(prediction), strict=True)
        return {"documents": [{"id": one, "text": text, "score": score} for one, (text, score) in pairs]}

    def in_cell(self, prediction: Prediction) -> str:
        """The ids of the documents where the owner gave some, else their texts."""
        if self.task.names_documents:
            return as_key(prediction.value)
        return as_key([text for text, _ in self.task.passages(prediction)])

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


def text_of(question: Query) -> str:
    """The words of a query."""
    return question.query if isinstance(question, OwnQuery) else question


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
