"""Where the rows come from: prompts with answers, chats, a Hub id, or a starter; and what an answer must be."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Dataset

from common.data.findings import Finding
from common.data.near_texts import near_texts
from common.data.schema import Column, Schema, grouping_columns
from common.data.sources import from_options
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.data.texts import from_json, written
from common.metrics.text import json_object
from common.models.chat import ANSWERER, Message

from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import TextGenerationConfig

ROLES = ("system", "user", ANSWERER)
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
CANONICAL = {"prompt": pa.string(), "messages": pa.list_(MESSAGE), "reference": pa.string()}
OPTIONS = "--prompt_column and --completion_column, or --messages_column, or --text_column"
# The share of a plain text's words that its beginning has, which is what the model is asked to go on from.
BEGINNING = 0.75


def load_rows(config: "TextGenerationConfig") -> Data:
    """The checked splits with columns id, prompt, messages, reference (an answer), perhaps group and slices."""
    columns = {"reference": _chats(config), **grouping_columns(config.group_column, config.slice_columns)}
    schema = Schema(
        columns,
        key=("prompt",),
        noun="prompt",
        near=near_texts("prompt"),
        answer="answer",
        counted=lambda rows: {"different answers": len(set(rows["reference"]))},
        checks_after_split=(check_answers,),
    )
    return load_splits(config, from_options(config, columns, STARTERS), schema)


def _chats(config: "TextGenerationConfig") -> Column:
    """The columns that hold prompts and answers, or both."""
    on_its_own = config.dataset is not None and config.dataset.startswith("starter:")
    if config.messages_column and not on_its_own:
        return Column(config.messages_column, OPTIONS, _checked(from_messages, config.answer_format), CANONICAL)
    if config.text_column and not on_its_own:
        return Column(config.text_column, OPTIONS, from_text, CANONICAL)
    named = ("prompt", "completion") if on_its_own else (config.prompt_column, config.completion_column)
    return Column(named, OPTIONS, _checked(from_pair, config.answer_format), CANONICAL)


def _checked(convert: Callable[..., dict[str, Any]], answer_format: str) -> Callable[..., dict[str, Any]]:
    """The conversion of cells, which refuses an answer that is not of its format."""

    def checked(*cells: Any) -> dict[str, Any]:
        row = convert(*cells)
        if answer_format == "json" and json_object(row["reference"]) is None:
            raise RowProblem("an answer that is no JSON object (correct it, or give --answer_format text)")
        return row

    return checked


def from_pair(prompt: Any, completion: Any) -> dict[str, Any]:
    """A prompt with its answer.  Raises RowProblem."""
    asked = written(prompt, "prompt", "--prompt_column")
    return {**asked_by(asked), "reference": written(completion, "answer", "--completion_column")}


def from_text(cell: Any) -> dict[str, Any]:
    """A text, cut at the end of a word into its beginning and the rest.  Raises RowProblem."""
    text = written(cell, "text", "--text_column")
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    if len(ends) < 2:
        raise RowProblem("a text of a single word (join it with others)")
    cut = ends[min(int(BEGINNING * len(ends)), len(ends) - 2)]
    return {**asked_by(text[:cut]), "reference": text[cut:]}


def from_messages(cell: Any) -> dict[str, Any]:
    """A chat that ends with an answer.  Raises RowProblem."""
    given = from_json(cell)
    if isinstance(cell, str) and given is None:
        raise RowProblem("a chat that is no list (name the column of prompts with --prompt_column?)")
    chat = checked_chat(given)
    if len(chat) < 2 or chat[-1]["role"] != ANSWERER:
        raise RowProblem('a chat that does not end with an answer (its last message needs the role "assistant")')
    return {**asked_by(chat[:-1]), "reference": chat[-1]["content"]}


def checked_chat(cell: Any) -> list[Message]:
    """Messages whose roles take turns, a system's alone before them.  Raises RowProblem."""
    if not isinstance(cell, list) or not all(isinstance(one, dict) for one in cell):
        raise RowProblem('a chat that is no list of messages (write {"role": "user", "content": "..."} for each)')
    for one in cell:
        if one.get("role") not in ROLES:
            raise RowProblem(f"a message with another role than {', '.join(ROLES)} (rename or remove it)")
    chat = [
        {"role": one["role"], "content": written(one.get("content"), "message", "--messages_column")} for one in cell
    ]
    turns = [one["role"] for one in chat if one["role"] != "system"]
    if [one["role"] for one in chat].count("system") > (chat[0]["role"] == "system" if chat else 0):
        raise RowProblem("a system message that is not the first one (put it first)")
    if not turns or any(role != ROLES[1 + index % 2] for index, role in enumerate(turns)):
        raise RowProblem("messages of user and assistant that do not take turns (join those in a row)")
    return chat


def asked_by(given: str | Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The columns of what is asked: a text, or a chat that ends with a question."""
    chat = [{"role": "user", "content": given}] if isinstance(given, str) else [dict(one) for one in given]
    is_text = len(chat) == 1 and chat[0]["role"] == "user"
    prompt = chat[0]["content"] if is_text else "\n".join(f"{one['role']}: {one['content']}" for one in chat)
    return {"prompt": prompt, "messages": chat}


def check_answers(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Sets in which the answer is always the same, which a model learns without reading the prompt."""
    for split, rows in splits.items():
        if len(rows) > 1 and len(set(rows["reference"])) == 1:
            yield Finding("warning", names[split], [], "all answers are the same", "is it the right column?")
    trained = set(splits["train"]["reference"])
    for split, rows in splits.items():
        if split != "train" and trained.issuperset(rows["reference"]):
            problem = "every answer is one of the training rows', so that choosing is enough"
            yield Finding("warning", names[split], [], problem, "a classification may do")
