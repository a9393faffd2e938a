"""What an answer and the evidence for it look like."""

import html
import re
from typing import TypeAlias

import gradio as gr

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


def header(predictor: Predictor) -> None:
    """The title, and the result in one sentence."""
    gr.Markdown(f"# {predictor.task.title}")
    if predictor.folder:
        results = read_json(Run(predictor.folder).results)
        gr.Markdown(f"Run `{results['run']}`. {sentence(results)}")


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


def cells(prediction: Prediction) -> list[str]:
    """An answer in a table: value, confidence, and whether it is sure."""
    confidence = "" if prediction.confidence is None else f"{prediction.confidence:.4f}"
    return [as_key(prediction.value), confidence, "yes" if prediction.sure else "no"]


def preview(head: list[str], table: list[list[str]]) -> str:
    """The first rows as an HTML table."""
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell[:200])}</td>" for cell in line) + "</tr>" for line in table[:PREVIEW]
    )
    more = f"<p>The first {PREVIEW} of {len(table):,} rows.</p>" if len(table) > PREVIEW else ""
    return (
        f'<div class="report"><div class="scroll" tabindex="0"><table><tr>{names}</tr>{rows}</table></div>{more}</div>'
    )


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
