"""Exercises of lesson 4.  Fill in the functions, then run `kit learn 04 --check`."""

from projects.foundations.lesson04_neural_network.engine import Array, Numbers, Tensor

Parameters = list[Array]  # w1 (inputs, hidden), b1 (hidden,), w2 (hidden, classes), b2 (classes,)


def parameter_count(widths: list[int]) -> int:
    """How many numbers a network of linear layers with biases learns.

    [64, 32, 10] has 64 inputs, 32 hidden units and 10 classes.
    """
    raise NotImplementedError


def exclusive_or() -> Parameters:
    """Weights and biases, found with a pencil, for 2 inputs, 2 hidden sigmoid units and 2 classes.

    The lesson's `logits_by_hand` should give class 1 the higher score where exactly one input is 1, and class 0
    elsewhere.
    """
    raise NotImplementedError


def tanh(x: Tensor) -> Tensor:
    """A new operation for the engine: the hyperbolic tangent of each entry, in the same shape, with its way back."""
    raise NotImplementedError


def backpropagate_relu(parameters: Parameters, x: Array, labels: Numbers) -> Parameters:
    """The lesson's `backpropagate` by hand, without Tensor, for hidden units max(0, score) in place of the sigmoid."""
    raise NotImplementedError
