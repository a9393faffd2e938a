"""The options of this project."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from common.config import NonNegativeFloat, PositiveFloat, PositiveInt
from common.kinds.language_model_config import LanguageModelConfig
from common.system.errors import UserError


@dataclass(frozen=True)
class SummarizationConfig(LanguageModelConfig):
    """Options of summarization.

    A row is a document and a summary of it, or several. A document is a text, or a list of sentences.

    Args:
        method: `extractive` chooses sentences of the document, with an encoder such as starter:minilm-l6; `abstractive`
            writes a summary, with a chat model such as starter:smollm2-135m-instruct, or with T5, BART and their like.
        document_column: column with the documents.
        summary_column: column with the summaries: a text, or a list of several for the same document.
        labels_column: column with a list of 0 and 1 that says which sentences of a document are its summary; without
            one they are found by ROUGE.
        sentences: extractive: sentences of a summary.
        label_temperature: extractive: a sentence is learned in proportion to exp(ROUGE-1 / label_temperature); 0 learns
            the best sentences alone, and those of --labels_column.
        instruction: abstractive: what a chat model is told before each document; with T5 what stands before it, such as
            `summarize: `.
        num_beams: abstractive: summaries that are followed at the same time; 1 writes the likeliest word each time.
        max_length: tokens that are read at once. Of longer documents an encoder reads overlapping windows; for a model
            that writes, the middle is left out and counted.
    """

    method: Literal["extractive", "abstractive"] = "extractive"
    document_column: str = "document"
    summary_column: str = "summary"
    labels_column: str | None = None
    sentences: PositiveInt = 1
    label_temperature: NonNegativeFloat = 0.1
    instruction: str | None = None
    num_beams: PositiveInt = 1
    max_length: Annotated[int, Ge(32)] = 512
    max_new_tokens: PositiveInt = 96
    tuning: Literal["lora", "full"] = "lora"
    head_learning_rate: PositiveFloat | None = None

    def check(self) -> None:
        if self.method == "abstractive":
            super().check()
            if self.labels_column:
                raise UserError("--labels_column says which sentences are a summary: give --method extractive, too.")
        elif self.label_temperature and self.labels_column:
            raise UserError(
                "--labels_column is learned as it is with --label_temperature 0; with another one ROUGE says what is "
                "learned: give one of them."
            )
