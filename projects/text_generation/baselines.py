"""What answers without fine-tuning: the nearest training row's answer, a model of bytes, and the model as it came."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.data.features import by_row, in_memory
from common.data.splits import Data
from common.evaluation.baselines import DESCRIPTION, fit_each, training_rows
from common.inference import run
from common.models.causal import Causal, answers_with
from common.models.ngram import ByteModel
from common.models.weights import load_model
from common.system.files import read_json, write_json
from common.system.hardware import choose_precision, default_device
from common.task.contract import Baseline, Prediction, Task

from .features import features_of

# Training rows in the prompt of the model as it came.
EXAMPLES = 4
# Bytes that the model of bytes looks at together.
ORDER = 5


class Nearest(Baseline):
    """The answer of the training row whose prompt shares most with the one that is asked (TF-IDF)."""

    title, short = "the answer of the most similar training prompt (TF-IDF)", "nearest"

    def __init__(self, prompts: list[str], answers: list[str]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.prompts, self.answers = prompts, answers
        self.vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True)
        self.matrix = self.vectorizer.fit_transform(prompts)

    def nearest(self, prompts: list[str], count: int) -> list[list[int]]:
        """The `count` training rows that are nearest to each prompt, the nearest one first."""
        found = []
        for row in self.vectorizer.transform(prompts):
            scores = (self.matrix @ row.T).toarray().ravel()
            found.append(np.argsort(-scores, kind="stable")[:count].tolist())
        return found

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        prompts = [one if isinstance(one, str) else one[-1]["content"] for one in inputs]
        return [Prediction(self.answers[places[0]]) for places in self.nearest(prompts, 1)]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "nearest", "prompts": self.prompts, "answers": self.answers})


class Bytes(Baseline):
    """How likely the training texts' bytes make those of another text; writes nothing."""

    title, short = f"a {ORDER}-gram of the training texts' bytes", "bytes"

    def __init__(self, texts: list[str]):
        self.texts, self.model = texts, ByteModel(texts, ORDER)

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        sizes = [len(text.encode("utf-8", "surrogatepass")) for text in inputs]
        details = [
            {"nats": self.model.nats(text), "foretold": size, "bytes": size}
            for text, size in zip(inputs, sizes, strict=True)
        ]
        return [Prediction("", details={"stopped": True, "tokens": 0, **one}) for one in details]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "bytes", "texts": self.texts})


class AsItCame(Baseline):
    """The pretrained model, asked as the fine-tuned one is; with examples, after the nearest training rows."""

    def __init__(self, task: Any, model: Causal, nearest: Nearest | None = None):
        self.task, self.nearest = task, nearest
        self.device = default_device()
        self.precision = choose_precision("auto", self.device.type).name
        self.model = model.to(self.device).eval()
        with_examples = f", after the {EXAMPLES} most similar training rows in its prompt" if nearest else ""
        self.title = f"the same model, not fine-tuned{with_examples}"
        self.short = f"{EXAMPLES} examples" if nearest else "as it came"

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        rows = self.task.rows(inputs)
        chats = [
            [*before, *chat] for before, chat in zip(self._examples(rows["prompt"]), rows["messages"], strict=True)
        ]
        limit = self.task.tokenizer.model_max_length - self.task.config.max_new_tokens
        features = in_memory(
            self.task.encode
            if self.task.of_texts
            else lambda asked: features_of(self.task.encoded_chats(chats, limit)),
            rows,
        )
        name = self.short if len(inputs) > 1 else ""
        found = run(self.task, self.model, features, self.device, precision=self.precision, description=name)
        answers: list[Prediction] = self.task.finish(rows, by_row(found.values, features, len(inputs)))
        return answers

    def _examples(self, prompts: list[str]) -> list[list[dict[str, str]]]:
        """The turns that stand before each prompt, the nearest training row last."""
        if self.nearest is None:
            return [[] for _ in prompts]
        return [
            [
                {"role": role, "content": texts[place]}
                for place in reversed(places)
                for role, texts in (("user", self.nearest.prompts), ("assistant", self.nearest.answers))
            ]
            for places in self.nearest.nearest(prompts, EXAMPLES)
        ]

    def save(self, folder: Path) -> None:
        examples = {"prompts": self.nearest.prompts, "answers": self.nearest.answers} if self.nearest else {}
        write_json(folder / DESCRIPTION, {"kind": "as_it_came", **examples})
        self.model.model.save_pretrained(folder / "model")


def as_it_came(task: Any, source: Path) -> Causal:
    """The pretrained model, which answers by the settings of the fine-tuned one."""
    from transformers import AutoModelForCausalLM

    plain: Any = load_model(AutoModelForCausalLM, source, links=True, dtype=torch.float32)
    answers_with(plain, task.end, task.config.max_new_tokens, task.padding)
    return Causal(plain)


def fit_baselines(task: Task, data: Data, source: Path) -> dict[str, Baseline]:
    """The three; with plain texts, which nothing asks for, the model as it came and one of bytes."""
    train = training_rows(data, task.config.seed)
    model: list[Causal] = []

    def untuned() -> Causal:
        model[:] = model or [as_it_came(task, source)]
        return model[0]

    if task.config.text_column:
        texts = [beginning + rest for beginning, rest in zip(train["prompt"], train["reference"], strict=True)]
        return fit_each({"bytes": lambda: Bytes(texts), "as_it_came": lambda: AsItCame(task, untuned())})
    nearest = Nearest(list(train["prompt"]), list(train["reference"]))
    return fit_each(
        {
            "nearest": lambda: nearest,
            "as_it_came": lambda: AsItCame(task, untuned()),
            "four_examples": lambda: AsItCame(task, untuned(), nearest),
        }
    )


def load(task: Task, folder: Path) -> Baseline:
    """The baseline that `save` wrote."""
    from transformers import AutoModelForCausalLM

    description = read_json(folder / DESCRIPTION)
    if description["kind"] == "bytes":
        return Bytes(description["texts"])
    rows = (description["prompts"], description["answers"]) if "prompts" in description else None
    if description["kind"] == "nearest":
        return Nearest(*rows) if rows else Nearest([], [])
    model = Causal(load_model(AutoModelForCausalLM, folder / "model"))
    return AsItCame(task, model, Nearest(*rows) if rows else None)
