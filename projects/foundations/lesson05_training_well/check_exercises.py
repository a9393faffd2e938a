"""What `kit learn 05 --check` runs: red until the exercises are solved."""

import numpy as np
import pytest

from projects.foundations.lesson05_training_well import exercises


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.999])
def test_running_mean(beta: float) -> None:
    assert exercises.running_mean(np.full(20, 7.0), beta) == pytest.approx(np.full(20, 7.0)), (
        "a constant is its own mean from the first step"
    )
    values = np.random.default_rng(0).normal(size=30)
    # The newest value counts 1, the one before it beta.
    shares = [beta ** np.arange(step)[::-1] for step in range(1, 31)]
    expected = [np.average(values[: len(share)], weights=share) for share in shares]
    assert exercises.running_mean(values, beta) == pytest.approx(expected)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_nesterov(kept: float) -> None:
    import torch

    hessian, start = np.array([[3.0, 1.0], [1.0, 20.0]]), np.array([10.0, 1.0])
    path = exercises.nesterov(lambda w: hessian @ w, start, 0.02, kept, 50)
    assert path.shape == (51, 2) and path[0] == pytest.approx(start)
    w = torch.tensor(start, requires_grad=True)
    optimiser = torch.optim.SGD([w], lr=0.02, momentum=kept, nesterov=True)
    for ours in path[1:]:
        w.grad = torch.tensor(hessian) @ w.detach()
        optimiser.step()
        assert ours == pytest.approx(w.detach().numpy(), abs=1e-10, rel=0)


def test_clip() -> None:
    assert exercises.clip(np.array([30.0, -40.0]), 5.0) == pytest.approx([3, -4])
    assert exercises.clip(np.array([0.3, 0.4]), 5.0) == pytest.approx([0.3, 0.4]), "a short one stays"
    assert exercises.clip(np.zeros(3), 5.0) == pytest.approx(np.zeros(3)), "no direction, and no division by 0"


def test_warm_up_and_cosine() -> None:
    sizes = exercises.warm_up_and_cosine(0.4, 4, 12)
    assert len(sizes) == 12
    assert sizes[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert sizes[[7, 11]] == pytest.approx([0.2, 0], abs=1e-12), "half of it half way down"
    assert sizes[4] == pytest.approx(0.2 * (1 + np.cos(np.pi / 8)))
    assert np.all(np.diff(sizes[3:]) < 0)
