"""What answers without fine-tuning: the nearest training row's answer, and the model as it came."""

from functools import cache
from pathlib import Path
from typing import Any

from common.data.features import Columns
from common.data.splits import Data
from common.evaluation.baselines import DESCRIPTION, fit_each, training_rows
from common.evaluation.untuned import AsItCame, Nearest
from common.models.causal import Causal
from common.models.chat_model import features_of
from common.system.files import read_json, write_json
from common.task.contract import Baseline

# Training rows in the prompt of the model as it came.
EXAMPLES = 4


class WithExamples(AsItCame):
    """The model as it came, asked after the nearest training rows."""

    title = f"{AsItCame.title}, after the {EXAMPLES} most similar training rows in its prompt"
    short = f"{EXAMPLES} examples"

    def __init__(self, task: Any, model: Causal, nearest: Nearest):
        super().__init__(task, model)
        self.nearest = nearest

    def features(self, rows: Any) -> Columns:
        pairs = zip(self._examples(rows["prompt"]), rows["messages"], strict=True)
        limit = self.task.tokenizer.model_max_length - self.task.config.max_new_tokens
        chats = self.task.encoded_chats([[*before, *chat] for before, chat in pairs], limit)
        return Columns({**features_of(chats), "row": list(range(len(chats)))})

    def _examples(self, prompts: list[str]) -> list[list[dict[str, str]]]:
        """The turns that stand before each prompt, the nearest training row last."""
        return [
            [
                {"role": role, "content": texts[place]}
                for place in reversed(places)
                for role, texts in (("user", self.nearest.prompts), ("assistant", self.nearest.answers))
            ]
            for places in self.nearest.nearest(prompts, EXAMPLES)
        ]

    def save(self, folder: Path) -> None:
        super().save(folder)
        write_json(folder / DESCRIPTION, {"kind": "four_examples"})
        self.nearest.save_rows(folder)


def fit_baselines(task: Any, data: Data, source: Path) -> dict[str, Baseline]:
    """The three."""
    train = training_rows(data, task.config.seed)
    nearest = Nearest(list(train["prompt"]), list(train["reference"]))
    untuned = cache(lambda: task.as_it_came(source))  # one for both
    return fit_each(
        {
            "nearest": lambda: nearest,
            "as_it_came": lambda: AsItCame(task, untuned()),
            "four_examples": lambda: WithExamples(task, untuned(), nearest),
        }
    )


def load(task: Any, folder: Path) -> Baseline:
    """The baseline that `save` wrote."""
    kind = read_json(folder / DESCRIPTION)["kind"]
    if kind == "nearest":
        return Nearest.load(folder)
    model = task.load(folder / "model")
    return AsItCame(task, model) if kind == "as_it_came" else WithExamples(task, model, Nearest.load(folder))
