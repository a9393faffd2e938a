"""What an answer looks like: as a card beside the best baseline's answer and the truth, and in a table of many."""

import csv
import html
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from apps.parts.inputs import neutralised
from common.predictor import Predictor
from common.reporting import wording
from common.reporting.wording import achieves, excerpt, primary
from common.run import Run
from common.system.files import read_json
from common.task.contract import Prediction

# Who else answers, mostly the best baseline with its title, and the answer.
BaselineAnswer: TypeAlias = tuple[str, Prediction]

# Rows of a table that are shown.
PREVIEW = 10
# Characters of a cell that are shown, and of an answer among others in a sentence.
CELL, SAID = 200, 160
# Examples of the test set that the model answers rightly, and wrongly.
RIGHT, WRONG = "right", "known failure"

EMPTY = '<div class="report answer"><p class="quiet">The answer comes here.</p></div>'


def probability(value: float) -> str:
    """A probability in per cent that never claims certainty."""
    return wording.share(min(max(value, 1e-9), 1 - 1e-9))


def card(said: str, sure: bool, beside: Iterable[str], milliseconds: float) -> str:
    """An answer as HTML: what is said, in amber where that is not sure; below it what stands `beside`; the time."""
    below = "".join(f'<div class="beside">{part}</div>' for part in beside if part)
    took = f'<p class="quiet took">Answered in {milliseconds:.0f} ms</p>'
    return f'<div class="report answer{"" if sure else " unsure"}">{said}{below}{took}</div>'


def said(shown: str, prediction: Prediction) -> str:
    """What the model says, or that it is not sure; `shown` is the answer's value as HTML."""
    confidence = prediction.confidence
    if prediction.sure:
        sure = "" if confidence is None else f"<p>Sure of it: {probability(confidence)}</p>"
        return f'<p class="label">{shown}</p>{sure}'
    perhaps = f"Perhaps {shown}" if confidence is None else f"Perhaps {shown}, with {probability(confidence)}"
    doubt = html.escape(prediction.doubt.capitalize() or "Not sure")
    return f'<p class="label">{doubt}</p><p>{perhaps}: a person should look.</p>'


def truth(example: dict[str, Any], says: Any, sure: bool) -> str:
    """What the test set says of an example, as HTML, beside what the model `says` of it now."""
    ours, theirs, measured = (
        f"<b>{html.escape(excerpt(value, SAID))}</b>" for value in (says, example["reference"], example["prediction"])
    )
    if ours != measured:  # such as on other hardware
        look, sentence = "", f"The test set says {theirs}. When it was measured, it said {measured}."
    elif example["kind"] == WRONG:
        verb = "says" if sure else "leans towards"
        look, sentence = "wrong", f"Known failure: it {verb} {ours}; the test set says {theirs}."
    elif ours == theirs:
        look = "right" if sure else ""
        right = "Right" if sure else "What it leans towards is right, but it does not count on it"
        sentence = f"{right}: the test set says {theirs}, too."
    else:  # by a measure that takes more than one answer
        look = "right" if sure else ""
        sentence = f"Its measure counts this as right, too: it says {ours}; the test set says {theirs}."
    return f'<p class="report truth {look}">{sentence}</p>'


def with_answers(
    head: list[str], rows: list[list[str]], found: list[Prediction | str], in_cell: Callable[[Prediction], str]
) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a table, with the answer to each row: value, confidence, and whether it is sure.

    Columns that no answer has are left out. A text in place of an answer says why there is none.
    """
    columns = {
        "answer": ["" if isinstance(one, str) else in_cell(one) for one in found],
        "confidence": [
            "" if isinstance(one, str) or one.confidence is None else f"{one.confidence:.4f}" for one in found
        ],
        "sure": [
            "" if isinstance(one, str) or one.confidence is None else "yes" if one.sure else "no" for one in found
        ],
        "not answered because": [one if isinstance(one, str) else "" for one in found],
    }
    kept = {name: cells for name, cells in columns.items() if name == "answer" or any(cells)}
    return [*head, *kept], [[*row, *cells] for row, *cells in zip(rows, *kept.values(), strict=True)]


def write_csv(file: Path, lines: list[list[str]]) -> None:
    """Write a table that spreadsheets open as UTF-8, and that holds no formula."""
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        csv.writer(opened).writerows([neutralised(cell) for cell in line] for line in lines)


def preview(head: list[str], table: list[list[str]]) -> str:
    """The first rows as an HTML table; long cells are cut, and end in dots."""
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    rows = "".join(f"<tr>{''.join(map(_cell, line))}</tr>" for line in table[:PREVIEW])
    more = f"<p>The first {PREVIEW} of {len(table):,} rows.</p>" if len(table) > PREVIEW else ""
    return (
        f'<div class="report"><div class="scroll" tabindex="0"><table><tr>{names}</tr>{rows}</table></div>{more}</div>'
    )


def _cell(text: str) -> str:
    return f"<td>{html.escape(cut(text, CELL))}</td>"


def cut(text: str, most: int) -> str:
    """A text; a long one ends in dots."""
    return text if len(text) <= most else f"{text[:most].rstrip()} …"


def sure_of(predictor: Predictor) -> str:
    """What "not sure" means here, in one sentence with the numbers of the test set; empty without confidence."""
    if not predictor.folder:
        threshold = predictor.task.settings.get("threshold")
        return "" if threshold is None else f"{wording.unsure_below(threshold)}."
    results = read_json(Run(predictor.folder).results)
    selective = results.get("selective", {"threshold": None, "coverage": 1.0})
    threshold, coverage = selective["threshold"], selective["coverage"]
    if threshold is None and coverage == 1:
        return ""
    if coverage == 0:
        return wording.unsure(results)
    measured = f"On the test set it was sure of {wording.share(coverage)} of the rows"
    if "metrics" in selective:
        scored = achieves(selective["metrics"][results["primary_metric"]], primary(results), "those")
        measured += f", and it {scored}"
    return f"{measured}." if threshold is None else f"{wording.unsure(results)} {measured}."
