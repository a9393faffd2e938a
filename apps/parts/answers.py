"""What an answer and the evidence for it look like."""

import csv
import html
import re
from pathlib import Path
from typing import TypeAlias

import gradio as gr

from apps.parts.inputs import neutralised
from common.predictor import Predictor
from common.reporting.figures import data_uri
from common.reporting.report import evidence
from common.reporting.wording import achieves, primary, sentence, shown
from common.run import Run
from common.system.files import read_json
from common.task.contract import Prediction, as_key

# The title of the best baseline, and its answer.
BaselineAnswer: TypeAlias = tuple[str, Prediction]

# Rows of a table that are shown.
PREVIEW = 10
# Characters of a cell that are shown.
CELL = 200


def header(predictor: Predictor) -> None:
    """The title, and the result in one sentence."""
    gr.Markdown(f"# {predictor.task.title}")
    if predictor.folder:
        results = read_json(Run(predictor.folder).results)
        # No Markdown: names are whatever somebody chose.
        gr.HTML(f"<p>Run <code>{html.escape(results['run'])}</code>. {html.escape(sentence(results))}</p>")


def share(value: float) -> str:
    """A probability in per cent that never claims certainty."""
    return "over 99.9 %" if value > 0.999 else "under 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def answer_html(prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float, more: str = "") -> str:
    """An answer as HTML: its value or "not sure", `more` HTML about it, the best baseline's answer, the time."""
    value, confidence = html.escape(shown(prediction.value)), prediction.confidence
    if prediction.sure:
        sure = "" if confidence is None else f"<p>Sure of it: {share(confidence)}</p>"
        said = f'<p class="label">{value}</p>{sure}'
    else:
        perhaps = f"Perhaps {value}" if confidence is None else f"Perhaps {value}, with {share(confidence)}"
        said = f'<p class="label">Not sure</p><p>{perhaps}: a person should look.</p>'
    compared = ""
    if baseline:
        title, answer = html.escape(baseline[0]), html.escape(shown(baseline[1].value))
        compared = f"<p>The best baseline ({title}) says: {answer}</p>"
    took = f"<p>Answered in {milliseconds:.0f} ms.</p>"
    return f'<div class="answer">{said}{more}<div class="quiet">{compared}{took}</div></div>'


def with_answers(
    head: list[str], rows: list[list[str]], found: list[Prediction | str]
) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a table, with the answer to each row: value, confidence, and whether it is sure.

    Columns that no answer has are left out. A text in place of an answer says why there is none.
    """
    columns = {
        "answer": ["" if isinstance(one, str) else as_key(one.value) for one in found],
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
    shown = text if len(text) <= CELL else f"{text[:CELL]} …"
    return f"<td>{html.escape(shown)}</td>"


def evidence_tab(predictor: Predictor) -> None:
    """How good is it?  The report, rendered from results.json."""
    if predictor.folder:
        gr.HTML(f'<div class="report">{evidence(Run(predictor.folder))}</div>')
    else:
        gr.Markdown("This model was not measured: it has no run.")


def about_tab(predictor: Predictor) -> None:
    """The model card, without its metadata."""
    if predictor.folder:
        run = Run(predictor.folder)
        card = run.card.read_text(encoding="utf-8")
        for file in run.inputs.glob("*.png"):  # the page is not in the run's folder
            card = card.replace(f"](inputs/{file.name})", f"]({data_uri(file)})")
        text = re.sub(r"\A---\n.*?\n---\n\s*# [^\n]*\n", "", card, flags=re.DOTALL)
        gr.Markdown(text.replace("```python", "```"))  # the highlighter's colours are too pale to read
    else:
        gr.Markdown("This model has no card: it has no run.")


def sure_of(predictor: Predictor) -> str:
    """What "not sure" means here, in one sentence with the numbers of the test set; empty without confidence."""
    if not predictor.folder:
        threshold = predictor.task.settings.get("threshold")
        return "" if threshold is None else f"Below a confidence of {share(threshold)} it says that it is not sure."
    results = read_json(Run(predictor.folder).results)
    selective = results.get("selective", {"threshold": None, "coverage": 1.0})
    threshold, coverage = selective["threshold"], selective["coverage"]
    if threshold is None and coverage == 1:
        return ""
    if threshold is not None and threshold >= 1:
        return (
            "It never says that it is sure: "
            "no part of its answers on the validation split was clearly more reliable than the rest."
        )
    rule = f"Below a confidence of {share(threshold)}, chosen on the validation split, it says that it is not sure. "
    measured = f"On the test set it was sure of {share(coverage)} of the rows"
    if "metrics" in selective:
        scored = achieves(selective["metrics"][results["primary_metric"]], primary(results), "those")
        measured += f", and it {scored}"
    return f"{measured}." if threshold is None else f"{rule}{measured}."
