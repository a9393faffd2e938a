"""The options of this project."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from common.config import Config, PositiveInt


@dataclass(frozen=True)
class QuestionAnsweringConfig(Config):
    """Options of question answering.

    Rows have a question, a context and the right answers, none for a question that the context does not answer;
    a JSON file may be one of SQuAD.

    Args:
        question_column: column with the questions.
        context_column: column with the texts that they are asked about.
        answers_column: column with the right answers: a text, a list of texts, or texts with their starts as SQuAD has
            them; empty where the context does not answer the question.
        start_column: column with the first character of an answer that is a text, counted from 0; without one the
            answer is searched for in the context.
        max_length: tokens in a window, question included; longer contexts are read in windows that overlap, nothing is
            cut.
        stride: tokens of the context by which two windows overlap.
        max_answer_tokens: tokens of the longest answer that can be given.
    """

    question_column: str = "question"
    context_column: str = "context"
    answers_column: str = "answers"
    start_column: str | None = None
    max_length: Annotated[int, Ge(32)] = 384
    stride: Annotated[int, Ge(8)] = 96
    max_answer_tokens: PositiveInt = 64
