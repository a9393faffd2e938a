"""Lesson 3: every claim of its README, in numbers."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.foundations.lesson03_logistic_regression import lesson
from projects.foundations.lesson03_logistic_regression.lesson import (
    Array,
    breast_cancer,
    fit,
    gradient,
    loss,
    scores,
    sigmoid,
)

STRENGTHS = pytest.mark.parametrize("strength", [0.0, 1.0, 30.0])


def somewhere(features: Array, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=1 + features.shape[1])


@given(st.floats(-30, 30))
def test_the_sigmoid_is_a_probability_whose_log_odds_are_the_score(score: float) -> None:
    probability = float(sigmoid(np.array(score)))
    assert probability == pytest.approx(1 / (1 + math.exp(-score)), rel=1e-12)
    assert 1 - probability == pytest.approx(float(sigmoid(np.array(-score))), abs=1e-12)
    if abs(score) < 10:
        assert math.log(probability / (1 - probability)) == pytest.approx(score, abs=1e-9)


def test_the_sigmoid_does_not_overflow_where_the_formula_does() -> None:
    far = np.array([-1000.0, 1000.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sigmoid(far).tolist() == [0.0, 1.0]
        assert loss(np.array([0.0, 1.0]), far[:, None], np.array([1.0, 0.0])) == 2000.0
    with pytest.warns(RuntimeWarning, match="overflow"):
        1 / (1 + np.exp(-far))


@STRENGTHS
def test_the_gradient_is_the_numeric_derivative(strength: float) -> None:
    features, labels, *_ = breast_cancer()
    parameters = somewhere(features)
    by_hand = gradient(parameters, features, labels, strength)
    assert np.abs(by_hand).max() > 10
    assert by_hand == pytest.approx(lesson.numeric_gradient(parameters, features, labels, strength), abs=1e-5)


@STRENGTHS
def test_torch_has_the_same_loss_and_gradient(strength: float) -> None:
    import torch

    features, labels, *_ = breast_cancer()
    parameters = somewhere(features)
    weights = torch.tensor(parameters, requires_grad=True)
    logits = weights[0] + torch.tensor(features) @ weights[1:]
    total = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(labels), reduction="sum")
    if strength == 0:
        assert loss(parameters, features, labels) == pytest.approx(total.item(), rel=1e-12)
    total = total + strength / 2 * (weights[1:] ** 2).sum()
    total.backward()
    assert loss(parameters, features, labels, strength) == pytest.approx(total.item(), rel=1e-12)
    assert weights.grad is not None
    assert gradient(parameters, features, labels, strength) == pytest.approx(weights.grad.numpy(), abs=1e-9)


def test_the_loss_is_the_negative_logarithm_of_the_likelihood() -> None:
    features, labels, *_ = breast_cancer(*lesson.COLUMNS)
    parameters = np.array([-0.5, 1.0, 0.3])
    probabilities = sigmoid(scores(parameters, features))
    likelihood = np.where(labels == 1, probabilities, 1 - probabilities)[:50].prod()
    assert loss(parameters, features[:50], labels[:50]) == pytest.approx(-math.log(likelihood), rel=1e-10)


def test_squared_error_would_forgive_a_row_that_is_surely_wrong() -> None:
    score, features, label = np.array([-10.0, 0.0]), np.array([[0.0]]), np.array([1.0])
    p = float(sigmoid(score[:1])[0])
    assert gradient(score, features, label)[0] == pytest.approx(-1, abs=1e-4)
    assert abs((p - 1) * p * (1 - p)) < 1e-4


@pytest.mark.parametrize("strength", [1.0, 10.0])
def test_scikit_learn_finds_the_same_parameters(strength: float) -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels, *_ = breast_cancer()
    parameters, _ = fit(features, labels, strength)
    assert np.linalg.norm(gradient(parameters, features, labels, strength)) < 1e-9
    library = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=10_000).fit(features, labels)
    assert parameters[0] == pytest.approx(library.intercept_[0], abs=1e-5)
    assert parameters[1:] == pytest.approx(library.coef_[0], abs=1e-5)


def test_scikit_learn_needs_far_fewer_steps() -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels, *_ = breast_cancer()
    library = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(features, labels)
    assert 100 * int(library.n_iter_[0]) < fit(features, labels, 1.0)[1]


def test_every_step_goes_down() -> None:
    features, labels, *_ = breast_cancer()
    losses = [loss(fit(features, labels, 1.0, steps)[0], features, labels, 1.0) for steps in range(30)]
    assert np.all(np.diff(losses) < 0)


def test_on_separable_data_the_norm_grows_with_the_logarithm_of_the_steps() -> None:
    norms = [
        float(np.linalg.norm(fit(lesson.LINE, lesson.LINE_LABELS, 0.0, steps)[0][1:]))
        for steps in (100, 1_000, 10_000, 100_000)
    ]
    growth = np.diff(norms)
    assert np.all(growth > 2)
    # The closest rows are 1 away from the boundary: a step adds about exp(-w), so ten times the steps add log 10.
    assert growth[-1] == pytest.approx(math.log(10), rel=0.01)
    parameters, _ = fit(lesson.LINE, lesson.LINE_LABELS, 0.0, 100)
    assert lesson.accuracy(sigmoid(scores(parameters, lesson.LINE)), lesson.LINE_LABELS) == 1
    assert loss(2 * parameters, lesson.LINE, lesson.LINE_LABELS) < loss(parameters, lesson.LINE, lesson.LINE_LABELS)


def test_the_penalty_stops_the_growth_and_draws_the_coefficients_together() -> None:
    parameters, steps = fit(lesson.LINE, lesson.LINE_LABELS, 1.0)
    assert steps < 1_000
    assert fit(lesson.LINE, lesson.LINE_LABELS, 1.0, 10_000)[0] == pytest.approx(parameters)
    features, labels, *_ = breast_cancer()
    fits = [fit(features, labels, strength, tolerance=1e-3)[0] for strength in (1.0, 10.0, 100.0)]
    assert np.all(np.diff([np.linalg.norm(parameters[1:]) for parameters in fits]) < -0.5)
    assert np.all(np.diff([loss(parameters, features, labels) for parameters in fits]) > 1)


def test_the_intercept_is_not_penalised_so_the_probabilities_have_the_mean_of_the_labels() -> None:
    features, labels, *_ = breast_cancer()
    for strength in (1.0, 1_000.0):
        parameters, _ = fit(features, labels, strength)
        assert sigmoid(scores(parameters, features)).mean() == pytest.approx(labels.mean(), abs=1e-9)


def test_without_a_penalty_the_columns_have_the_same_sums_under_labels_and_probabilities() -> None:
    features, labels, *_ = breast_cancer(*lesson.COLUMNS)
    parameters, _ = fit(features, labels)
    assert features.T @ sigmoid(scores(parameters, features)) == pytest.approx(features.T @ labels, abs=1e-8)


@pytest.mark.parametrize(
    ("mean_0", "mean_1", "spread", "share_1"), [(-1.0, 1.0, 1.0, 0.5), (0.0, 3.0, 2.0, 0.2), (2.0, -1.0, 1.5, 0.7)]
)
def test_two_gaussians_of_equal_spread_give_a_sigmoid(
    mean_0: float, mean_1: float, spread: float, share_1: float
) -> None:
    from scipy.stats import norm

    x = np.linspace(-4, 4, 33)
    one, zero = share_1 * norm.pdf(x, mean_1, spread), (1 - share_1) * norm.pdf(x, mean_0, spread)
    parameters = lesson.gaussian_parameters(mean_0, mean_1, spread, share_1)
    assert sigmoid(scores(parameters, x[:, None])) == pytest.approx(one / (one + zero), abs=1e-12)
    wider = share_1 * norm.pdf(x, mean_1, 2 * spread)
    assert np.abs(np.diff(np.log(one / zero), 2)).max() < 1e-9, "log odds are a line"
    assert np.abs(np.diff(np.log(wider / zero), 2)).min() > 1e-3, "and with unequal spreads they are not"


def test_the_fit_finds_the_gaussians_and_its_probabilities_mean_what_they_say() -> None:
    choose = np.random.default_rng(0)
    labels = (choose.random(50_000) < 0.3).astype(np.float64)
    features = choose.normal(np.where(labels == 1, 1.0, -0.5), 1.2)[:, None]
    parameters, _ = fit(features, labels, tolerance=1e-4)
    assert parameters == pytest.approx(lesson.gaussian_parameters(-0.5, 1.0, 1.2, 0.3), abs=0.05)
    groups = lesson.calibration(sigmoid(scores(parameters, features)), labels, np.linspace(0, 1, 6))
    assert sum(count for count, _, _ in groups) == 50_000 and len(groups) == 5
    for count, said, seen in groups:
        assert seen == pytest.approx(said, abs=4 * math.sqrt(said * (1 - said) / count))
    too_sure = lesson.calibration(sigmoid(3 * scores(parameters, features)), labels, np.linspace(0, 1, 6))
    assert max(abs(seen - said) for _, said, seen in too_sure) > 0.1


def test_calibration_leaves_out_empty_groups_and_puts_an_edge_above() -> None:
    groups = lesson.calibration(
        np.array([0.0, 0.2, 0.5, 1.0]), np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 0.3, 0.4, 0.5, 1])
    )
    assert groups == [(2, 0.1, 0.5), (2, 0.75, 0.5)]


def test_the_boundary_is_where_the_probability_is_one_half_and_equal_probabilities_are_parallel() -> None:
    features, labels, *_ = breast_cancer(*lesson.COLUMNS)
    parameters, _ = fit(features, labels)
    first = np.linspace(-2, 2, 9)
    line = np.column_stack([first, lesson.boundary(parameters, first)])
    assert sigmoid(scores(parameters, line)) == pytest.approx(np.full(9, 0.5), abs=1e-12)
    beside = sigmoid(scores(parameters, line + np.array([1.0, 0.0])))
    assert beside == pytest.approx(np.full(9, beside[0]), abs=1e-12) and beside[0] > 0.6


def test_accuracy_counts_the_rows_on_the_right_side() -> None:
    probabilities, labels = np.array([0.1, 0.5, 0.7, 0.9]), np.array([0.0, 1.0, 0.0, 1.0])
    assert lesson.accuracy(probabilities, labels) == 0.75
    assert lesson.accuracy(probabilities, labels, threshold=0.8) == 0.75
    assert lesson.accuracy(probabilities, labels, threshold=0.05) == 0.5


def test_it_beats_always_saying_benign_on_rows_held_out() -> None:
    features, labels, held_out, held_out_labels = breast_cancer()
    parameters, _ = fit(features, labels, 1.0, tolerance=1e-3)
    assert (
        lesson.accuracy(sigmoid(scores(parameters, held_out)), held_out_labels)
        > 0.93
        > 1 - held_out_labels.mean() + 0.2
    )


def test_too_weak_and_too_strong_a_penalty_both_cost_on_rows_held_out() -> None:
    features, labels, held_out, held_out_labels = breast_cancer()
    weak, middle, strong = (
        loss(fit(features, labels, strength, tolerance=1e-2)[0], held_out, held_out_labels)
        for strength in (0.1, 1.0, 10.0)
    )
    assert middle < 0.9 * weak and middle < 0.9 * strong


def test_the_data_is_standardised_on_the_fitted_rows_and_no_row_is_in_both() -> None:
    from sklearn.datasets import load_breast_cancer

    features, labels, held_out, held_out_labels = breast_cancer()
    assert features.shape[1] == held_out.shape[1] == 30 and len(features) + len(held_out) == 569
    assert features.mean(axis=0) == pytest.approx(np.zeros(30), abs=1e-10)
    assert features.std(axis=0) == pytest.approx(np.ones(30), abs=1e-10)
    assert np.abs(held_out.mean(axis=0)).max() > 0.01
    assert len(np.unique(np.concatenate([features, held_out]), axis=0)) == 569
    assert labels.sum() + held_out_labels.sum() == (load_breast_cancer().target == 0).sum()
    radius = breast_cancer("mean radius")[0]
    assert radius[:, 0] == pytest.approx(features[:, 0])
