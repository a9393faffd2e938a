"""Lesson 2: every claim of its README, in numbers."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.foundations.lesson01_gradient_descent.lesson import numeric_derivative
from projects.foundations.lesson02_linear_regression import lesson
from projects.foundations.lesson02_linear_regression.lesson import Array

FEATURES, Y, NAMES = lesson.load_data()
Z = lesson.standardise(FEATURES)
X = lesson.design_matrix(Z)


def theirs(features: Array) -> Array:
    """scikit-learn's intercept and coefficients."""
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(features, Y)
    return np.array([model.intercept_, *model.coef_])


def random_start(seed: int) -> Array:
    return np.random.default_rng(seed).normal(scale=50, size=X.shape[1])


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_multiplication_by_hand_is_numpys(n: int, k: int, m: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(n, k)), generator.normal(size=(k, m))
    product = lesson.multiply(a.tolist(), b.tolist())
    assert np.shape(product) == (n, m)
    assert np.asarray(product) == pytest.approx(a @ b, abs=1e-12)


def test_multiplication_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError):
        lesson.multiply([[1.0, 2.0]], [[1.0], [2.0], [3.0]])


def test_the_line_through_one_column_is_numpys() -> None:
    bmi = FEATURES[:, NAMES.index("bmi")]
    assert lesson.fit_line(bmi.tolist(), Y.tolist()) == pytest.approx(np.polyfit(bmi, Y, 1), rel=1e-9)


def test_the_data_are_what_the_readme_says() -> None:
    assert FEATURES.shape == (442, 10) and Y.shape == (442,)
    assert NAMES[2:4] == ["bmi", "bp"]
    assert Z.mean(axis=0) == pytest.approx(np.zeros(10), abs=1e-12)
    assert Z.std(axis=0) == pytest.approx(np.ones(10))
    assert X[:, 0] == pytest.approx(np.ones(442)) and X[:, 1:] == pytest.approx(Z)
    assert np.linalg.cond(lesson.design_matrix(FEATURES)) > 100 * np.linalg.cond(X), (
        "standardising makes the bowl rounder"
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_the_numeric_derivative_of_lesson_1(seed: int) -> None:
    w = random_start(seed)
    for column, slope in enumerate(lesson.gradient(X, Y, w)):

        def along(value: float, column: int = column) -> float:
            moved = w.copy()
            moved[column] = value
            return lesson.loss(X, Y, moved)

        assert numeric_derivative(along, w[column], 1e-3) == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("solve", [lesson.normal_equations, lesson.qr_least_squares])
@pytest.mark.parametrize("features", [FEATURES, Z], ids=["raw", "standardised"])
def test_the_closed_forms_are_scikit_learns(solve, features: Array) -> None:
    w = solve(lesson.design_matrix(features), Y)
    assert w == pytest.approx(theirs(features), abs=1e-6, rel=0)
    assert lesson.gradient(X, Y, solve(X, Y)) == pytest.approx(np.zeros(11), abs=1e-9), "the slope is zero there"


def test_gradient_descent_is_scikit_learns_after_enough_steps() -> None:
    path = lesson.gradient_descent(X, Y, np.zeros(11), 0.2, 8000)
    assert path.shape == (8001, 11)
    assert path[-1] == pytest.approx(theirs(Z), abs=1e-6, rel=0)
    assert np.abs(path[1000] - theirs(Z)).max() > 0.1, "a thousand steps are not enough"
    losses = [lesson.loss(X, Y, w) for w in path[:200]]
    assert all(after < before for before, after in pairwise(losses))


def test_the_same_step_size_diverges_on_columns_as_they_are() -> None:
    path = lesson.gradient_descent(lesson.design_matrix(FEATURES), Y, np.zeros(11), 0.2, 10)
    assert np.abs(path[-1]).max() > 1e20


def test_the_condition_number_is_squared_and_costs_digits() -> None:
    column, noise = np.random.default_rng(1).normal(size=(2, 200))
    x, w = np.column_stack([column, column + 1e-5 * noise]), np.array([1.0, 2.0])
    assert np.linalg.cond(x.T @ x) == pytest.approx(np.linalg.cond(x) ** 2, rel=1e-2)
    equations, qr = (np.abs(solve(x, x @ w) - w).max() for solve in (lesson.normal_equations, lesson.qr_least_squares))
    assert qr < 1e-9 and equations > 1_000 * qr


def test_with_a_column_twice_only_the_library_gives_the_shortest_answer() -> None:
    twice = np.column_stack([Z, Z[:, 0]])
    coefficients = theirs(twice)
    design = lesson.design_matrix(twice)
    assert np.linalg.lstsq(design, Y)[0] == pytest.approx(coefficients, abs=1e-6)
    assert coefficients[1] == pytest.approx(coefficients[11]) and 2 * coefficients[1] == pytest.approx(
        theirs(Z)[1], abs=1e-6
    )
    try:
        by_equations = lesson.normal_equations(design, Y)
    except np.linalg.LinAlgError:
        return
    assert np.abs(by_equations - coefficients).max() > 0.1


def test_every_pass_sees_each_row_once_in_a_new_order() -> None:
    batches = lesson.shuffled_batches(10, 4, passes=2, seed=3)
    assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2]
    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_the_gradient_of_a_batch_is_right_on_average_and_wrong_each_time() -> None:
    w = random_start(0)
    slopes = np.array([lesson.gradient(X[batch], Y[batch], w) for batch in lesson.shuffled_batches(442, 26, passes=1)])
    assert slopes.shape == (17, 11)
    assert slopes.mean(axis=0) == pytest.approx(lesson.gradient(X, Y, w), abs=1e-10)
    assert np.all(slopes.std(axis=0) > 1)


def test_a_batch_of_all_rows_is_gradient_descent() -> None:
    batches = [np.arange(442)] * 20
    assert lesson.sgd(X, Y, random_start(1), batches, np.full(20, 0.1)) == pytest.approx(
        lesson.gradient_descent(X, Y, random_start(1), 0.1, 20)
    )


@pytest.mark.parametrize("batch_size", [1, 32, 442])
@pytest.mark.parametrize("half_after", [None, 20])
def test_sgd_is_pytorchs_at_every_step(batch_size: int, half_after: int | None) -> None:
    """A linear layer with a bias, the mean squared error and torch.optim.SGD; float64, the same batches and start."""
    import torch

    batches = lesson.shuffled_batches(442, batch_size, passes=3)[:200]
    step_sizes = np.full(len(batches), 0.01) if half_after is None else lesson.decaying(0.01, len(batches), half_after)
    start = random_start(2)
    layer = torch.nn.Linear(10, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.bias.fill_(start[0])
        layer.weight.copy_(torch.tensor(start[None, 1:]))
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.01)
    decay = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 1.0 if half_after is None else 1 / (1 + step / half_after)
    )
    path = lesson.sgd(X, Y, start, batches, step_sizes)
    assert len(path) == len(batches) + 1
    for batch, w in zip(batches, path[1:], strict=True):
        optimiser.zero_grad()
        torch.nn.MSELoss()(layer(torch.tensor(Z[batch])).squeeze(1), torch.tensor(Y[batch])).backward()
        optimiser.step()
        decay.step()
        assert w == pytest.approx([layer.bias.item(), *layer.weight[0].tolist()], abs=1e-10, rel=0)


def test_the_comparison_that_the_lesson_prints_is_a_walk_of_pytorch() -> None:
    batches = lesson.shuffled_batches(442, 32, passes=2)
    path = lesson.torch_sgd(X, Y, random_start(3), batches, 0.05)
    assert path == pytest.approx(
        lesson.sgd(X, Y, random_start(3), batches, np.full(len(batches), 0.05)), abs=1e-10, rel=0
    )


def test_robbins_and_monros_step_sizes() -> None:
    sizes = lesson.decaying(0.1, 100_000, 28)
    assert sizes[0] == pytest.approx(0.1) and sizes[28] == pytest.approx(0.05)
    first, second = sizes[1_000:10_000], sizes[10_000:]
    assert second.sum() == pytest.approx(first.sum(), rel=0.02), "ten times as many steps add as much again: no bound"
    assert (second**2).sum() == pytest.approx((first**2).sum() / 10, rel=0.05), "their squares add a tenth: a bound"


@pytest.mark.parametrize("seed", range(3))
def test_constant_steps_tremble_and_smaller_and_smaller_ones_arrive(seed: int) -> None:
    """The picture: body mass index and blood pressure, 16 rows at a time, 40 passes."""
    x, y = Z[:, 2:4], Y - Y.mean()
    lowest = lesson.loss(x, y, lesson.qr_least_squares(x, y))
    batches = lesson.shuffled_batches(442, 16, 40, seed)
    each = len(batches) // 40
    constant = lesson.sgd(x, y, np.zeros(2), batches, np.full(len(batches), 0.1))
    smaller = lesson.sgd(x, y, np.zeros(2), batches, lesson.decaying(0.1, len(batches), each))
    whole = lesson.gradient_descent(x, y, np.zeros(2), 0.1, 40)

    def above(path: Array) -> float:
        return float(np.mean([lesson.loss(x, y, w) for w in path])) - lowest

    assert above(constant[each : 2 * each]) < above(whole[1:3]), "quicker at first"
    assert above(constant[-10 * each :]) > 10 * above(whole[-10:]), "and then no nearer"
    assert above(smaller[-10 * each :]) < above(constant[-10 * each :]) / 20
