"""The demo of token classification: names marked in a text, the best baseline's marks beside them, a whole file."""

import html
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.answers import probability
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.predictor import Predictor
from common.reporting.markdown import inline
from common.system.errors import UserError
from common.task.contract import Prediction

# Dark enough for white letters on them (WCAG 2.2, contrast 4.5), one after the other for the types.
COLOURS = ("#1d4ed8", "#9a3412", "#166534", "#6b21a8", "#9d174d", "#115e59", "#854d0e", "#374151")
STYLE = (
    "<style>.entities { line-height: 2.1; white-space: pre-wrap; overflow-wrap: anywhere; }"
    ".entities mark, .entities mark * { color: #fff !important; }"
    ".entities mark { border-radius: 5px; padding: .12rem .35rem; }"
    ".entities mark small { opacity: .95; margin-left: .4em; font-weight: 600; }"
    ".entities mark.unsure, .entities mark.unsure * { color: inherit !important; }"
    ".entities mark.unsure { background: transparent !important; outline: 2px dashed var(--amber); }"
    "</style>"
)


class EntityDemo(TextQuestions):
    """A demo whose answers are marks in a text."""

    reference: ClassVar[str] = "spans"

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        self.types: list[str] = predictor.task.settings["types"]
        self.threshold: float = predictor.task.settings["threshold"] or 0.0

    def said_html(self, question: str, prediction: Prediction) -> str:
        confidences = prediction.details["confidences"]
        unsure = sum(confidence < self.threshold for confidence in confidences)
        look = f"A person should look at the dashed {'one' if unsure == 1 else 'ones'}"
        doubt = f'<p class="label">Not sure of {unsure} of {len(confidences)}</p><p>{look}.</p>' if unsure else ""
        none = "" if prediction.value else '<p class="label">No name was found</p>'
        return f"{STYLE}{doubt}{none}{self.marked(question, prediction.value, confidences)}"

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        return self.marked(question, prediction.value)

    def marked(self, text: str, entities: list[dict[str, Any]], confidences: list[float] | None = None) -> str:
        """The text with its entities marked; those below the threshold are dashed."""
        parts, end = [], 0
        for index, entity in enumerate(entities):
            confidence = confidences[index] if confidences else None
            sure = confidence is None or confidence >= self.threshold
            colour = COLOURS[self.types.index(entity["label"]) % len(COLOURS)]
            look = f'style="background: {colour}"' if sure else 'class="unsure"'
            note = html.escape(entity["label"]) + ("" if confidence is None else f" {probability(confidence)}")
            parts.append(html.escape(text[end : entity["start"]]))
            name = html.escape(text[entity["start"] : entity["end"]])
            parts.append(f"<mark {look}>{name}<small>{note}</small></mark>")
            end = entity["end"]
        return f'<div class="entities">{"".join(parts)}{html.escape(text[end:])}</div>'

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """The entities (start, end, label, confidence), and whether it is sure of all of them."""
        pairs = zip(prediction.value, prediction.details["confidences"], strict=True)
        return {"entities": [{**entity, "confidence": of_it} for entity, of_it in pairs], "sure": prediction.sure}

    def reference_box(self) -> gr.Textbox:
        types = ", ".join(map(inline, self.types))  # Gradio takes `info` for Markdown
        return gr.Textbox(
            label="The right entities, one on each line: words of the text, a colon, the type",
            placeholder=f"some words: {self.types[0]}",
            info=f"Types: {types}. Nothing where the text has none.",
            lines=3,
            max_length=LIMITS.characters,
        )

    def checked_reference(self, given: Any, question: str) -> list[dict[str, Any]]:
        """Lines `words: type` as spans of the text, in the order in which they occur there."""
        if not isinstance(given, str):
            raise UserError("Write the right entities as lines of words, a colon and a type.")
        spans, position = [], 0
        for line in filter(None, map(str.strip, given.splitlines())):
            words, colon, label = line.rpartition(":")
            words, label = words.strip(), label.strip()
            if not colon or label not in self.types:
                raise UserError(f"Write {line[:100]!r} as words, a colon and one of {', '.join(self.types)}.")
            start = question.find(words, position) if words else -1
            if start < 0:
                raise UserError(f"The words {words[:100]!r} are not in the rest of the text: give them in its order.")
            spans.append({"start": start, "end": start + len(words), "label": label})
            position = start + len(words)
        return spans


build = EntityDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
