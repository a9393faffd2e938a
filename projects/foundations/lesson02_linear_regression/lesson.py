"""Linear regression: fit a plane to data, at once or step by step.

A prediction is a weighted sum of the columns, x @ w; the loss is the mean squared error. Its lowest point can be
solved for (Legendre 1805, Gauss 1809), walked to with all rows (lesson 1, with more parameters), or with a few rows
at a time (Robbins and Monro 1951). The data are 442 patients with diabetes: ten measurements each, and how far the
disease had progressed a year later. Run it with `kit learn 02`.
"""

import timeit
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = list[list[float]]  # pure Python: a list of rows
Array = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.int64]  # numbers of the rows that make up a mini-batch
Walk = tuple[str, int, Array]  # its colour, its steps in a pass over the data, and its path (steps + 1, columns)


def multiply(a: Matrix, b: Matrix) -> Matrix:
    """The product (n, k) times (k, m) = (n, m): an entry is a row of `a` times a column of `b`, summed.  Cayley (1858).

    Raises ValueError where the shapes do not fit.
    """
    columns = list(zip(*b, strict=True))
    return [[sum(p * q for p, q in zip(row, column, strict=True)) for column in columns] for row in a]


def fit_line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope and intercept of the best line through (x, y): covariance over variance, and through the means.

    Raises ZeroDivisionError where all x are equal: any slope is then as good.
    """
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    return slope, mean_y - slope * mean_x


def load_data() -> tuple[Array, Array, list[str]]:
    """Features (442, 10) in their own units, targets (442,), and the columns' names.

    Efron et al. (2004), from scikit-learn.
    """
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    return data.data, data.target, data.feature_names


def standardise(features: Array) -> Array:
    """Each column with mean 0 and standard deviation 1, (rows, columns): then one step size suits them all better."""
    return (features - features.mean(axis=0)) / features.std(axis=0)


def design_matrix(features: Array) -> Array:
    """(rows, 1 + columns): a column of ones in front, whose weight is the intercept."""
    return np.column_stack([np.ones(len(features)), features])


def loss(x: Array, y: Array, w: Array) -> float:
    """The mean squared error of the predictions x @ w; x is (rows, columns), y (rows,), w (columns,)."""
    return float(np.mean((x @ w - y) ** 2))


def gradient(x: Array, y: Array, w: Array) -> Array:
    """The slope of the loss in the direction of each weight, (columns,): 2/n xᵀ(xw - y), from the chain rule."""
    errors = x @ w - y  # (rows,)
    return 2 / len(y) * x.T @ errors  # (columns, rows) @ (rows,) = (columns,)


def normal_equations(x: Array, y: Array) -> Array:
    """The weights (columns,) where the gradient is zero: solve xᵀx w = xᵀy.  Gauss (1809).

    xᵀx is only (columns, columns).

    Raises LinAlgError where the columns depend on each other, unless rounding hides it.
    """
    gram = x.T @ x  # its condition number is that of x squared, and so is the damage
    return np.linalg.solve(gram, x.T @ y)


def qr_least_squares(x: Array, y: Array) -> Array:
    """The same weights (columns,) without xᵀx: x = qr leaves r w = qᵀy, and r is no worse than x.  Golub (1965)."""
    q, r = np.linalg.qr(x)  # orthonormal columns (rows, columns), and a triangle (columns, columns)
    return np.linalg.solve(r, q.T @ y)  # back substitution would do: it is the first exercise


def gradient_descent(x: Array, y: Array, start: Array, step_size: float, steps: int) -> Array:
    """The path of the weights, (1 + steps, columns): each step reads all rows.  Cauchy (1847)."""
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - step_size * gradient(x, y, path[-1]))
    return np.array(path)


def shuffled_batches(rows: int, batch_size: int, passes: int, seed: int = 0) -> list[Rows]:
    """The row numbers of every mini-batch: each pass sees each row once, in a new order.

    The last batch of a pass may be smaller.
    """
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(rows) for _ in range(passes)]
    return [order[first : first + batch_size] for order in orders for first in range(0, rows, batch_size)]


def sgd(x: Array, y: Array, start: Array, batches: list[Rows], step_sizes: Array) -> Array:
    """The path of the weights, (1 + batches, columns): a step reads the rows of one batch.  Robbins and Monro (1951).

    The gradient of a batch is right on average and wrong each time, so the walk trembles as long as the steps are long.
    """
    path = [start]
    for batch, step_size in zip(batches, step_sizes, strict=True):
        path.append(path[-1] - step_size * gradient(x[batch], y[batch], path[-1]))
    return np.array(path)


def decaying(first: float, steps: int, half_after: int) -> Array:
    """Step sizes (steps,) that fall like 1/t.

    Their sum has no bound, so the walk gets everywhere; the sum of their squares has one.
    """
    return first / (1 + np.arange(steps) / half_after)


def main() -> None:
    """Print what each idea gives in numbers, and draw the paths."""
    print("Matrix multiplication, seconds: three nested loops in Python, and @, which hands the same sums to BLAS.")
    for size in (16, 64, 128):
        a, b = np.random.default_rng(0).normal(size=(2, size, size))
        slow = min(
            timeit.repeat("f(a, b)", globals={"f": multiply, "a": a.tolist(), "b": b.tolist()}, number=1, repeat=3)
        )
        fast = min(timeit.repeat("a @ b", globals={"a": a, "b": b}, number=1, repeat=3))
        print(f"  {size:3} x {size:<3}   by hand {slow:.1e}   @ {fast:.1e}   {slow / fast:6.0f} times as fast")

    features, y, names = load_data()
    slope, intercept = fit_line(features[:, names.index("bmi")].tolist(), y.tolist())
    print(
        "\nOne column, pure Python: the line of progression against body mass index "
        f"has slope {slope:.2f} and intercept {intercept:.2f}."
    )

    print("\nTwo columns that are nearly the same, and targets without noise: relative error of the weights.")
    column, noise = np.random.default_rng(0).normal(size=(2, 200))
    for difference in (1e-1, 1e-3, 1e-5, 1e-7):
        x, w = np.column_stack([column, column + difference * noise]), np.array([1.0, 2.0])
        errors = [
            np.linalg.norm(solve(x, x @ w) - w) / np.linalg.norm(w) for solve in (normal_equations, qr_least_squares)
        ]
        print(f"  condition number {np.linalg.cond(x):.0e}   normal equations {errors[0]:.1e}   QR {errors[1]:.1e}")

    compare_with_the_library()
    draw()


def compare_with_the_library() -> None:
    """Every way to the weights against scikit-learn's LinearRegression, each step of SGD against torch.optim.SGD."""
    from sklearn.linear_model import LinearRegression

    features, y, _ = load_data()
    z = standardise(features)
    x, start = design_matrix(z), np.zeros(11)
    batches = shuffled_batches(len(y), batch_size=32, passes=100)
    walk, trembling = gradient_descent(x, y, start, 0.2, 8000), sgd(x, y, start, batches, np.full(len(batches), 0.05))
    ways = {"normal equations": normal_equations(x, y), "QR": qr_least_squares(x, y)}
    ways |= {f"gradient descent, {steps} steps": walk[steps] for steps in (100, 1000, 8000)}
    ways |= {f"mini-batch SGD, {len(batches)} steps": trembling[-1]}
    model = LinearRegression().fit(z, y)
    print("\nTen columns: largest difference of a weight from scikit-learn's LinearRegression.")
    for name, w in ways.items():
        print(f"  {name:30} {np.abs(w - [model.intercept_, *model.coef_]).max():.1e}")
    apart = np.abs(trembling - torch_sgd(x, y, start, batches, 0.05)).max()
    print(f"Largest difference from torch.optim.SGD at any step: {apart:.1e}")


def torch_sgd(x: Array, y: Array, start: Array, batches: list[Rows], step_size: float) -> Array:
    """The path of `sgd`, (1 + batches, columns), in PyTorch: autograd finds the gradient, the optimiser steps."""
    import torch

    inputs, targets = torch.tensor(x), torch.tensor(y)
    w = torch.tensor(start, requires_grad=True)
    optimiser = torch.optim.SGD([w], lr=step_size)
    path = [start]
    for batch in batches:
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(inputs[batch] @ w, targets[batch]).backward()
        optimiser.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


def draw() -> None:
    """Three walks to the same lowest point, on the loss of two columns."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from projects.foundations.lessons import save_picture

    features, y, names = load_data()
    x = standardise(features)[:, [names.index("bmi"), names.index("bp")]]  # (rows, 2)
    y = y - y.mean()  # no intercept needed
    batches = shuffled_batches(len(y), batch_size=16, passes=40)
    each, start = len(batches) // 40, np.zeros(2)
    walks: dict[str, Walk] = {
        "16 rows, the same step size": ("#9ca3af", each, sgd(x, y, start, batches, np.full(len(batches), 0.1))),
        "16 rows, smaller and smaller steps": (
            "#d97706",
            each,
            sgd(x, y, start, batches, decaying(0.1, len(batches), each)),
        ),
        "all rows": ("#2563eb", 1, gradient_descent(x, y, start, 0.1, 40)),
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    draw_walks(left, x, y, walks)
    draw_heights(right, x, y, walks)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, "lesson02_walks")
    plt.close(figure)


def draw_walks(axes: Any, x: Array, y: Array, walks: dict[str, Walk]) -> None:
    """Each walk on the map of the loss."""
    best, grid = qr_least_squares(x, y), np.meshgrid(np.linspace(-3, 60, 90), np.linspace(-3, 40, 90))
    heights = np.mean((np.stack(grid, axis=-1) @ x.T - y) ** 2, axis=-1)  # (90, 90, 2) @ (2, rows), then over the rows
    axes.contour(
        *grid,
        heights,
        levels=loss(x, y, best) + np.array([20, 100, 300, 700, 1300, 2100]),
        colors="#d1d5db",
        linewidths=0.8,
    )
    for colour, _, path in walks.values():
        axes.plot(*path.T, "o-", color=colour, markersize=2.5, linewidth=0.7)
    axes.plot(*best, "+", color="black", markersize=14, markeredgewidth=2)
    axes.set(
        xlabel="weight of the body mass index",
        ylabel="weight of the blood pressure",
        title="The walks; the cross is the lowest point",
    )


def draw_heights(axes: Any, x: Array, y: Array, walks: dict[str, Walk]) -> None:
    """How far above the lowest point each walk is, after each pass."""
    best = qr_least_squares(x, y)
    for name, (colour, steps, path) in walks.items():
        axes.semilogy(
            [loss(x, y, w) - loss(x, y, best) for w in path[::steps]],
            "o-",
            color=colour,
            markersize=3,
            linewidth=1.2,
            label=name,
        )
    axes.set(
        xlabel="passes over the data",
        ylabel="loss minus the lowest loss",
        title="How far above the lowest point, after each pass",
    )
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()
