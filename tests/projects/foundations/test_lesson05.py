"""Lesson 5: every claim of its README, in numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from projects.foundations.lesson05_training_well import lesson
from projects.foundations.lesson05_training_well.lesson import Array, Gradient

START = np.array([10.0, -3.0, 0.5])


def bumpy(w: Array) -> Array:
    """A gradient whose columns differ in size and sign, and change along the walk."""
    return np.array([1.0, 30.0, 0.01]) * (w + np.sin(3 * w)) + 0.1 * w.sum()


def theirs(
    gradient: Gradient, start: Array, steps: int, optimiser: type[torch.optim.Optimizer], **settings: float
) -> Array:
    """The path (1 + steps, columns) of an optimiser of PyTorch."""
    w = torch.tensor(start, requires_grad=True)
    stepper, path = optimiser([w], **settings), [start]  # type: ignore[arg-type]
    for _ in range(steps):
        w.grad = torch.tensor(gradient(path[-1]))
        stepper.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9])
def test_momentum_is_pytorchs_at_every_step(kept: float) -> None:
    path = lesson.momentum(bumpy, START, 0.005, kept, 200)
    assert path.shape == (201, 3)
    assert path == pytest.approx(theirs(bumpy, START, 200, torch.optim.SGD, lr=0.005, momentum=kept), abs=1e-10, rel=0)


@pytest.mark.parametrize("strength", [0.0, 0.1, 2.0])
def test_adam_and_adamw_are_pytorchs_at_every_step(strength: float) -> None:
    with_penalty, with_decay = (
        lesson.adam(bumpy, START, 0.05, 300, penalty=strength),
        lesson.adam(bumpy, START, 0.05, 300, decay=strength),
    )
    assert with_decay.shape == (301, 3)
    assert with_penalty == pytest.approx(
        theirs(bumpy, START, 300, torch.optim.Adam, lr=0.05, weight_decay=strength), abs=1e-10, rel=0
    )
    assert with_decay == pytest.approx(
        theirs(bumpy, START, 300, torch.optim.AdamW, lr=0.05, weight_decay=strength), abs=1e-10, rel=0
    )
    assert np.allclose(with_penalty, with_decay) == (strength == 0), "penalty and decay are two things"


def test_adamw_is_pytorchs_in_float32_to_six_digits() -> None:
    w = torch.tensor(START, dtype=torch.float32, requires_grad=True)
    optimiser = torch.optim.AdamW([w], lr=0.001, weight_decay=0.1)
    for ours in lesson.adam(lambda w: w, START / 10, 0.0001, 50, decay=1.0)[1:]:
        w.grad = w.detach().clone()
        optimiser.step()
        assert ours == pytest.approx(w.detach().numpy() / 10, abs=1e-6, rel=0)


def test_slopes_that_agree_add_up_and_those_that_change_sign_cancel() -> None:
    agreeing = lesson.momentum(lambda w: np.ones(1), np.zeros(1), 0.1, 0.9, 300)
    assert agreeing[-2] - agreeing[-1] == pytest.approx([0.1 / (1 - 0.9)])
    signs = iter([1.0, -1.0] * 150)
    changing = lesson.momentum(lambda w: np.array([next(signs)]), np.zeros(1), 0.1, 0.9, 300)
    assert np.abs(changing[-2] - changing[-1]) == pytest.approx([0.1 / (1 + 0.9)])


@given(st.floats(1e-2, 1e4))
def test_adams_path_does_not_depend_on_the_scale_of_the_loss(scale: float) -> None:
    path = lesson.adam(lambda w: scale * bumpy(w), START, 0.05, 20)
    assert path == pytest.approx(lesson.adam(bumpy, START, 0.05, 20), abs=1e-3)
    assert np.abs(path[1] - START) == pytest.approx(np.full(3, 0.05), rel=1e-3), (
        "and its first step has the same length in each column"
    )


def test_the_penalty_spares_steep_weights_and_the_decay_spares_none() -> None:
    """Slopes that change sign pull a weight nowhere: what is left is the shrinking."""

    def walk(penalty: float, decay: float) -> Array:
        signs = iter([1.0, -1.0] * 200)
        return lesson.adam(
            lambda w: next(signs) * np.array([0.01, 100.0]), np.ones(2), 0.01, 400, penalty=penalty, decay=decay
        )[-1]

    flat, steep = walk(0.1, 0.0)
    assert flat < 0.3 and steep > 0.9
    assert walk(0.0, 0.1) - walk(0.0, 0.0) == pytest.approx(np.full(2, (1 - 0.01 * 0.1) ** 400 - 1), abs=0.01)


def test_in_plain_gradient_descent_penalty_and_decay_are_the_same() -> None:
    with_penalty = lesson.momentum(lambda w: bumpy(w) + 0.3 * w, START, 0.005, 0.0, 50)
    path = START
    for _ in range(50):
        path = (1 - 0.005 * 0.3) * path - 0.005 * bumpy(path)
    assert path == pytest.approx(with_penalty[-1])


def test_the_ravine_has_its_curvatures_at_every_angle() -> None:
    for angle in (0.0, 0.5, np.pi / 4):
        hessian = np.column_stack([lesson.ravine(100.0, angle)(axis) for axis in np.eye(2)])
        assert np.linalg.eigvalsh(hessian) == pytest.approx([1, 100])
    assert lesson.ravine(100.0, 0.0)(np.ones(2)) == pytest.approx([1, 100])
    assert lesson.ravine(100.0, np.pi / 2)(np.ones(2)) == pytest.approx([100, 1])


def test_the_step_of_arrival() -> None:
    assert lesson.arrival(np.array([[1.0], [0.001], [0.5], [0.001], [0.002]])) == 3, "it has to stay"
    assert lesson.arrival(np.array([[1.0], [0.5]])) == 2
    assert lesson.arrival(np.array([[0.0], [0.0]])) == 0


def test_what_the_readme_says_of_ravines() -> None:
    steps = {
        (steepest, turn): {n: lesson.arrival(p) for n, p in lesson.walks(steepest, turn).items()}
        for steepest in (100.0, 1000.0)
        for turn in (0, np.pi / 4)
    }
    narrow, wide = steps[1000.0, 0], steps[100.0, 0]
    assert narrow["gradient descent"] / wide["gradient descent"] == pytest.approx(10, rel=0.1), (
        "it grows with the ratio"
    )
    assert narrow["momentum"] / wide["momentum"] == pytest.approx(10**0.5, rel=0.2), "with its root"
    assert narrow["Adam"] == pytest.approx(wide["Adam"], abs=2), "not at all along the axes"
    assert steps[1000.0, np.pi / 4]["Adam"] > 2 * narrow["Adam"] and steps[1000.0, np.pi / 4]["Adam"] < 6000
    for name in ("gradient descent", "momentum"):
        assert steps[1000.0, np.pi / 4][name] == pytest.approx(narrow[name], abs=1)


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 256), (300, 100), (512, 512)])
def test_the_spreads_are_those_of_torch_nn_init(inputs: int, outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.empty(outputs, inputs)
    torch.nn.init.xavier_normal_(weights, generator=generator)
    assert lesson.glorot_spread(inputs, outputs) == pytest.approx(weights.std().item(), rel=0.03)
    torch.nn.init.xavier_uniform_(
        weights, generator=generator
    )  # its bound is the root of 3 standard deviations, exactly
    assert lesson.glorot_spread(inputs, outputs) == pytest.approx(weights.abs().max().item() / 3**0.5, rel=0.001)
    torch.nn.init.kaiming_uniform_(weights, nonlinearity="relu", generator=generator)
    assert lesson.he_spread(inputs) == pytest.approx(weights.abs().max().item() / 3**0.5, rel=0.001)


def test_relu_is_pytorchs() -> None:
    scores = np.linspace(-2, 2, 9)
    assert lesson.relu(scores) == pytest.approx(torch.relu(torch.tensor(scores)).numpy())


@pytest.mark.parametrize("spread", [0.02, 0.06, lesson.he_spread(256), 0.2])
def test_a_layer_of_relu_multiplies_the_size_by_what_the_readme_says(spread: float) -> None:
    sizes = np.mean([lesson.sizes(spread, lesson.relu, seed=seed) for seed in range(4)], axis=0)
    factor = spread * (256 / 2) ** 0.5
    assert sizes.shape == (11,) and sizes[0] == 1
    assert sizes[-1] ** 0.1 == pytest.approx(factor, rel=0.05)


def test_tanh_fades_saturates_or_keeps_its_size() -> None:
    small, large, glorot = (lesson.sizes(spread, np.tanh)[-1] for spread in (0.02, 0.2, lesson.glorot_spread(256, 256)))
    assert small < 1e-4 and 0.1 < glorot < 0.5 and 0.8 < large < 1


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.8])
def test_dropout_keeps_the_expectation_and_is_pytorchs(rate: float) -> None:
    values = np.full((1000, 200), 3.0)
    ours = lesson.dropout(values, rate, np.random.default_rng(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        library = torch.nn.Dropout(rate)(torch.tensor(values)).numpy()
    for dropped in (ours, library):
        assert dropped.shape == values.shape
        assert set(np.unique(dropped)) <= {0.0, 3 / (1 - rate)}, "0, or scaled up"
        assert (dropped == 0).mean() == pytest.approx(rate, abs=0.01)
        assert dropped.mean() == pytest.approx(3, abs=0.05)


def test_dropout_is_off_when_predicting_and_new_each_time_when_training() -> None:
    values, generator = np.random.default_rng(1).normal(size=(5, 7)), np.random.default_rng(0)
    assert np.array_equal(lesson.dropout(values, 0.5, generator, training=False), values)
    assert not np.array_equal(lesson.dropout(values, 0.5, generator), lesson.dropout(values, 0.5, generator))


def test_early_stopping_waits_as_long_as_its_patience() -> None:
    losses = np.array([5.0, 3.0, 4.0, 4.0, 2.0, 2.5, 2.6, 2.7, 1.0])
    assert [lesson.early_stop(losses, patience) for patience in (1, 2, 3, 4)] == [1, 1, 4, 8]
    assert lesson.early_stop(np.array([3.0, 2.0, 1.0]), 1) == 2, "it ends where the losses do"


def test_the_digits_are_what_the_readme_says() -> None:
    from sklearn.datasets import load_digits

    (images, labels), *others = lesson.digits()
    assert [len(images), *(len(part) for part, _ in others)] == [200, 600, 997]
    assert images.shape == (200, 64) and images.min() >= 0 and images.max() == 1
    true = {tuple(image): label for image, label in zip(load_digits().data / 16, load_digits().target, strict=True)}
    assert (
        np.mean(
            [true[tuple(image)] != label for image, label in zip(images.double().numpy(), labels.numpy(), strict=True)]
        )
        == 0.2
    )
    for part, said in others:
        assert all(
            true[tuple(image)] == label for image, label in zip(part.double().numpy(), said.numpy(), strict=True)
        ), "only labels to train on are spoilt"
    everything = np.concatenate([images, *(part for part, _ in others)])
    assert len(np.unique(everything, axis=0)) == len(np.unique(load_digits().data, axis=0)), "no row is in two parts"


def test_the_network_has_hes_weights_and_more_of_them_than_rows() -> None:
    model = lesson.network()
    assert model[0].weight.std().item() == pytest.approx(lesson.he_spread(64), rel=0.05)
    assert sum(weights.numel() for weights in model.parameters()) > 40 * 200
    assert model(torch.zeros(3, 64)).shape == (3, 10)


def test_it_overfits_and_each_remedy_helps() -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    runs = {name: lesson.train(rate, decay) for name, (rate, decay) in lesson.REMEDIES.items()}
    assert torch.equal(state, torch.random.get_rng_state()) and threads == torch.get_num_threads(), "it leaves no trace"
    nothing = runs.pop("nothing")
    assert nothing.shape == (100, 3)
    stop = lesson.early_stop(nothing[:, 1], lesson.PATIENCE)
    assert nothing[-1, 0] < 0.02 and nothing[-1, 1] > 1.4 * nothing[stop, 1], "learnt by heart"
    assert nothing[stop, 2] > nothing[-1, 2] + 0.04, "early stopping, on rows that it was not chosen on"
    for name, run in runs.items():
        assert run[-1, 1] < 0.75 * nothing[-1, 1], name
        assert run[-1, 2] > nothing[-1, 2] + 0.02, name
        assert run[-1, 0] > nothing[-1, 0], name
