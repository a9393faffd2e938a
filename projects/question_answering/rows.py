"""Where the rows come from: SQuAD's JSON, tables with questions, a Hub id, or a starter."""

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from common.data.findings import Finding
from common.data.looks import is_blank
from common.data.near_texts import near_texts
from common.data.schema import Column, NearPair, Schema, grouping_columns
from common.data.sources import from_options
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.data.texts import as_written, from_json

from .squad import Reader
from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import QuestionAnsweringConfig

Answer = dict[str, Any]  # text and start: its first character in the context

ANSWER = pa.struct([("text", pa.string()), ("start", pa.int64())])
CANONICAL = {"question": pa.string(), "context": pa.string(), "reference": pa.list_(ANSWER)}


def load_rows(config: "QuestionAnsweringConfig") -> Data:
    """The checked splits with columns id, question, context, reference (answers), group and perhaps slices.

    Rows of one context are a group where the rows name none: they are not independent.
    """
    columns = {"reference": _answers(config), **grouping_columns(config.group_column, config.slice_columns)}
    schema = Schema(
        columns,
        key=("question", "context"),
        noun="question",
        near=near_contexts,
        answer="answer",
        together=("context",),
        counted=_counted,
        checks=(check_answers,),
    )
    return load_splits(config, from_options(config, columns, STARTERS, Reader(config)), schema)


def _answers(config: "QuestionAnsweringConfig") -> Column:
    """The columns that hold questions, contexts and answers."""
    named = (config.question_column, config.context_column, config.answers_column)
    starter = config.dataset is not None and config.dataset.startswith("starter:")
    question, context, answers = ("question", "context", "answers") if starter else named
    start = (config.start_column,) if config.start_column and not starter else ()
    option = "--question_column, --context_column, --answers_column or --start_column"
    return Column((question, context, *start, answers), option, from_cells, CANONICAL)


def from_cells(question: Any, context: Any, *more: Any) -> dict[str, Any]:
    """A question and a context with the right answers, each of which stands where it says, given (start and) answers.

    Raises RowProblem.
    """
    question = as_written(question, "question", "--question_column")
    context = as_written(context, "context", "--context_column")
    *start, answers = more
    found: dict[tuple[int, str], Answer] = {}
    for text, at in _texts(answers, context, start[0] if start else None):
        for answer in _standing(text, at, context):
            found[answer["start"], answer["text"]] = answer
    return {"question": question, "context": context, "reference": list(found.values())}


def _texts(answers: Any, context: str, start: Any) -> list[tuple[Any, Any]]:
    """(text, start or None) of each answer in a cell."""
    if isinstance(answers, str) and answers not in context and answers[:1] in ("[", "{"):
        content = from_json(answers)
        answers = answers if content is None else content
    if answers is None or answers != answers or answers == "":
        return []
    if isinstance(answers, str):
        return [(answers, start)]
    if isinstance(answers, dict) and isinstance(answers.get("text"), list):
        starts = answers.get("answer_start", answers.get("start"))
        if starts is not None and (not isinstance(starts, list) or len(starts) != len(answers["text"])):
            raise RowProblem("answers with more texts than starts, or fewer (give one start for each text)")
        return list(zip(answers["text"], starts or [None] * len(answers["text"]), strict=True))
    if isinstance(answers, dict):
        answers = [answers]
    if not isinstance(answers, list):
        raise RowProblem("answers that are no text, list or object (write them as SQuAD does, or as texts)")
    starts = [start] if start is not None and len(answers) == 1 else [None] * len(answers)
    return [
        (one.get("text"), one.get("answer_start", one.get("start"))) if isinstance(one, dict) else (one, its)
        for one, its in zip(answers, starts, strict=True)
    ]


def _standing(text: Any, start: Any, context: str) -> Iterator[Answer]:
    """The answer at its start, or, where none is given, everywhere it stands as words of its own, or else at all."""
    if not isinstance(text, str):
        raise RowProblem("an answer without a text")
    if is_blank(text):
        return
    before = len(text) - len(text.lstrip())
    bare = text.strip()
    if start is None or start == "" or start != start:
        places = [match.start() for match in re.finditer(re.escape(bare), context)]
        whole = [at for at in places if not (_in_word(context, at) or _in_word(context, at + len(bare)))]
        if not places:
            other = unicodedata.normalize("NFC", bare) in unicodedata.normalize("NFC", context)
            why = ", though it does in another Unicode form" if other else ""
            raise RowProblem(f"an answer that does not stand in its context{why} (copy it from there)")
        yield from ({"text": bare, "start": at} for at in whole or places)
        return
    try:
        at = int(start) + before
    except (TypeError, ValueError):
        raise RowProblem("a start that is no whole number (count characters from 0)") from None
    if at < 0 or context[at : at + len(bare)] != bare:
        where = " (it stands elsewhere there)" if bare in context else ""
        remedy = "count characters from 0, or leave the starts out, and the text is searched for"
        raise RowProblem(f"an answer that does not stand at its start in the context{where} ({remedy})")
    yield {"text": bare, "start": at}


def _in_word(text: str, place: int) -> bool:
    """Whether a place between two characters is inside of a word."""
    return 0 < place < len(text) and bool(re.match(r"\w", text[place - 1])) and bool(re.match(r"\w", text[place]))


def near_contexts(splits: dict[str, Dataset], sample: dict[str, NDArray[np.int64]]) -> Iterator[NearPair]:
    """Rows whose contexts are nearly one of the training rows'; those of train share theirs with each other.

    Each different context is looked up once.
    """
    train, train_rows = _different(splits["train"], np.arange(len(splits["train"])))
    found = {split: _different(splits[split], rows) for split, rows in sample.items() if split != "train"}
    contexts = {split: of_split for split, (of_split, _) in found.items()}
    places = {split: np.arange(len(of_split)) for split, of_split in contexts.items()}
    for split, context, train_context in near_texts("context")({**contexts, "train": train}, places):
        for row in found[split][1][context]:
            yield split, row, train_rows[train_context][0]


def _different(rows: Dataset, chosen: NDArray[np.int64]) -> tuple[Dataset, list[list[int]]]:
    """The different contexts of the chosen rows, and the indices of the rows that have each."""
    of_context: dict[str, list[int]] = {}
    for row, context in zip(chosen.tolist(), rows.select(chosen)["context"], strict=True):
        of_context.setdefault(context, []).append(row)
    return rows.select([of_row[0] for of_row in of_context.values()]), list(of_context.values())


def _counted(rows: Dataset) -> dict[str, int]:
    """How many questions the contexts do not answer, and how many contexts there are."""
    return {
        "unanswerable questions": sum(not found for found in rows["reference"]),
        "contexts": len(set(rows["context"])),
    }


def check_answers(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """No answer at all, and sets that ask what training never shows: questions without an answer."""
    unanswered = {split: [not found for found in rows["reference"]] for split, rows in splits.items()}
    if all(unanswered["train"]):
        remedy = "is it the right column? Name it with --answers_column"
        yield Finding("error", names["train"], [], "no row has an answer", remedy)
        return
    if any(unanswered["train"]):
        return
    for split, of_split in unanswered.items():
        if any(of_split):
            problem = "questions without an answer, of which the training rows have none"
            remedy = "the model answers each question; add such rows to the training rows"
            yield Finding("warning", names[split], [], problem, remedy)
