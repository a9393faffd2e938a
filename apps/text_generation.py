"""The demo of text generation: what the fine-tuned model writes, and what it wrote before it was fine-tuned."""

import html
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.answers import BaselineAnswer, probability
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.predictor import Predictor
from common.task.contract import Prediction

NOTICE = "A language model wrote this, and it may be wrong. It is text: nothing here executes it."
STYLE = (
    "<style>.written { white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, monospace;"
    " margin: .3rem 0; }"
    ".notice { border-left: 3px solid #d97706; padding: .2rem .6rem; }</style>"
)


class GenerationDemo(TextQuestions):
    """A demo whose answers are texts."""

    arguments: ClassVar[dict[str, Any]] = {"prompt": str}
    reference: ClassVar[str] = "completion"
    dearest: ClassVar[float] = 4_000  # characters: each is read twice, and answers are written token by token

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        task: Any = predictor.task
        untuned = task.before(self.run.model) if self.run else None
        # It answers through the same door, by the same settings.
        self.untuned = Predictor(task, untuned, predictor.precision) if untuned is not None else None

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 2, "max_lines": 12, "placeholder": "What do you want?"}
        return [gr.Textbox(label="A prompt", max_length=LIMITS.characters, **look)]

    def _answers(self, questions: list[Any]) -> list[tuple[Prediction, BaselineAnswer | None]]:
        """One batch: the model's answers, and where baselines are asked for, those that it gave before fine-tuning."""
        if self.untuned is None:
            return super()._answers(questions)
        predictions = self.predictor.predict([question.value for question in questions])
        asked = [question.value for question in questions if question.with_baseline]
        before = iter(self.untuned.predict(asked))
        return [
            (prediction, ("not fine-tuned", next(before)) if question.with_baseline else None)
            for question, prediction in zip(questions, predictions, strict=True)
        ]

    def said_html(self, question: str, prediction: Prediction) -> str:
        broken_off = "" if prediction.details["stopped"] else f" {self._broken_off(prediction)}"
        likely = "" if prediction.confidence is None else probability(prediction.confidence)
        return (
            f'{STYLE}<p class="notice">{NOTICE}</p><pre class="written label">{html.escape(prediction.value)}</pre>'
            f'<p class="quiet">How likely it finds just this answer: {likely}.{broken_off}</p>'
        )

    def _broken_off(self, prediction: Prediction) -> str:
        return f"It was broken off after {prediction.details['tokens']} tokens."

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        return f'<pre class="written">{html.escape(prediction.value) or "nothing"}</pre>'

    def notes_html(self, question: str, prediction: Prediction) -> list[str]:
        config: Any = self.predictor.task.config
        system = f"the system prompt {html.escape(repr(config.system_prompt))}, " if config.system_prompt else ""
        cut = prediction.details.get("cut", 0)
        left_out = f" The middle of the prompt was left out: {cut} tokens." if cut else ""
        return [
            f'<span class="quiet">As it was measured: {system}the likeliest token each time, no chance in it, at most '
            f"{config.max_new_tokens} tokens.{left_out}</span>"
        ]

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """What the model wrote, which nobody has checked; how likely it finds that; whether it ended by itself."""
        return {
            "answer": prediction.value,
            "confidence": prediction.confidence,
            "stopped": prediction.details["stopped"],
        }

    def reference_box(self) -> gr.Textbox:
        return gr.Textbox(label="The right answer", max_length=LIMITS.characters, lines=2)


build = GenerationDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
