"""Which weights are trained when: first the head alone, then everything, as the options say."""

from dataclasses import dataclass

from common.config import Config


@dataclass(frozen=True)
class Stage:
    """The steps after `first` up to `last`, in which the same weights are trained: with `frozen` the head alone."""

    first: int
    last: int
    frozen: bool


def stages(config: Config, total_steps: int, steps_per_epoch: int) -> list[Stage]:
    """The stages of a training, in their order (Howard & Ruder 2018, section 3.3)."""
    frozen = total_steps
    if config.freeze != "backbone":
        frozen = min(frozen, steps_per_epoch * config.freeze_epochs)
    every = [Stage(0, frozen, frozen=True), Stage(frozen, total_steps, frozen=False)]
    return [stage for stage in every if stage.first < stage.last]
