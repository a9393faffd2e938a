"""The options of this project."""

from dataclasses import dataclass

from common.config import Config


@dataclass(frozen=True)
class WarmthConfig(Config):
    """Options of the invented project.

    Args:
        number_column: column with the numbers.
    """

    number_column: str = "degrees"
