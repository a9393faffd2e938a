"""The demo of summarization: what a text says in short, where that stands in it, and what does not."""

import html
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.answers import RIGHT, WRONG, cut, probability
from apps.parts.inputs import LIMITS
from apps.parts.streams import StreamedAnswers
from common.reporting.wording import Results, excerpt
from common.run import Run
from common.task.contract import Prediction
from projects.summarization.baselines import FirstSentences

NOTICE = "A language model wrote this, and it may be wrong: read the marked sentences."
# What the buttons of examples say: ROUGE knows no right and wrong.
KINDS = {RIGHT: "Close to what people wrote", WRONG: "Far from what people wrote"}
# Characters of a button, and of a summary of people.
LABEL, PEOPLE = 60, 400
STYLE = (
    "<style>.passage { line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 24rem;"
    " overflow: auto; }"
    ".passage mark.best { background: #1d4ed8 !important; color: #fff !important; border-radius: 4px;"
    " padding: .1rem .25rem; -webkit-box-decoration-break: clone; box-decoration-break: clone; }"
    ".summary { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 1.2rem !important; line-height: 1.5;"
    " margin-bottom: .8rem !important; }"
    ".summary mark { background: transparent !important; color: inherit !important;"
    " border-bottom: 3px solid var(--amber); padding-bottom: .05em; }"
    ".notice { border-left: 3px solid var(--amber); padding: .2rem .6rem; }</style>"
)
Span = Sequence[int]


class SummaryDemo(StreamedAnswers):
    """A demo whose answers are short versions of a text, with marks in the text."""

    arguments: ClassVar[dict[str, Any]] = {"document": str}
    reference: ClassVar[str] = "summary"

    @property
    def writes(self) -> bool:
        """Whether a language model writes the summaries."""
        return bool(self.predictor.task.config.method == "abstractive")

    @property
    def writer(self) -> Any:
        task: Any = self.predictor.task
        return task.recipe

    @property
    def streams(self) -> bool:
        """Whether a summary can be shown while it grows: of several beams only the end is known."""
        return self.writes and hasattr(self.writer, "template")

    def asking(self) -> Any:
        return self.stream if self.streams else self.ask

    def more_ways_to_ask(self) -> dict[str, Any]:
        return super().more_ways_to_ask() if self.streams else {}

    def answers_beside(self, run: Run, results: Results) -> tuple[str, Any] | None:
        """The beginning of the text, as long as what the model chooses."""
        lead = FirstSentences(1 if self.writes else self.predictor.task.config.sentences)
        return f"The beginning ({lead.title})", lead

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 8, "max_lines": 16, "placeholder": "Paste a text, such as an abstract"}
        return [gr.Textbox(label="A text", max_length=LIMITS.characters, **look)]

    def example_label(self, example: dict[str, Any]) -> str:
        kind = KINDS.get(example["kind"], example["kind"].capitalize())
        return f"{kind}: {cut(' '.join(example['input'].split()), LABEL)}"

    def written_html(self, text: str) -> str:
        return f'{STYLE}<p class="notice">{NOTICE}</p><p class="label summary">{html.escape(text)}</p>'

    def said_html(self, question: str, prediction: Prediction) -> str:
        details = prediction.details
        notice = f'<p class="notice">{NOTICE}</p>' if self.writes else ""
        none = "" if prediction.value else '<p class="label">It wrote nothing</p>'
        summary = marked(prediction.value, details["unsupported"], "odd")
        sources = [span for span in details["sources"] if span]
        return (
            f'{STYLE}{notice}{none}<p class="label summary">{summary}</p>{self._odd(prediction)}'
            f'<div class="passage" tabindex="0">{marked(question, sources, "best")}</div>'
        )

    def _odd(self, prediction: Prediction) -> str:
        """What a reader has to know of a summary, as HTML."""
        details = prediction.details
        words = [prediction.value[slice(*span)] for span in details["unsupported"]]
        said = []
        if words:
            listed = ", ".join(f"<b>{html.escape(cut(word, LABEL))}</b>" for word in words)
            said.append(f"Not in the text, so look {'it' if len(words) == 1 else 'them'} up: {listed}.")
        if not details.get("stopped", True):
            said.append(f"It was broken off after {details['tokens']} tokens.")
        return f'<p class="odd">{" ".join(said)}</p>' if said else ""

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        return f"<b>{html.escape(excerpt(' '.join(prediction.value.split()), PEOPLE))}</b>"

    def notes_html(self, question: str, prediction: Prediction) -> list[str]:
        if not self.writes:
            count = len(prediction.details["sources"])
            weight = probability(sum(sorted(prediction.details["chances"])[-count:]))
            which = "The marked sentence has" if count == 1 else "The marked sentences have"
            return [f'<span class="quiet">{which} {weight} of the weight that it gives to all.</span>']
        config: Any = self.predictor.task.config
        told = f"told {html.escape(repr(config.instruction))}, " if config.instruction else ""
        left_out = self.writer.left_out(question)
        unread = f"The middle of the text was not read: {left_out:,} tokens." if left_out else ""
        how = f"{told}the likeliest words, no chance in it, at most {config.max_new_tokens} tokens"
        marks = "Marked is the sentence of the text that has most of a sentence's words."
        return [unread, f'<span class="quiet">{marks} As it was measured: {how}.</span>']

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The summary; for each of its sentences the characters of the text that it comes from, null for none; the
        characters of its numbers and names that the text does not hold; whether it ended by itself.
        """
        details = prediction.details
        sources, odd = details["sources"], details["unsupported"]
        return {
            "summary": prediction.value,
            "sources": sources,
            "unsupported": odd,
            "stopped": details.get("stopped", True),
        }

    def truth_html(self, example: dict[str, Any], says: Any, sure: bool) -> str:
        people, measured, now = (
            f"<b>{html.escape(excerpt(value, PEOPLE))}</b>"
            for value in (example["reference"], example["prediction"], says)
        )
        before = "" if measured == now else f" When it was measured, it said {measured}."
        return f'<p class="report truth">People wrote: {people}.{before}</p>'

    def reference_box(self) -> gr.Textbox:
        return gr.Textbox(label="A better summary", max_length=LIMITS.characters, lines=3)


def marked(text: str, spans: Iterable[Span], look: str) -> str:
    """A text with some of its characters marked, as HTML."""
    parts, end = [], 0
    for start, stop in sorted({(start, stop) for start, stop in spans}):
        if start < end:
            continue
        parts.append(f'{html.escape(text[end:start])}<mark class="{look}">{html.escape(text[start:stop])}</mark>')
        end = stop
    return "".join([*parts, html.escape(text[end:])])


build = SummaryDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
