"""The options of this project."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from common.config import PositiveFloat, PositiveInt
from common.kinds.language_model_config import LanguageModelConfig
from common.system.errors import UserError


@dataclass(frozen=True)
class TextGenerationConfig(LanguageModelConfig):
    """Options of text generation.

    A row is a prompt and the answer to it, a chat that ends with one, or a plain text.

    Args:
        prompt_column: column with what the model is asked.
        completion_column: column with the answer that it learns.
        messages_column: column with chats, lists of {"role": ..., "content": ...}, in place of those two; every answer
            in a chat is learned, and the last one is measured.
        text_column: column with plain texts, in place of all those: the whole of each is learned, in windows of
            max_length tokens, and the measure is how well the model foretells others.
        system_prompt: what the model is told before each chat; without it, what its chat template says on its own.
        answer_format: how an answer is compared with the right one: as a `text`, as a `json` object in which the order
            of the fields does not count, or as a `command` in which the names of {{placeholders}} do not.
        answer_field: field of JSON answers that gets a score of its own.
        max_length: tokens of a chat; of longer ones the middle of the prompt is left out, never the answer's end.
        pack: puts the chats of a batch behind each other in rows of max_length tokens, in place of padding; none sees
            another, and what is learned stays the same.
    """

    model: str = "starter:smollm2-135m-instruct"
    prompt_column: str = "prompt"
    completion_column: str = "completion"
    messages_column: str | None = None
    text_column: str | None = None
    system_prompt: str | None = None
    answer_format: Literal["text", "json", "command"] = "text"
    answer_field: str | None = None
    max_length: Annotated[int, Ge(32)] = 512
    pack: bool = False
    head_learning_rate: PositiveFloat | None = None  # nothing is new to the model
    learning_rate: PositiveFloat = 5e-4
    epochs: PositiveInt = 1

    def check(self) -> None:
        super().check()
        if self.answer_field and self.answer_format != "json":
            raise UserError("--answer_field is a field of JSON answers: give --answer_format json, too.")
        if self.text_column and (self.messages_column or self.system_prompt or self.answer_format != "text"):
            raise UserError(
                "--text_column is of plain texts, which are no chats: leave --messages_column, --system_prompt and "
                "--answer_format out."
            )
