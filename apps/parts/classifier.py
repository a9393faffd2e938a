"""What the demos of classifications share: bars of probabilities, labels to choose from, shares of an explanation."""

import asyncio
import html
from typing import Any, ClassVar

import gradio as gr

from apps.parts.answers import probability
from apps.parts.demo import Demo
from apps.parts.nearest import NearestRows
from common.kinds.classification import Classification
from common.predictor import Predictor
from common.system.errors import UserError
from common.task.contract import Prediction

# Labels with a bar.
BARS = 5
# Labels that a sentence names.
NAMED = 20


class ClassifierDemo(Demo):
    """A demo whose answers are one of a few labels, each with a probability."""

    reference: ClassVar[str] = "label"

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        assert isinstance(predictor.task, Classification)
        self.task = predictor.task
        self.labels = predictor.task.labels
        self.nearest = NearestRows(self.run, len(self.task.neighbours or ()))

    def said_html(self, question: Any, prediction: Prediction) -> str:
        said, probabilities = super().said_html(question, prediction), self.task.probabilities(prediction)
        if not prediction.doubt:
            return said + bars(probabilities, self.task.settings.get("threshold"))
        highest = probability(max(probabilities.values()))
        doubt = html.escape(prediction.doubt)
        return f'{said}{bars(probabilities, None)}<p class="quiet">Its {highest} does not count: this is {doubt}.</p>'

    def notes_html(self, question: Any, prediction: Prediction) -> list[str]:
        return [*super().notes_html(question, prediction), self.nearest.as_html(prediction)]

    def as_json(self, prediction: Prediction) -> dict[str, Any]:
        """Label, calibrated confidence, whether it is sure, why not if it is unlike the training data, and every
        label's probability.
        """
        return {
            "label": prediction.value,
            "confidence": prediction.confidence,
            "sure": prediction.sure,
            "doubt": prediction.doubt,
            "probabilities": self.task.probabilities(prediction),
        }

    def reference_box(self) -> gr.Dropdown:
        return gr.Dropdown(self.labels, label="The right label", value=None)

    def checked_reference(self, given: Any, question: Any) -> str:
        if given not in self.labels:
            labels = ", ".join(self.labels[:NAMED]) + (" ..." if len(self.labels) > NAMED else "")
            raise UserError(f"Choose the right label first: one of {labels}.")
        return str(given)

    async def probabilities(self, label: str, inputs: list[Any]) -> list[float]:
        """The label's probability for each of the inputs."""
        found = await asyncio.gather(*(self.prediction(one) for one in inputs))
        return [self.task.probabilities(answer)[label] for answer in found]

    async def shares(self, label: str, whole: Prediction, parts: list[Any]) -> list[float]:
        """What the label's probability loses in each of the parts: inputs that lack something of the whole one."""
        before = self.task.probabilities(whole)[label]
        return [before - after for after in await self.probabilities(label, parts)]


def bars(probabilities: dict[str, float], threshold: float | None) -> str:
    """The likeliest labels with their probabilities, as HTML; a tick stands where "sure" begins."""
    likeliest = sorted(probabilities.items(), key=lambda pair: -pair[1])[:BARS]
    tick = "" if threshold is None or not 0 < threshold < 1 else f'<u style="left: {100 * threshold:.1f}%"></u>'
    rows = "".join(
        f'<span>{html.escape(label)}</span><div class="track"><i style="width: {100 * value:.1f}%"></i>{tick}</div>'
        f'<span class="value">{probability(value)}</span>'
        for label, value in likeliest
    )
    note = f'<p class="quiet">The tick: from {probability(threshold)} on it is sure.</p>' if tick and threshold else ""
    return f'<div class="bars">{rows}</div>{note}'


def said(prediction: Prediction) -> str:
    """The label that is explained, as HTML."""
    assert prediction.confidence is not None
    return f"The answer is <b>{html.escape(prediction.value)}</b> ({probability(prediction.confidence)})."
