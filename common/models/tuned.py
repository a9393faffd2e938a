"""What a task says of any language model that it fine-tunes: how it is loaded, what its loss is, how it is saved."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from datasets import Dataset
from torch import Tensor, nn

from common.models import lora
from common.models.causal import IGNORED, LanguageModel
from common.models.weights import auto, load_model, model_of
from common.task.contract import Batch

# Tokens of an answer in a rehearsal.
REHEARSED = 3


class Tuned(ABC):
    """The part of a task that is the same for all language models; a task has it as a base, or as its recipe.

    Attributes:
        language_model: gives the losses, and writes.
        config: the options of `common.kinds.language_model_config`.
        rehearsal: as the task's.
        tokenizer: the model's.
    """

    language_model: ClassVar[type[LanguageModel]]
    config: Any
    rehearsal: bool
    tokenizer: Any

    @abstractmethod
    def set_answers(self, plain: Any) -> None:
        """Write into a model of transformers how it answers."""

    def check_model(self, plain: Any) -> None:
        """Raise UserError where a model of transformers is not fit for this."""
        return

    def prepare(self, source: Path, train: Dataset | None) -> nn.Module:
        """The pretrained model of a folder, with adapters if the options want some."""
        plain = model_of(auto(self.language_model.auto_class), source, self.config.pretrained)
        self.check_model(plain)
        self.set_answers(plain)
        return self.language_model(lora.as_options_say(plain, self.config, source, self.language_model.kind))

    def as_it_came(self, source: Path) -> LanguageModel:
        """The pretrained model, which answers by the settings of the fine-tuned one."""
        plain = model_of(auto(self.language_model.auto_class), source)
        self.set_answers(plain)
        return self.language_model(plain)

    def load(self, folder: Path) -> nn.Module:
        """The fine-tuned model that `save` wrote."""
        return self.language_model(load_model(auto(self.language_model.auto_class), folder))

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write one model of weights and adapters, the adapters alone beside it, and the tokenizer."""
        lora.save_both(model.model, folder)
        self.tokenizer.save_pretrained(folder)

    def parameters(self, model: nn.Module) -> int:
        """How many parameters the model has beside its adapters."""
        return lora.size_without_adapters(model)

    def items(self, batch: Batch) -> int:
        """The tokens that are learned."""
        return int((batch["targets"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Summed over the tokens that are learned."""
        losses: Tensor = model(**read_of(batch)).sum()
        return losses

    @property
    def shortened(self) -> dict[str, Any]:
        """What `generate` is told where answers count for nothing, and may be short."""
        return {"max_new_tokens": REHEARSED} if self.rehearsal else {}


def read_of(batch: Batch) -> dict[str, Tensor]:
    """What the model's forward pass takes of a batch."""
    names = ("input_ids", "attention_mask", "position_ids", "targets")
    return {name: batch[name] for name in names if name in batch}
