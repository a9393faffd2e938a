"""What the demos share whose questions are texts: one at a time, or a column of a file."""

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr

from apps.parts.demo import Demo
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, checked_file, checked_text
from common.data import tables
from common.system.errors import UserError, nearest

KINDS = (".csv", ".tsv", ".jsonl")


class TextQuestions(Demo):
    """A demo whose questions are texts."""

    async def checked(self, given: Any) -> str:
        return checked_text(given)

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 3, "max_lines": 12, "placeholder": "Type or paste a text"}
        return [gr.Textbox(label="A text", max_length=LIMITS.characters, **look)]

    @property
    def text_column(self) -> str:
        """The column with the texts."""
        return self.column(next(iter(self.arguments)))

    @guarded(LIMITS.file_seconds)
    async def answer_file(
        self,
        path: str,
        column: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, str]:
        """A CSV with the answers to each row of the uploaded file, and its first rows as HTML."""
        rows = await asyncio.to_thread(
            read_upload, checked_file(path, KINDS), column if isinstance(column, str) else "", self.text_column
        )
        answers = await self.answers_in_turn([text for _, text in rows], progress)
        names = list(rows[0][0])
        return self.answers_file(names, [[str(row.get(name, "")) for name in names] for row, _ in rows], answers)

    def many_tab(self) -> None:
        gr.Markdown(
            f"A file ({', '.join(KINDS)}) of at most {LIMITS.rows:,} rows and {LIMITS.file_bytes // 1_000_000} MB; "
            "the answers come as a CSV."
        )
        column = gr.Textbox(label="Column with the texts", placeholder=self.text_column, max_length=200, max_lines=1)
        file = gr.UploadButton("Choose a file, and answer its rows", file_types=list(KINDS), variant="primary")
        answers = gr.DownloadButton("Download the answers", visible=False)
        table = gr.HTML()
        file.upload(self.answer_file, [file, column], [answers, table], api_name="answer_file")


def read_upload(file: Path, asked: str, usual: str) -> list[tuple[dict[str, Any], str]]:
    """(row, its text) of an uploaded table.  Raises UserError with the row's number where one cannot be read."""
    try:
        columns = tables.column_names(file)
        if len(columns) > LIMITS.columns or max(map(len, [asked, *columns])) > LIMITS.column_characters:
            raise UserError(
                f"At most {LIMITS.columns} columns with names of at most {LIMITS.column_characters} characters "
                "are read: leave some out."
            )
        column = asked.strip() or (usual if usual in columns else columns[0] if len(columns) == 1 else "")
        if column not in columns:
            wanted = (
                f"There is no column {column!r}{nearest(column, columns)}"
                if column
                else "Which column holds the texts?"
            )
            raise UserError(
                f"{wanted} The file has {', '.join(columns[:20]) or 'none'}: write its name into the field."
            )
        rows = []
        for number, row in tables.rows(file):
            if number > LIMITS.rows:
                raise UserError(f"The file has more than {LIMITS.rows:,} rows: give a part of it.")
            if isinstance(row, tables.RowProblem):
                raise UserError(f"Row {number} is {row}.")
            if other := row.keys() - set(columns):
                raise UserError(
                    f"Row {number} has a column that the first row has not ({sorted(other)[0][:100]!r}): "
                    "give every row the same."
                )
            try:
                rows.append((row, checked_text(row.get(column))))
            except UserError as error:
                raise UserError(f"Row {number}: {error}") from None
    except UserError as error:
        raise UserError(str(error).replace(str(file), file.name)) from None
    if not rows:
        raise UserError("The file has no rows below its header.")
    return rows
