"""The demo of question answering: paste a text, ask, and see where in the text the answer stands."""

import html
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.answers import BaselineAnswer, probability
from apps.parts.demo import Demo
from apps.parts.inputs import LIMITS, checked_text
from common.reporting.wording import excerpt
from common.system.errors import UserError
from common.task.contract import Prediction

# Characters of a question: one that is longer is a text.
QUESTION = 1_000
# Characters of the button of an example.
SHOWN = 70
STYLE = (
    "<style>.passage { line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 24rem;"
    " overflow: auto; }"
    ".passage mark { border-radius: 4px; padding: .1rem .25rem; }"
    ".passage mark.best { background: #1d4ed8 !important; color: #fff !important; }"
    ".passage mark.next { background: transparent !important; color: inherit !important;"
    " outline: 1px dashed currentcolor; }</style>"
)


class QuestionDemo(Demo):
    """A demo whose inputs are a question and a text, and whose answers are marks in the text."""

    arguments: ClassVar[dict[str, Any]] = {"question": str, "context": str}
    reference: ClassVar[str] = "answers"
    dearest: ClassVar[float] = 16_000  # characters: seconds of a slow processor

    async def checked(self, given: Any) -> dict[str, str]:
        if not isinstance(given, dict):
            raise UserError("Give a question and a text.")
        question, context = given.get("question"), given.get("context")
        if isinstance(question, str) and not question.strip():
            raise UserError("There is no question yet: type one first.")
        if isinstance(question, str) and len(question) > QUESTION:
            raise UserError(
                f"The question has {len(question):,} characters, and {QUESTION:,} are read at most: shorten it."
            )
        return {"question": checked_text(question), "context": checked_text(context)}

    def question_boxes(self) -> list[Any]:
        return [
            gr.Textbox(label="A question", max_length=QUESTION, max_lines=3, placeholder="What does it return?"),
            gr.Textbox(
                label="The text that it is asked about",
                max_length=LIMITS.characters,
                lines=8,
                max_lines=16,
                placeholder="Paste a text, such as a page of a manual",
            ),
        ]

    def cost(self, question: dict[str, str]) -> float:
        return len(question["question"]) + len(question["context"])

    def example_label(self, example: dict[str, Any]) -> str:
        return f"{example['kind'].capitalize()}: {excerpt(example['input']['question'], SHOWN)}"

    def answer_html(
        self, question: Any, prediction: Prediction, baseline: BaselineAnswer | None, milliseconds: float
    ) -> str:
        # Where no answer was found, a person should look.
        shown = prediction if prediction.value else replace(prediction, sure=False)
        return super().answer_html(question, shown, baseline, milliseconds)

    def said_html(self, question: dict[str, str], prediction: Prediction) -> str:
        sure = "" if prediction.confidence is None else probability(prediction.confidence)
        if not prediction.value:
            said = f'<p class="label">No answer in this text</p><p>That there is none: {sure}</p>'
        elif prediction.sure:
            said = f'<p class="label">{html.escape(prediction.value)}</p><p>Sure of it: {sure}</p>'
        else:
            perhaps = f"Perhaps {html.escape(prediction.value)}, with {sure}"
            said = f'<p class="label">Not sure</p><p>{perhaps}: a person should look.</p>'
        return f"{STYLE}{said}{marked(question['context'], prediction)}"

    def baseline_html(self, question: dict[str, str], prediction: Prediction) -> str:
        return f"<b>{html.escape(excerpt(prediction.value, 300)) or 'no answer'}</b>"

    def notes_html(self, question: dict[str, str], prediction: Prediction) -> list[str]:
        others = prediction.details["others"]
        if not others:
            return []
        said = "; ".join(
            f"<b>{html.escape(excerpt(one['text'], 100))}</b> ({probability(one['probability'])})" for one in others
        )
        none = f"; no answer ({probability(prediction.details['none'])})" if prediction.value else ""
        return [f"The next likeliest, dashed in the text: {said}{none}."]

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The answer ("" for none), its first character in the text, its confidence, whether it is sure; others."""
        return {
            "answer": prediction.value,
            "start": prediction.details.get("start"),
            "confidence": prediction.confidence,
            "sure": prediction.sure,
            "others": prediction.details["others"],
        }

    def reference_box(self) -> gr.Textbox:
        return gr.Textbox(
            label="The right answer, copied from the text",
            info="Nothing where the text does not answer the question.",
            max_length=LIMITS.characters,
        )

    def checked_reference(self, given: Any, question: dict[str, str]) -> list[dict[str, Any]]:
        """A part of the text, at the first place where it stands; no answer for nothing."""
        if not isinstance(given, str):
            raise UserError("Copy the right answer from the text, or leave it empty where there is none.")
        text = given.strip()
        if not text:
            return []
        start = question["context"].find(text)
        if start < 0:
            raise UserError(f"{text[:100]!r} does not stand in the text: copy the right answer from there.")
        return [{"text": text, "start": start}]


def marked(context: str, prediction: Prediction) -> str:
    """The text with the answer marked, and the next likeliest ones dashed, as HTML."""
    parts, end = [], 0
    for start, text, look in _marks(prediction):
        inside = html.escape(context[start : start + len(text)])
        parts.append(f'{html.escape(context[end:start])}<mark class="{look}">{inside}</mark>')
        end = start + len(text)
    return f'<div class="passage" tabindex="0">{"".join(parts)}{html.escape(context[end:])}</div>'


def _marks(prediction: Prediction) -> Iterator[tuple[int, str, str]]:
    """(start, text, look) of what is marked, in the order of the text; none overlap."""
    best = [(prediction.details["start"], prediction.value, "best")] if prediction.value else []
    yield from sorted([*best, *((one["start"], one["text"], "next") for one in prediction.details["others"])])


build = QuestionDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
