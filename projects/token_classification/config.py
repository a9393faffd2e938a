"""The options of this project."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from common.config import Config, From0Below1


@dataclass(frozen=True)
class TokenClassificationConfig(Config):
    """Options of token classification.

    Rows have a text with spans, or tokens with tags; a file that is no CSV, JSON or Parquet is read as CoNLL.

    Args:
        text_column: column with the texts, beside `spans_column`.
        spans_column: column with the entities of a text: a list of start, end (characters, end excluded) and label.
        tokens_column: column with the tokens of a text, beside `tags_column`; used where there is no `text_column`.
        tags_column: column with the tag of each token: IOB1, IOB2, BIOES, BILOU, or labels alone.
        conll_column: which column of a CoNLL file holds the tags, counted from 0; -1 for the last one.
        max_length: tokens in a window; longer texts are read in windows that overlap, nothing is cut.
        stride: tokens by which two windows of a text overlap.
        label_smoothing: share of the target spread over the other tags while training.
        start_head: start the head from a regression on frozen token vectors; false for random numbers.
        mark_capitals: put a sign before capitals, so that the model sees them where the tokenizer makes all letters
            small.
        mask_entities: share of the entities whose words the model sees as [MASK] while training, so that it learns
            from what stands around them.
    """

    text_column: str = "text"
    spans_column: str = "spans"
    tokens_column: str = "tokens"
    tags_column: str = "tags"
    conll_column: int = -1
    max_length: Annotated[int, Ge(8)] = 256
    stride: Annotated[int, Ge(8)] = 64
    label_smoothing: From0Below1 = 0.0
    start_head: bool = True
    mark_capitals: bool = True
    mask_entities: From0Below1 = 0.0
