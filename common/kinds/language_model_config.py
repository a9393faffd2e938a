"""The options that everything shares that a language model writes."""

from dataclasses import dataclass
from typing import Literal

from common.config import Config, From0Below1, PositiveInt
from common.system.errors import UserError


@dataclass(frozen=True)
class LanguageModelConfig(Config):
    """Options of a language model.

    Args:
        max_new_tokens: tokens after which an answer is broken off.
        tuning: `lora` trains small matrices beside the frozen weights, `full` the weights themselves.
        lora_rank: columns of these matrices.
        lora_alpha: their product is scaled by lora_alpha / lora_rank.
        lora_dropout: share of their inputs that is left out while training.
        lora_targets: layers that have them: `all-linear`, or the ends of their names, such as `q_proj v_proj`.
        gradient_checkpointing: makes inner values anew for the gradient, which takes time and saves memory.
    """

    max_new_tokens: PositiveInt = 128
    tuning: Literal["lora", "full"] = "lora"
    lora_rank: PositiveInt = 16
    lora_alpha: PositiveInt = 32
    lora_dropout: From0Below1 = 0.0
    lora_targets: str = "all-linear"
    gradient_checkpointing: bool = False

    def check(self) -> None:
        """Raise UserError where the options of a language model cannot be together."""
        if self.tuning == "lora" and not self.pretrained:
            raise UserError(
                "--tuning lora leaves random weights as they are: give --tuning full to --pretrained false."
            )
        if self.tuning == "lora" and self.keep_start:
            raise UserError("--keep_start is for all weights: give --tuning full, or smaller --lora_alpha.")
        if self.freeze != "none" or self.freeze_epochs:
            raise UserError("--freeze and --freeze_epochs train a new head first, and a language model has none.")
