"""What every task says of a causal model that learns to answer chats: features, batches and answers."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import Finding, in_training
from common.models import lora
from common.models.causal import (
    IGNORED,
    Causal,
    Generated,
    answers_with,
    check_head,
    check_packing,
    next_tokens,
    packed,
    padded,
)
from common.models.chat import ChatTemplate, Encoded, Message
from common.models.tokenizer import load_chat_tokenizer
from common.models.tuned import Tuned, read_of
from common.task.contract import Batch

# Rows without anything to learn above this share mean that something is wrong with all of them.
MOST_UNLEARNED = 0.05


class ChatModel(Tuned):
    """The part of a task between rows as chats and answers as tokens.

    Attributes:
        config: has `max_length` beside what `Tuned` names.
        packs: whether texts stand behind each other in training, in place of padding.
        nouns: what messages call chats, what is asked in them, and the answers.
        listener: is told the index of an asked input with its tokens so far, and says whether it is to stop there.
    """

    language_model = Causal
    packs: bool = False
    nouns: ClassVar[tuple[str, str, str]] = ("chats", "prompts", "answers")
    listener: Callable[[int, list[int]], bool] | None = None

    # Features: a chat, and which of its tokens are learned

    def load_processor(self, source: Path) -> None:
        """Make ready to encode: the tokenizer of a model's folder, and its template."""
        self.tokenizer = load_chat_tokenizer(source)
        self.end = self.find_end()
        self.padding = self.end if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id
        self.limit = min(self.config.max_length, self.tokenizer.model_max_length)

    def find_end(self) -> int:
        """The token that ends what the model writes.  Raises UserError where there is none."""
        self.template = ChatTemplate(self.tokenizer, self.config.model)
        return self.template.turn_end

    @property
    def system_prompt(self) -> str | None:
        """What the model is told before each chat that has no system prompt of its own."""
        return self.config.system_prompt

    def encoded_chats(self, chats: Sequence[Sequence[Message]], limit: int) -> list[Encoded]:
        """Chats as the model reads them, the system prompt of the options before those that have none."""
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        whole = [[*([] if chat[0]["role"] == "system" else system), *chat] for chat in chats]
        return self.template.encode(whole, limit)

    def seen(self, feature: Mapping[str, Any]) -> list[tuple[str, bool]]:
        """An encoded chat as texts one behind the other, and whether each is learned."""
        learned = set(feature["learned"])
        marked = ((token, index in learned) for index, token in enumerate(feature["input_ids"]))
        parts = itertools.groupby(marked, key=lambda pair: pair[1])
        return [(self.tokenizer.decode([token for token, _ in tokens]), is_learned) for is_learned, tokens in parts]

    def check_features(self, features: Dataset) -> list[Finding]:
        """What had to be left out of the training rows."""
        cut, drifts = column(features, "cut"), column(features, "drifts")
        learned = np.asarray([len(of_row) for of_row in features["learned"]])
        chats, prompts, answers = self.nouns
        nothing = learned == 0
        unlearned = (
            f"{answers} that do not fit into {self.limit} tokens with their {prompts[:-1]}, so that nothing of them is "
            "learned"
        )
        long = np.flatnonzero((cut > 0) & ~nothing)
        left_out = f"{chats} of more than {self.limit} tokens, of whose {prompts} the middle is left out"
        drift = f"{prompts} whose tokens are others where an answer follows"
        return [
            *unlearned_rows(features, nothing, unlearned, "give a larger --max_length, or shorten them"),
            *in_training(features, long, left_out, f"give a larger --max_length; {answers} are whole"),
            *in_training(features, np.flatnonzero(drifts > 0), drift, "begin answers without a blank"),
        ]

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        """Chats padded on the right, with the token that follows each learned position; to answer, prompts, too."""
        if epoch is not None and self.packs:
            return dict(packed(features["input_ids"], features["learned"], self.limit, self.padding))
        ids, mask = padded(features["input_ids"], self.padding)
        targets = next_tokens(ids, features["learned"])
        batch: Batch = {"input_ids": ids, "attention_mask": mask, "targets": targets}
        if epoch is None:
            batch["rows"] = features.get("row")
            batch["prompt_ids"], batch["prompt_mask"] = padded(features["prompt"], self.padding, left=True)
            batch["answers"] = [
                sum(at >= answer for at in learned)
                for learned, answer in zip(features["learned"], features["answer"], strict=True)
            ]
        return batch

    # Model

    def check_model(self, plain: Any) -> None:
        """Raise UserError where a model does more to its logits than its head, or reads packed texts as one."""
        check_head(Causal(plain), self.config.model)
        if self.packs:
            check_packing(Causal(plain), self.config.model)

    def set_answers(self, plain: Any) -> None:
        """Write into a model of transformers how it answers: greedily, until it ends its turn."""
        answers_with(plain, self.end, self.config.max_new_tokens, self.padding)

    def before(self, folder: Path) -> nn.Module | None:
        """The model as it was before its adapters were trained; None where it was fine-tuned as a whole."""
        loaded = self.load(folder)
        assert isinstance(loaded, Causal)
        untuned = lora.without_adapters(loaded.model, folder)
        return None if untuned is None else Causal(untuned)

    # Answering

    def predict(self, model: nn.Module, batch: Batch) -> list[Generated]:
        """What the model writes; the listener is told after each token."""
        assert isinstance(model, Causal)
        listener = self.listener
        if listener is None:
            return model.write(batch["prompt_ids"], batch["prompt_mask"], **self.shortened)

        def each_step(written: list[list[int]]) -> list[bool]:
            pairs = zip(batch["rows"], written, strict=True)
            return [listener(row, model.up_to_end(ids)[0]) for row, ids in pairs]

        return model.write(batch["prompt_ids"], batch["prompt_mask"], each_step)

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Generated]]:
        """The loss, and what the model says when it is told each right token before the next one.

        That is right where the answer that it writes alone is, and costs as much as the loss.
        """
        assert isinstance(model, Causal)
        losses, said = model.told(**read_of(batch))
        counts = (batch["targets"] != IGNORED).sum(dim=1).tolist()
        found = []
        for of_row, answer in zip(said.split(counts), batch["answers"], strict=True):
            ids, stopped = model.up_to_end(of_row[len(of_row) - answer :].tolist())
            found.append(Generated(ids, stopped, 0.0, 0.0))
        return losses.sum(), found


def unlearned_rows(features: Dataset, unlearned: NDArray[np.bool_], problem: str, remedy: str) -> list[Finding]:
    """A finding on the (f,) features of which nothing is learned; an error where they are too many."""
    too_many = unlearned.mean() > MOST_UNLEARNED
    return in_training(features, np.flatnonzero(unlearned), problem, remedy, "error" if too_many else "warning")


def features_of(chats: list[Encoded]) -> dict[str, list[Any]]:
    """Encoded chats as the columns of features."""
    return {
        "input_ids": [one.ids for one in chats],
        "learned": [one.learned for one in chats],
        "answer": [one.answer for one in chats],
        "prompt": [one.prompt for one in chats],
        "cut": [one.cut for one in chats],
        "drifts": [one.drifts for one in chats],
        "length": [len(one.ids) for one in chats],
    }
