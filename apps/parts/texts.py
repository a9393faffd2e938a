"""What the demos share whose questions are texts: one at a time, or a column of a file."""

import asyncio
import copy
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from apps.parts.demo import Demo
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, NO_TEXT, checked_file, checked_text
from common.data import tables
from common.models.tokenizer import read_part
from common.system.errors import UserError, nearest

KINDS = (".csv", ".tsv", ".jsonl")


class TextQuestions(Demo):
    """A demo whose questions are texts."""

    dearest: ClassVar[float] = 16_000  # characters: seconds of a slow processor

    async def checked(self, given: Any) -> str:
        return checked_text(given)

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 3, "max_lines": 12, "placeholder": "Type or paste a text"}
        return [gr.Textbox(label="A text", max_length=LIMITS.characters, **look)]

    @property
    def text_column(self) -> str:
        """The column with the texts."""
        return self.column(next(iter(self.arguments)))

    def cost(self, question: str) -> float:
        return len(question)

    def unread(self, texts: list[str]) -> str:
        """What of the texts the model does not read, as HTML; empty where it reads all of them."""
        return ""

    @guarded(LIMITS.file_seconds)
    async def answer_file(
        self,
        path: str,
        column: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, str]:
        """A CSV with the answers to each row of the uploaded file, and its first rows as HTML."""
        asked = column if isinstance(column, str) else ""
        rows = await asyncio.to_thread(read_upload, checked_file(path, KINDS), asked, self.text_column)
        texts = [row.text for row in rows if not row.problem]
        answers = iter(await self.answers_in_turn(texts, progress))
        names = list(rows[0].cells)
        cells = [[row.cells.get(name, "") for name in names] for row in rows]
        download, table = self.answers_file(names, cells, [row.problem or next(answers) for row in rows])
        return download, table + await asyncio.to_thread(self.unread, texts)

    def many_tab(self) -> None:
        gr.Markdown(
            f"A file ({', '.join(KINDS)}) of at most {LIMITS.rows:,} rows and {LIMITS.file_bytes // 1_000_000} MB; "
            "the answers come as a CSV."
        )
        column = gr.Textbox(label="Column with the texts", placeholder=self.text_column, max_length=200, max_lines=1)
        file = gr.UploadButton("Choose a file", file_types=list(KINDS), variant="primary")
        answers = gr.DownloadButton("Download the answers", visible=False)
        table = gr.HTML()
        file.upload(self.answer_file, [file, column], [answers, table], api_name="answer_file")


class Cut:
    """Knows what is read of a text by a model that cuts long ones.

    It has a tokenizer of its own: that of the model is in use on the model's thread, and cutting changes its state.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer, self.alone = copy.deepcopy(tokenizer), threading.Lock()

    def read_part(self, text: str) -> str:
        """The beginning of a text that the model reads."""
        with self.alone:
            return read_part(text, self.tokenizer)

    def unread(self, texts: list[str]) -> str:
        """How much of the texts is not read, as HTML; empty where all is."""
        lengths = [len(text) - len(self.read_part(text)) for text in texts]
        if not (longer := sum(map(bool, lengths))):
            return ""
        whose = "" if len(texts) == 1 else f" of {longer:,} {'text' if longer == 1 else 'texts'}"
        limit = f"The model reads {self.tokenizer.model_max_length} tokens"
        return f"<p>{limit}: the last {sum(lengths):,} characters{whose} were not read.</p>"


@dataclass(frozen=True)
class UploadedRow:
    """A row of a visitor's table.

    Attributes:
        cells: all of its cells by the names of their columns.
        text: what is asked about.
        problem: why the text cannot be answered; empty where it can.
    """

    cells: dict[str, str]
    text: str
    problem: str = ""


def read_upload(file: Path, asked: str, usual: str) -> list[UploadedRow]:
    """The rows of an uploaded table.  Raises UserError, with the row's number where one breaks the table."""
    try:
        columns = tables.column_names(file)
        if not columns:
            next(_numbered_rows(file), None)  # which may say why
        _check_columns(columns, asked)
        column = _chosen_column(columns, asked.strip(), usual)
        rows = []
        for number, row in _numbered_rows(file):
            if other := row.keys() - set(columns):
                raise UserError(
                    f"Row {number} has a column that the first row has not ({sorted(other)[0][:100]!r}): "
                    "give every row the same."
                )
            rows.append(_uploaded_row(number, row, column))
    except UserError as error:
        raise UserError(str(error).replace(str(file), file.name)) from None
    if not rows:
        raise UserError("The file has no rows below its header.")
    if all(row.problem for row in rows):
        raise UserError(f"No row of {column!r} can be answered. The first one: {rows[0].problem}")
    return rows


def _numbered_rows(file: Path) -> Iterator[tuple[int, tables.Row]]:
    """The rows of a file with their numbers.  Raises UserError at one that cannot be read, and at too many."""
    for number, row in tables.rows(file):
        if number > LIMITS.rows:
            raise UserError(f"The file has more than {LIMITS.rows:,} rows: give a part of it.")
        if isinstance(row, tables.RowProblem):
            raise UserError(f"Row {number} is {row}.")
        yield number, row


def _check_columns(columns: list[str], asked: str) -> None:
    if len(columns) > LIMITS.columns or max(map(len, [asked, *columns])) > LIMITS.column_characters:
        raise UserError(
            f"At most {LIMITS.columns} columns with names of at most {LIMITS.column_characters} characters "
            "are read: leave some out."
        )
    if doubled := [name for name in columns if columns.count(name) > 1]:
        called = f"called {doubled[0]!r}" if doubled[0].strip() else "without a name"
        raise UserError(f"The file has two columns {called}: rename or remove one of them.")


def _chosen_column(columns: list[str], asked: str, usual: str) -> str:
    """The column that is asked for, the usual one, or the only one; one without a name is none of them."""
    column = asked or (usual if usual in columns else columns[0] if len(columns) == 1 else "")
    if column.strip() and column in columns:
        return column
    wanted = f"There is no column {column!r}{nearest(column, columns)}." if column else "Which column holds the texts?"
    named = [name for name in columns if name.strip()]
    unnamed = ", and one without a name" if len(named) < len(columns) else ""
    remedy = "write its name into the field" if named else "give it a header"
    raise UserError(f"{wanted} The file has {', '.join(named[:20]) or 'no named column'}{unnamed}: {remedy}.")


def _uploaded_row(number: int, row: tables.Row, column: str) -> UploadedRow:
    """The row with its text, or with the reason why that cannot be answered."""
    cells = {name: "" if cell is None else str(cell) for name, cell in row.items()}
    for name, cell in cells.items():
        if NO_TEXT.search(name) or (name != column and NO_TEXT.search(cell)):
            raise UserError(
                f"Row {number} has characters that are no text (such as NUL) in {name[:100]!r}: remove them."
            )
        if name != column and len(cell) > LIMITS.characters:
            raise UserError(
                f"Row {number} has {len(cell):,} characters in {name[:100]!r}, and {LIMITS.characters:,} "
                "are read at most: shorten it, or leave this column out."
            )
    try:
        return UploadedRow(cells, checked_text(row.get(column)))
    except UserError as error:
        if len(cells.get(column, "")) > LIMITS.characters:
            cells[column] = f"{cells[column][: LIMITS.characters]} …"
        if column in cells:
            cells[column] = NO_TEXT.sub("\ufffd", cells[column])  # it stands in the file of answers
        return UploadedRow(cells, "", str(error))
