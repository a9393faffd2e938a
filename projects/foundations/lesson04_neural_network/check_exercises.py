"""What `kit learn 04 --check` runs: red until the exercises are solved."""

from itertools import pairwise

import numpy as np
import pytest

from projects.foundations.lesson04_neural_network import engine, exercises
from projects.foundations.lesson04_neural_network.engine import Tensor
from projects.foundations.lesson04_neural_network.lesson import logits_by_hand, start


@pytest.mark.parametrize("widths", [[3, 1], [64, 32, 10], [5, 4, 3, 2]])
def test_parameter_count(widths: list[int]) -> None:
    import torch

    layers = [torch.nn.Linear(inputs, outputs) for inputs, outputs in pairwise(widths)]
    assert exercises.parameter_count(widths) == sum(
        parameter.numel() for layer in layers for parameter in layer.parameters()
    )


def test_exclusive_or() -> None:
    parameters = exercises.exclusive_or()
    assert [np.shape(parameter) for parameter in parameters] == [(2, 2), (2,), (2, 2), (2,)]
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    logits = logits_by_hand(parameters, corners)
    assert np.all(np.abs(logits[:, 1] - logits[:, 0]) > 0.01), "no ties"
    assert logits.argmax(axis=1).tolist() == [0, 1, 1, 0]


def test_tanh() -> None:
    import torch

    value = np.random.default_rng(0).normal(size=(4, 3))
    ours, theirs = Tensor(value), torch.tensor(value, requires_grad=True)
    bent = exercises.tanh(ours)
    assert bent.value == pytest.approx(np.tanh(value))
    (bent * bent + bent * ours).sum().backward()
    (torch.tanh(theirs) ** 2 + torch.tanh(theirs) * theirs).sum().backward()
    assert theirs.grad is not None and ours.gradient == pytest.approx(theirs.grad.numpy(), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_backpropagate_relu(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(seed)
    x, labels = generator.normal(size=(6, 5)), generator.integers(0, 3, size=6)
    # Biases that are not 0 cannot be forgotten.
    parameters = [part + generator.normal(size=part.shape) for part in start(5, 4, 3, seed)]
    w1, b1, w2, b2 = tensors = [Tensor(parameter) for parameter in parameters]
    ((Tensor(x) @ w1 + b1).relu() @ w2 + b2).cross_entropy(labels).backward()
    monkeypatch.delattr(engine.Tensor, "backward")  # the chain rule is for you to apply
    for by_hand, tensor in zip(exercises.backpropagate_relu(parameters, x, labels), tensors, strict=True):
        assert by_hand == pytest.approx(tensor.gradient, abs=1e-12)
