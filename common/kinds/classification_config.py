"""The options that every classification shares."""

from dataclasses import dataclass

from common.config import Config, From0Below1


@dataclass(frozen=True)
class ClassificationConfig(Config):
    """Options of every classification.

    Args:
        label_column: column with the labels.
        label_smoothing: share of the target spread over the other labels while training.
        start_head: start the head from a regression on frozen features; false for random numbers.
    """

    label_column: str = "label"
    label_smoothing: From0Below1 = 0.05
    start_head: bool = True
