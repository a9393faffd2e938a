"""Exercises of lesson 7.  Fill in the functions, then run `kit learn 07 --check`."""

from torch import Tensor


def count_parameters(width: int, hidden: int, layers: int, tokens: int) -> int:
    """How many numbers this lesson's `Transformer` learns, from its sizes alone.

    It has `layers` encoder layers and as many decoder layers; each linear layer and each norm has its bias. One
    embedding serves source, target and output.
    """
    raise NotImplementedError


def sentence_vectors(outputs: Tensor, mask: Tensor) -> Tensor:
    """One vector of length 1 for each sentence: the mean of the encoder's outputs at its tokens, divided by its norm.

    outputs (batch, time, width), mask (batch, time) with 1 at the tokens and 0 at the padding -> (batch, width)
    """
    raise NotImplementedError


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Today's norm (Zhang and Sennrich 2019): x divided by its root mean square, times the weight.

    x (..., width), weight (width,). Unlike LayerNorm it subtracts no mean and adds no bias. Add epsilon to the mean
    square before the root.
    """
    raise NotImplementedError


def bleu(candidate: list[str], reference: list[str], longest: int = 4) -> float:
    """How the paper measures a translation (Papineni et al. 2002), from 0 to 1.

    Here for one sentence and one reference. For each n from 1 to `longest`, the share of the candidate's n-grams that
    the reference has, each counted at most as often as there. Take the geometric mean of these shares; a candidate
    without any n-gram of some length gets 0. Where the candidate is shorter than the reference, multiply by e to the
    power of 1 - reference length / candidate length.
    """
    raise NotImplementedError
