"""Text generation: a chat model that learns to answer as the training rows do."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from common.data.splits import Data
from common.metrics import calibration, text
from common.models.causal import Causal, Generated, in_words
from common.models.chat_model import ChatModel, features_of
from common.task.contract import Baseline, Metric, Outputs, Prediction, Rows, Task

from .config import TextGenerationConfig
from .rows import asked_by
from .texts import USAGE as TEXT_USAGE
from .texts import PlainTexts

# Validation rows that are answered to find out from which confidence on the model is sure: writing takes its time.
SETTLED_ROWS = 200

USAGE = """\
from transformers import pipeline

answer = pipeline("text-generation", model="model")
chat = [{system}{{"role": "user", "content": {prompt}}}]
print(answer(chat)[0]["generated_text"][-1]["content"])
"""


class TextGeneration(ChatModel, Task):
    """A causal language model, fine-tuned with LoRA or as a whole, that writes an answer to a chat."""

    title = "Text generation"
    question = "What is the right answer?"
    for_whom = "For whoever has questions with their answers, and wants a small model that answers in the same way."
    intended_use = (
        "Writing answers like those of the training rows, which a person or a program checks before anything is done "
        "with them: the model may write anything, also what is wrong."
    )
    pipeline_tag = "text-generation"
    example = '"what you want"'
    config_class = TextGenerationConfig
    input_columns = ("prompt",)

    def __new__(cls, config: Any) -> "TextGeneration":
        return super().__new__(TextContinuation if config.text_column else cls)

    def __init__(self, config: Any):
        super().__init__(config)
        self.packs = config.pack
        self.metrics = metrics_of(config)

    # Rows

    def data(self) -> Data:
        from .rows import load_rows

        return load_rows(self.config)

    def rows(self, inputs: list[Any]) -> Rows:
        """Texts, or chats that end with a question."""
        asked = [asked_by(one) for one in inputs]
        return {name: [one[name] for one in asked] for name in ("prompt", "messages")}

    def raw_input(self, row: Mapping[str, Any]) -> Any:
        chat = row["messages"]
        return row["prompt"] if len(chat) == 1 and chat[0]["role"] == "user" else chat

    def shown_input(self, row: Mapping[str, Any]) -> Any:
        return row["prompt"]

    # Features: a chat, and which of its tokens are learned

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        chats = rows["messages"]
        if "reference" not in rows:
            return features_of(self.encoded_chats(chats, self.limit))
        answered = [
            [*chat, {"role": "assistant", "content": answer}]
            for chat, answer in zip(chats, rows["reference"], strict=True)
        ]
        return features_of(self.encoded_chats(answered, self.limit))

    # Answering

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        return [self._answer(of_row[0]) for of_row in outputs]

    def _answer(self, written: Generated) -> Prediction:
        said, details = in_words(written, self.tokenizer)
        confidence = round(written.confidence, 6)
        return Prediction(said, confidence, confidence >= (self.settings.get("threshold") or 0.0), details)

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """The confidence from which on an answer is sure; None with few validation rows."""
        if len(validation) < calibration.FEWEST_ROWS:
            return {"threshold": None}
        rows = validation.select(range(min(SETTLED_ROWS, len(validation))))
        written = self.finish(rows, ask(rows))
        right = self.statistics(written, list(rows["reference"]))[:, 0] > 0
        confidence = np.asarray([one.confidence for one in written], dtype=np.float64)
        return {"threshold": round(calibration.answer_threshold(confidence, right), 6)}

    # Evidence

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> NDArray[np.float64]:
        stopped = [bool(one.details.get("stopped", True)) for one in predictions]
        answers, config = [one.value for one in predictions], self.config
        return text.statistics(answers, references, stopped, config.answer_format, config.answer_field)

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = text.score(sums)
        return {metric.name: found[metric.name] for metric in self.metrics}

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """The same text, as likely; or another one where two tokens were as likely as the tolerance allows."""
        if old.value != new.value:
            return bool(min(one.details.get("gap", np.inf) for one in (old, new)) <= tolerance)
        return abs((old.confidence or 0.0) - (new.confidence or 0.0)) <= tolerance

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        from .evidence import sections_of

        return sections_of(self, records)

    def examine(
        self, model: nn.Module, data: Data, answers: Mapping[str, list[Prediction]], baselines: Mapping[str, Baseline]
    ) -> dict[str, Any]:
        from .evidence import examined

        untuned: Any = baselines["as_it_came"]
        assert isinstance(model, Causal)
        return examined(self, model, untuned.model, data, answers)

    def is_right(self, answer: str, reference: str) -> bool:
        """Whether an answer counts as the right one."""
        return not self.is_changed(reference, answer)

    def is_changed(self, old: Any, new: Any) -> bool:
        one, two = (text.normalised(value, self.config.answer_format) for value in (old, new))
        return one != two

    def about(self) -> str:
        end = "Answers are the likeliest next token, again and again, until the model ends its turn"
        return f"{end}, or after {self.config.max_new_tokens} tokens."

    def describe(self) -> dict[str, Any]:
        system = self.config.system_prompt
        first = f'{{"role": "system", "content": {system!r}}}, ' if system else ""
        return {**super().describe(), "usage": USAGE.format(system=first, prompt=self.example)}

    def slices(self, rows: Dataset, train: Dataset) -> Mapping[str, Sequence[str | None]]:
        from .evidence import by_kind

        return by_kind(rows, train)

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        from .evidence import perturbed

        return perturbed(rows)

    # Baselines

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from .baselines import fit_baselines

        return fit_baselines(self, data, source)

    def load_baseline(self, folder: Path) -> Baseline:
        from .baselines import load

        return load(self, folder)


class TextContinuation(PlainTexts, TextGeneration):
    """The same model, which learns plain texts and goes on from what it is given."""

    question = "How does the text go on?"
    for_whom = "For whoever has texts of their own, and wants a small model that knows how they go on."

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "usage": TEXT_USAGE.format(prompt=self.example)}


def metrics_of(config: TextGenerationConfig) -> tuple[Metric, ...]:
    """What is measured of answers of a format."""
    if config.text_column:
        return (Metric("bits_per_byte", "number", higher_is_better=False, title="bits a byte"),)
    exact, stopped = Metric("exact_match", exact=True), Metric("stopped", exact=True, title="stopped by itself")
    if config.answer_format != "json":
        return exact, Metric("first_word", exact=True, title="first word right"), stopped
    field = config.answer_field
    of_field = (Metric("field", exact=True, title=f"{field} right"),) if field else ()
    return (exact, *of_field, Metric("valid_json", exact=True, title="valid JSON"), stopped)


TASK = TextGeneration
