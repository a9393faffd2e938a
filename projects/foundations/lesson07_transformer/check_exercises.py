"""What `kit learn 07 --check` runs: red until the exercises are solved."""

import math

import pytest
import torch
from torch import Tensor

from projects.foundations.lesson07_transformer import exercises
from projects.foundations.lesson07_transformer.lesson import Architecture, Transformer


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("width", "hidden", "layers", "tokens"), [(8, 16, 1, 5), (12, 20, 3, 7), (64, 256, 2, 60)])
def test_count_parameters(width: int, hidden: int, layers: int, tokens: int) -> None:
    model = Transformer(Architecture(width=width, hidden=hidden, layers=layers), tokens)
    assert exercises.count_parameters(width, hidden, layers, tokens) == sum(
        parameter.numel() for parameter in model.parameters()
    )


def test_sentence_vectors() -> None:
    outputs, mask = normal(3, 5, 4), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    vectors = exercises.sentence_vectors(outputs, mask)
    assert vectors.shape == (3, 4)
    for row, length in enumerate((5, 3, 1)):
        mean = outputs[row, :length].mean(dim=0)
        assert torch.allclose(vectors[row], mean / mean.norm(), atol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_rms_norm(scale: float) -> None:
    x, weight = scale * normal(2, 3, 8), normal(8, seed=1)
    ours = exercises.rms_norm(x, weight, 1e-6)
    assert torch.allclose(ours, torch.nn.functional.rms_norm(x, (8,), weight, 1e-6), atol=1e-10)


REFERENCE = ["the", "cat", "is", "on", "the", "mat"]


@pytest.mark.parametrize(
    ("candidate", "longest", "expected"),
    [
        ("the cat is on the mat", 4, 1.0),
        ("the the the the the the the", 1, 2 / 7),
        ("the cat sat on the mat", 1, 5 / 6),
        ("the cat sat on the mat", 2, math.sqrt(5 / 6 * 3 / 5)),
        ("the cat sat on the mat", 3, (5 / 6 * 3 / 5 * 1 / 4) ** (1 / 3)),
        ("the cat sat on the mat", 4, 0.0),
        ("the cat", 2, math.exp(1 - 6 / 2)),
        ("the cat", 3, 0.0),
        ("the cat is on the mat today", 2, math.sqrt(6 / 7 * 5 / 6)),
    ],
)
def test_bleu(candidate: str, longest: int, expected: float) -> None:
    assert exercises.bleu(candidate.split(), REFERENCE, longest) == pytest.approx(expected, abs=1e-12)
