"""The demo of token classification: names marked in a text, the best baseline's marks beside them, a whole file."""

import html
import re
from typing import Any, ClassVar

import gradio as gr

from apps.parts import server
from apps.parts.answers import cut, probability
from apps.parts.inputs import LIMITS
from apps.parts.texts import TextQuestions
from common.predictor import Predictor
from common.reporting.markdown import inline
from common.system.errors import UserError
from common.task.contract import Prediction

# Dark enough for white letters on them (WCAG 2.2, contrast 4.5), one after the other for the types.
COLOURS = ("#1d4ed8", "#9a3412", "#166534", "#6b21a8", "#9d174d", "#115e59", "#854d0e", "#374151")
# A mark may end inside of a word: its type stands where that ends.
AFTER_WORD = re.compile(r"\W")
# Characters of a name in the list of probabilities.
NAME = 40
STYLE = (
    "<style>.entities { line-height: 2.1; white-space: pre-wrap; overflow-wrap: anywhere; }"
    ".entities mark { color: #fff !important; background: var(--type) !important; border-radius: 5px;"
    " padding: .12rem .3rem; -webkit-box-decoration-break: clone; box-decoration-break: clone; }"
    ".entities small { border: 1px solid var(--type); border-radius: 5px; padding: .05rem .3rem;"
    " margin: 0 .15rem 0 .25rem; font-weight: 600; white-space: nowrap; }"
    ".entities mark.unsure { color: inherit !important; background: transparent !important;"
    " outline: 2px dashed var(--amber); }"
    ".entities small.unsure { border: 1px dashed var(--amber); }"
    ".chances span { white-space: nowrap; }"
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
        marked = self.marked(question, prediction.value, confidences)
        return f"{STYLE}{doubt}{none}{marked}{chances(question, prediction)}"

    def baseline_html(self, question: str, prediction: Prediction) -> str:
        return self.marked(question, prediction.value)

    def marked(self, text: str, entities: list[dict[str, Any]], confidences: list[float] | None = None) -> str:
        """The text with its entities marked, and the type after the word; those below the threshold are dashed."""
        parts, end = [], 0
        for index, entity in enumerate(entities):
            sure = confidences is None or confidences[index] >= self.threshold
            colour = COLOURS[self.types.index(entity["label"]) % len(COLOURS)]
            look = f'style="--type: {colour}"' if sure else 'class="unsure"'
            following = entities[index + 1]["start"] if index + 1 < len(entities) else len(text)
            word_end = entity["end"] + len(AFTER_WORD.split(text[entity["end"] : following], maxsplit=1)[0])
            before, name, rest = (
                html.escape(text[slice(*ends)])
                for ends in ((end, entity["start"]), (entity["start"], entity["end"]), (entity["end"], word_end))
            )
            parts.append(
                f"{before}<mark {look}>{name}</mark>{rest}<small {look}>{html.escape(entity['label'])}</small>"
            )
            end = word_end
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


def chances(text: str, prediction: Prediction) -> str:
    """How probable each entity is, as HTML, in the order of the text."""
    pairs = zip(prediction.value, prediction.details["confidences"], strict=True)
    found = (
        f"<span><b>{html.escape(cut(text[entity['start'] : entity['end']], NAME))}</b> {probability(confidence)}</span>"
        for entity, confidence in pairs
    )
    said = ", ".join(found)
    return f'<p class="quiet chances">Probability: {said}</p>' if said else ""


build = EntityDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
