"""An autograd engine on NumPy arrays: each tensor remembers what it comes from, and hands its gradient back to it.

Rumelhart, Hinton and Williams (1986) derived the way back for a network of layers. Here each operation brings its own
small part of the chain rule, and `backward` puts the parts together for any expression.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]  # labels, or the row numbers of a mini-batch


def sigmoid(scores: Array) -> Array:
    """Lesson 3's curve from 0 to 1, in the shape of `scores`; no exponent is above 0, so nothing overflows."""
    small = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1.0, small) / (1 + small)


def log_softmax(logits: Array) -> Array:
    """The logarithm of each class's probability, exp(logit) over the row's sum.  (rows, classes), Bridle (1990)."""
    shifted = logits - logits.max(axis=1, keepdims=True)  # the same probabilities, and exp cannot overflow
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class Tensor:
    """An array that remembers its parents, the tensors it was computed from, and how to hand its gradient back to them.

    `hand_back` takes the gradient of the loss by this value and returns the one by each parent's value.
    """

    def __init__(
        self,
        value: ArrayLike,
        parents: "tuple[Tensor, ...]" = (),
        hand_back: Callable[[Array], tuple[Array, ...]] | None = None,
    ):
        self.value: Array = np.asarray(value, dtype=np.float64)
        self.gradient: Array = np.zeros_like(self.value)
        self.parents = parents
        self.hand_back = hand_back

    def __add__(self, other: "Tensor") -> "Tensor":
        return Tensor(self.value + other.value, (self, other), lambda gradient: (gradient, gradient))

    def __mul__(self, other: "Tensor") -> "Tensor":
        return Tensor(
            self.value * other.value, (self, other), lambda gradient: (gradient * other.value, gradient * self.value)
        )

    def __matmul__(self, other: "Tensor") -> "Tensor":
        """(n, k) @ (k, m) = (n, m).  The transposes make the shapes fit: (n, m) @ (m, k), and (k, n) @ (n, m)."""
        return Tensor(
            self.value @ other.value,
            (self, other),
            lambda gradient: (gradient @ other.value.T, self.value.T @ gradient),
        )

    def sigmoid(self) -> "Tensor":
        """Each entry between 0 and 1, in the same shape."""
        value = sigmoid(self.value)
        return Tensor(value, (self,), lambda gradient: (gradient * value * (1 - value),))

    def relu(self) -> "Tensor":
        """Each entry, or 0 where it is negative: the bend of most networks today.  Nair and Hinton (2010)."""
        return Tensor(np.maximum(self.value, 0), (self,), lambda gradient: (gradient * (self.value > 0),))

    def sum(self) -> "Tensor":
        """All entries added up, (): each of them gets the whole gradient."""
        return Tensor(self.value.sum(), (self,), lambda gradient: (np.broadcast_to(gradient, self.value.shape),))

    def cross_entropy(self, labels: Numbers) -> "Tensor":
        """Logits (rows, classes) and labels (rows,) to the mean loss, ().  One operation, as its slope is so simple."""
        logs, rows = log_softmax(self.value), np.arange(len(labels))
        slope = np.exp(logs)
        slope[rows, labels] -= 1
        return Tensor(-logs[rows, labels].mean(), (self,), lambda gradient: (gradient * slope / len(labels),))

    def backward(self) -> None:
        """Fill in the gradient of this one number by every tensor that it was computed from.

        Backwards through the order, a tensor's gradient is complete before it is handed on; where a value was used
        several times, its parts are added up.  Linnainmaa (1970); Rumelhart, Hinton and Williams (1986).
        Raises ValueError where this is not a single number.
        """
        if self.value.shape != ():
            raise ValueError(
                f"only a single number has a gradient, and this has shape {self.value.shape}: take its sum() first"
            )
        order = in_order(self)
        for tensor in order:
            tensor.gradient = np.zeros_like(tensor.value)
        self.gradient = np.ones(())
        for tensor in reversed(order):
            if tensor.hand_back is not None:
                for parent, part in zip(tensor.parents, tensor.hand_back(tensor.gradient), strict=True):
                    parent.gradient = parent.gradient + sum_to_shape(part, parent.value.shape)


def in_order(last: Tensor) -> list[Tensor]:
    """All tensors that `last` was computed from, and itself: each once, after its parents (a topological order)."""
    order: list[Tensor] = []
    seen: set[Tensor] = set()
    waiting = [(last, False)]  # a list and not recursion, which Python stops after a thousand levels
    while waiting:
        tensor, parents_done = waiting.pop()
        if parents_done:
            order.append(tensor)
        elif tensor not in seen:
            seen.add(tensor)
            waiting += [(tensor, True), *((parent, False) for parent in tensor.parents)]
    return order


def sum_to_shape(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: a bias (columns,) that was added to each row of (rows, columns) gets the sum over the rows."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))  # axes that were put in front
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return gradient.sum(axis=stretched, keepdims=True)
