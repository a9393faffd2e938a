"""A neural network: two linear layers with a bend between them, and the chain rule backwards through both.

First the gradient of such a network is derived by hand, after Rumelhart, Hinton and Williams (1986). Then the engine in
engine.py finds the same gradient, and trains the network on 1797 handwritten digits. Run it with `kit learn 04`.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from projects.foundations.lesson04_neural_network.engine import Array, Numbers, Tensor, log_softmax, sigmoid

Parameters = list[Array]  # w1 (inputs, hidden), b1 (hidden,), w2 (hidden, classes), b2 (classes,)


def start(inputs: int, hidden: int, classes: int, seed: int = 0) -> Parameters:
    """Random weights and zero biases.  The weights must differ: hidden units that begin alike stay alike.

    Dividing by the root of the number of inputs keeps the scores near 1 in size, where the sigmoid is steep.
    """
    generator = np.random.default_rng(seed)
    w1 = generator.normal(size=(inputs, hidden)) / np.sqrt(inputs)
    w2 = generator.normal(size=(hidden, classes)) / np.sqrt(hidden)
    return [w1, np.zeros(hidden), w2, np.zeros(classes)]


def collapse(parameters: Parameters) -> tuple[Array, Array]:
    """The one layer, (inputs, classes) and (classes,), that does what both do without a bend.

    It is (x w1 + b1) w2 + b2, multiplied out.
    """
    w1, b1, w2, b2 = parameters
    return w1 @ w2, b1 @ w2 + b2


def logits_by_hand(parameters: Parameters, x: Array) -> Array:
    """The score of each class for each row: (rows, inputs) -> (rows, classes)."""
    w1, b1, w2, b2 = parameters
    return sigmoid(x @ w1 + b1) @ w2 + b2


def loss(parameters: Parameters, x: Array, labels: Numbers) -> float:
    """The cross-entropy: minus the logarithm of the right class's probability, averaged.

    x (rows, inputs), labels (rows,).
    """
    return -float(log_softmax(logits_by_hand(parameters, x))[np.arange(len(labels)), labels].mean())


def backpropagate(parameters: Parameters, x: Array, labels: Numbers) -> Parameters:
    """The gradient of `loss`, in the shapes of the parameters: forward once, then back by the chain rule.

    Each line needs only the line before it and what the forward pass has kept.  Rumelhart, Hinton and Williams (1986).
    """
    w1, b1, w2, b2 = parameters
    h = sigmoid(x @ w1 + b1)  # (rows, hidden)
    to_logits = np.exp(log_softmax(h @ w2 + b2))  # (rows, classes): the probabilities, and then ...
    to_logits[np.arange(len(labels)), labels] -= 1  # ... minus 1 at the right class: as in lesson 3, all else cancels
    to_logits /= len(labels)
    to_h = to_logits @ w2.T  # (rows, classes) @ (classes, hidden): each hidden unit collects what it did to every class
    to_scores = to_h * h * (1 - h)  # the sigmoid's slope, from its value
    return [x.T @ to_scores, to_scores.sum(axis=0), h.T @ to_logits, to_logits.sum(axis=0)]


def numeric_gradient(parameters: Parameters, x: Array, labels: Numbers) -> Parameters:
    """The gradient of `loss` by lesson 1's difference quotient, for a check: slow, two forward passes per number."""
    from projects.foundations.lesson01_gradient_descent.lesson import numeric_derivative

    def slope(place: int, index: tuple[int, ...]) -> float:
        def along(value: float) -> float:
            moved = [parameter.copy() for parameter in parameters]
            moved[place][index] = value
            return loss(moved, x, labels)

        return numeric_derivative(along, float(parameters[place][index]))

    return [
        np.array([slope(place, i) for i in np.ndindex(p.shape)]).reshape(p.shape) for place, p in enumerate(parameters)
    ]


def network(parameters: list[Tensor], x: Array, bend: bool = True) -> Tensor:
    """The logits of `logits_by_hand`, (rows, classes), from tensors; without the bend, just two linear layers."""
    w1, b1, w2, b2 = parameters
    h = Tensor(x) @ w1 + b1  # (rows, hidden)
    return (h.sigmoid() if bend else h) @ w2 + b2


def train(
    first: Parameters, x: Array, labels: Numbers, batches: Iterable[Numbers], step_size: float, bend: bool = True
) -> Iterator[Parameters]:
    """Mini-batch SGD with our own engine: yields the parameters after each step.  x (rows, inputs), labels (rows,)."""
    parameters = [Tensor(parameter) for parameter in first]
    for batch in batches:
        network(parameters, x[batch], bend).cross_entropy(labels[batch]).backward()
        for parameter in parameters:
            parameter.value = parameter.value - step_size * parameter.gradient
        yield [parameter.value for parameter in parameters]


def torch_train(
    first: Parameters, x: Array, labels: Numbers, batches: Iterable[Numbers], step_size: float
) -> Iterator[Parameters]:
    """The same steps in PyTorch, in float64: yields the parameters after each."""
    import torch

    w1, b1, w2, b2 = parameters = [torch.tensor(parameter, requires_grad=True) for parameter in first]
    optimiser = torch.optim.SGD(parameters, lr=step_size)
    inputs, targets = torch.tensor(x), torch.tensor(labels)
    for batch in batches:
        optimiser.zero_grad()
        logits = torch.sigmoid(inputs[batch] @ w1 + b1) @ w2 + b2
        torch.nn.functional.cross_entropy(logits, targets[batch]).backward()
        optimiser.step()
        yield [parameter.detach().numpy().copy() for parameter in parameters]


def accuracy(logits: Array, labels: Numbers) -> float:
    """The share of rows whose highest logit is the right class's.  (rows, classes), (rows,)"""
    return float(np.mean(logits.argmax(axis=1) == labels))


def digits() -> tuple[Array, Numbers, Array, Numbers]:
    """Images (rows, 64) with values from 0 to 1 and labels (rows,), then the quarter that is held out.

    Alpaydin and Kaynak (1998).
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    x, held_out, y, held_out_labels = train_test_split(
        images / 16, labels, test_size=0.25, random_state=0, stratify=labels
    )
    return x, y, held_out, held_out_labels


def crossed_clouds(rows: int = 240, seed: int = 0) -> tuple[Array, Numbers]:
    """Points (rows, 2) around four corners, and labels (rows,).

    A label is 1 where the signs of the two columns differ, as in "exclusive or".
    """
    generator = np.random.default_rng(seed)
    corners = np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]])
    corner = np.arange(rows) % 4
    return corners[corner] + generator.normal(scale=0.25, size=(rows, 2)), (corner >= 2).astype(np.int64)


def fit_clouds(bend: bool) -> Parameters:
    """Two hidden units on the four clouds, after 2000 steps on all rows: (2, 2), (2,), (2, 2), (2,)."""
    points, labels = crossed_clouds()
    return list(train(start(2, 2, 2), points, labels, [np.arange(len(labels))] * 2000, 1.0, bend))[-1]


def main() -> None:
    """Print what each idea gives in numbers, and draw how the bend makes four clouds separable."""
    x, labels, *_ = digits()
    parameters = start(64, 32, 10)
    weights, bias = collapse(parameters)
    stacked = network([Tensor(parameter) for parameter in parameters], x, bend=False).value
    print("Two linear layers, and the one layer that they multiply out to: largest difference of a logit.")
    print(f"  without a bend {np.abs(stacked - (x @ weights + bias)).max():.1e}", end="")
    print(f"   with the sigmoid between them {np.abs(logits_by_hand(parameters, x) - (x @ weights + bias)).max():.1e}")
    points, cloud_labels = crossed_clouds()
    for name, bend in (("two linear layers", False), ("with the sigmoid", True)):
        logits = network([Tensor(parameter) for parameter in fit_clouds(bend)], points, bend).value
        print(f"  four crossed clouds, {name:17}   {accuracy(logits, cloud_labels):.3f} of the points are right")

    print("\nThe gradient of 2410 parameters on 20 digits: three ways.")
    tensors = [Tensor(parameter) for parameter in parameters]
    began = time.perf_counter()
    by_hand = backpropagate(parameters, x[:20], labels[:20])
    middle = time.perf_counter()
    by_quotient = numeric_gradient(parameters, x[:20], labels[:20])
    ended = time.perf_counter()
    network(tensors, x[:20]).cross_entropy(labels[:20]).backward()
    far = max(np.abs(a - b).max() for a, b in zip(by_hand, by_quotient, strict=True))
    near = max(np.abs(a - b.gradient).max() for a, b in zip(by_hand, tensors, strict=True))
    times = (ended - middle) / (middle - began)
    print(f"  by hand and by difference quotients: {far:.1e} apart, and the quotients took {times:.0f} times as long")
    print(f"  by hand and by our engine: {near:.1e} apart")
    compare_with_the_library()
    draw()


def compare_with_the_library() -> None:
    """Train on the digits here and in PyTorch, compare the weights after every step, and the time of a step."""
    from projects.foundations.lesson02_linear_regression.lesson import shuffled_batches

    x, labels, held_out, held_out_labels = digits()
    first, batches = start(64, 32, 10), shuffled_batches(len(x), 32, passes=40)
    each, apart = len(batches) // 40, 0.0
    print("\nThe digits, 40 passes in batches of 32 rows, here and in PyTorch (float64).")
    both = zip(train(first, x, labels, batches, 0.3), torch_train(first, x, labels, batches, 0.3), strict=True)
    for step, (ours, theirs) in enumerate(both, start=1):
        apart = max(apart, *(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)))
        if step % (5 * each) == 0:
            right = accuracy(logits_by_hand(ours, held_out), held_out_labels)
            print(
                f"  pass {step // each:2}   loss {loss(ours, x, labels):.4f}   held-out accuracy {right:.3f}   "
                f"farthest weights so far {apart:.1e}"
            )

    print("\nMilliseconds for a step; how many times as long ours takes depends on the size.")
    for hidden, size in ((32, 32), (128, 128), (512, 512)):
        first, batches = start(64, hidden, 10), shuffled_batches(len(x), size, passes=10)[:20]
        ours_ms, theirs_ms = (milliseconds_a_step(way(first, x, labels, batches, 0.1)) for way in (train, torch_train))
        print(
            f"  {hidden:4} hidden units, {size:4} rows   ours {ours_ms:7.2f}   PyTorch {theirs_ms:7.2f}   "
            f"{ours_ms / theirs_ms:5.1f} times"
        )


def milliseconds_a_step(steps: Iterator[Parameters]) -> float:
    """The median time between steps; the first one, which warms up, is left out."""
    marks = [time.perf_counter() for _ in steps]
    return 1000 * float(np.median(np.diff(marks)))


def draw() -> None:
    """Four clouds: what two linear layers make of them, what two sigmoid units do, and what the output layer sees."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from projects.foundations.lessons import save_picture

    points, labels = crossed_clouds()
    grid = np.stack(np.meshgrid(np.linspace(-2.2, 2.2, 150), np.linspace(-2.2, 2.2, 150)), axis=-1)  # (150, 150, 2)
    unit = np.stack(np.meshgrid(np.linspace(-0.1, 1.1, 150), np.linspace(-0.1, 1.1, 150)), axis=-1)
    straight, (w1, b1, w2, b2) = fit_clouds(bend=False), fit_clouds(bend=True)
    weights, bias = collapse(straight)
    hidden = sigmoid(points @ w1 + b1)  # (rows, 2)
    panels_of = [
        ("Two linear layers:\none straight boundary", grid, grid @ weights + bias, points),
        (
            "A sigmoid between them: each hidden unit\nis at one half on a dashed line",
            grid,
            sigmoid(grid @ w1 + b1) @ w2 + b2,
            points,
        ),
        ("The same points as the output layer sees them:\na straight boundary is enough", unit, unit @ w2 + b2, hidden),
    ]
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.6), layout="constrained")
    for axes, (title, plane, logits, places) in zip(panels, panels_of, strict=True):
        draw_clouds(axes, plane, logits, places, labels)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    scores = grid @ w1 + b1  # a hidden unit says one half where its score is 0
    for column in range(2):
        panels[1].contour(
            grid[..., 0],
            grid[..., 1],
            scores[..., column],
            levels=[0],
            colors="#d97706",
            linestyles="dashed",
            linewidths=1.5,
        )
    for axes in panels[:2]:
        axes.set(xlabel="first column", ylabel="second column")
    panels[2].set(xlabel="first hidden unit", ylabel="second hidden unit")
    save_picture(figure, "lesson04_clouds")
    plt.close(figure)


def draw_clouds(axes: Any, plane: Array, logits: Array, places: Array, labels: Numbers) -> None:
    """The part of a (150, 150, 2) plane in which the logits, of the same shape, say 1; (rows, 2) places on it."""
    margin = logits[..., 1] - logits[..., 0]  # above 0 the network says 1
    axes.contourf(plane[..., 0], plane[..., 1], margin, levels=[-1e9, 0, 1e9], colors=["#f3f4f6", "#dbeafe"])
    axes.contour(plane[..., 0], plane[..., 1], margin, levels=[0], colors="#2563eb", linewidths=2)
    for label, colour, marker in ((0, "#9ca3af", "o"), (1, "#2563eb", "^")):
        axes.scatter(*places[labels == label].T, s=16, color=colour, marker=marker, edgecolors="white", linewidths=0.4)


if __name__ == "__main__":
    main()
