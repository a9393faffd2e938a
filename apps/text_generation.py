"""The demo of text generation: what the fine-tuned model writes, and what it wrote before it was fine-tuned."""

import html
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.answers import probability
from apps.parts.inputs import LIMITS
from apps.parts.streams import WRITING, StreamedAnswers
from common.predictor import Predictor
from common.reporting.wording import Results
from common.run import Run
from common.task.contract import Prediction

# What is shown of an empty answer.
NOTHING = "nothing"
NOTICE = "A language model wrote this, and it may be wrong. It is text: nothing here executes it."
STYLE = (
    "<style>.written { white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, monospace;"
    " margin: .3rem 0; } .answer .written.label { font-size: 1.2rem; line-height: 1.4; }"
    ".notice { border-left: 3px solid #d97706; padding: .2rem .6rem; }</style>"
)


class GenerationDemo(StreamedAnswers):
    """A demo whose answers are texts."""

    arguments: ClassVar[dict[str, Any]] = {"prompt": str}
    reference: ClassVar[str] = "completion"

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        config: Any = predictor.task.config
        if config.text_column:
            self.corrections = None  # a text that goes on otherwise is not wrong

    def answers_beside(self, run: Run, results: Results) -> tuple[str, Any] | None:
        """The model as it was before, which answers by the same settings; the best baseline where it is not known."""
        task: Any = self.predictor.task
        untuned = task.before(run.model)
        if untuned is None:
            return super().answers_beside(run, results)
        return "The same model, not fine-tuned,", Predictor(task, untuned, self.predictor.precision)

    def question_boxes(self) -> list[Any]:
        look: dict[str, Any] = {"lines": 2, "max_lines": 12, "placeholder": "What do you want?"}
        return [gr.Textbox(label="A prompt", max_length=LIMITS.characters, **look)]

    def written_html(self, text: str) -> str:
        return f'{STYLE}<p class="notice">{NOTICE}</p><pre class="written label">{html.escape(text)}</pre>'

    def said_html(self, question: str, prediction: Prediction) -> str:
        broken_off = "" if prediction.details["stopped"] else f" {self._broken_off(prediction)}"
        likely = ""
        if prediction.confidence is not None:
            likely = f"How likely it finds just this answer: {probability(prediction.confidence)}."
        look = "" if prediction.sure else " It is not sure: a person should look."
        return f'{self.written_html(prediction.value or NOTHING)}<p class="quiet">{likely}{look}{broken_off}</p>'

    def _broken_off(self, prediction: Prediction) -> str:
        return f"It was broken off after {prediction.details['tokens']} tokens."

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        written = f'<pre class="written">{html.escape(prediction.value) or NOTHING}</pre>'
        return written if prediction.details.get("stopped", True) else f"{written} {self._broken_off(prediction)}"

    def notes_html(self, question: str, prediction: Prediction) -> list[str]:
        config: Any = self.predictor.task.config
        system = f"the system prompt {html.escape(repr(config.system_prompt))}, " if config.system_prompt else ""
        task: Any = self.predictor.task
        (cut,) = task.encode(task.rows([question]))["cut"]
        left_out = f" The middle of the prompt was left out: {cut:,} tokens." if cut else ""
        return [
            f'<span class="quiet">As it was measured: {system}the likeliest token each time (no chance in it, so no '
            f"seed), at most {config.max_new_tokens} tokens and {WRITING:.0f} seconds.{left_out}</span>"
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
