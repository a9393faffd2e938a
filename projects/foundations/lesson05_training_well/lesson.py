"""Training well: better steps, a good start, and what stops a network from learning by heart.

Momentum (Polyak 1964), Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) decide where a step goes.
Initialisation (Glorot and Bengio 2010, He et al. 2015) decides where the walk begins. Dropout (Hinton et al. 2012),
weight decay and early stopping hold back a network that has more weights than rows. Run it with `kit learn 05`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
Gradient = Callable[[Array], Array]  # from weights (columns,) to the slope of the loss along each, (columns,)


def momentum(gradient: Gradient, start: Array, step_size: float, kept: float, steps: int) -> Array:
    """The path of the weights, (1 + steps, columns), by a velocity that keeps a share `kept` of itself.  Polyak (1964).

    Slopes that change sign from step to step cancel in the velocity; slopes that agree add up, to 1 / (1 - kept) of
    them.
    """
    path, velocity = [start], np.zeros_like(start)
    for _ in range(steps):
        velocity = kept * velocity + gradient(path[-1])  # (columns,)
        path.append(path[-1] - step_size * velocity)
    return np.array(path)


def adam(
    gradient: Gradient, start: Array, step_size: float, steps: int, penalty: float = 0.0, decay: float = 0.0
) -> Array:
    """The path of the weights, (1 + steps, columns).  Kingma and Ba (2015).

    The mean slope, divided by its usual size: so a step is about as long in a flat direction as in a steep one.
    With `decay` it is AdamW, Loshchilov and Hutter (2019).
    `penalty` adds the slope of penalty / 2 |w|² to the gradient; `decay` shrinks the weights beside the gradient.
    """
    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-8  # the paper's, and everybody's
    path, mean, square = [start], np.zeros_like(start), np.zeros_like(start)
    for step in range(1, steps + 1):
        slope = gradient(path[-1]) + penalty * path[-1]  # (columns,)
        mean = beta_1 * mean + (1 - beta_1) * slope
        square = beta_2 * square + (1 - beta_2) * slope**2
        # Both began at 0 and have seen only a share 1 - beta ** step of what they should: divide it out.
        direction = (mean / (1 - beta_1**step)) / (np.sqrt(square / (1 - beta_2**step)) + epsilon)
        # The decay is not divided by the size of the slope, so every weight shrinks by the same share.
        path.append((1 - step_size * decay) * path[-1] - step_size * direction)
    return np.array(path)


def ravine(steepest: float, angle: float) -> Gradient:
    """The gradient of a bowl with the curvatures 1 and `steepest`, turned by an angle: (2,) -> (2,)."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    hessian = turn @ np.diag([1, steepest]) @ turn.T  # (2, 2)
    return lambda w: hessian @ w


def arrival(path: Array, within: float = 0.01) -> int:
    """The step after which a path (1 + steps, columns) stays that close to 0; where it never does, steps + 1."""
    away = np.linalg.norm(path, axis=1) > within  # (1 + steps,)
    return int(np.flatnonzero(away).max(initial=-1)) + 1


def glorot_spread(inputs: int, outputs: int) -> float:
    """The standard deviation of first weights for tanh.  Glorot and Bengio (2010).

    It lies between what keeps the scores and what keeps the slopes.
    """
    return (2 / (inputs + outputs)) ** 0.5


def he_spread(inputs: int) -> float:
    """The standard deviation of first weights for ReLU.  He et al. (2015).

    ReLU sets half of its inputs to 0: hence the 2.
    """
    return (2 / inputs) ** 0.5


def relu(scores: Array) -> Array:
    """The positive part of each score, in the shape of `scores`."""
    return np.maximum(scores, 0)


def sizes(
    weight_spread: float, activation: Callable[[Array], Array], width: int = 256, layers: int = 10, seed: int = 0
) -> Array:
    """The root mean square of the activations after each layer, (1 + layers,); first that of the inputs, 1."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(500, width))  # (rows, width)
    found = [1.0]
    for _ in range(layers):
        values = activation(values @ generator.normal(scale=weight_spread, size=(width, width)))  # (rows, width)
        found.append(float(np.sqrt((values**2).mean())))
    return np.array(found)


def dropout(values: Array, rate: float, generator: np.random.Generator, training: bool = True) -> Array:
    """Values are 0 with probability `rate`, else divided by 1 - rate, so the mean stays.  Hinton et al. (2012).

    Any shape. The paper halves the weights when predicting; scaling while training leaves nothing to do then.
    """
    if not training:
        return values
    return values * (generator.random(values.shape) >= rate) / (1 - rate)


def early_stop(losses: Array, patience: int) -> int:
    """The place of the lowest validation loss (measurements,).  Prechelt (1998).

    The search ends when `patience` measurements in a row brought nothing lower.
    """
    best = 0
    for step, loss in enumerate(losses):
        if loss < losses[best]:
            best = step
        elif step - best >= patience:
            break
    return best


def digits(rows: int = 200, wrong: float = 0.2, seed: int = 0) -> list[tuple["torch.Tensor", "torch.Tensor"]]:
    """Images (rows, 64) and labels (rows,) from scikit-learn, three times: to train on, to validate, to test.

    A share `wrong` of the labels to train on is made wrong. They can be learnt by heart only, so overfitting shows.
    """
    import torch
    from sklearn.datasets import load_digits

    table, generator = load_digits(), np.random.default_rng(seed)
    parts = np.split(generator.permutation(len(table.target)), [rows, rows + 600])
    spoilt = parts[0][: round(wrong * rows)]
    labels = table.target.copy()
    labels[spoilt] = (labels[spoilt] + generator.integers(1, 10, len(spoilt))) % 10  # never the right one again
    return [(torch.tensor(table.data[part] / 16, dtype=torch.float32), torch.tensor(labels[part])) for part in parts]


def network(rate: float = 0.0, hidden: int = 128) -> "torch.nn.Sequential":
    """64 pixels, `hidden` ReLUs with He's weights, dropout, ten scores: (rows, 64) -> (rows, 10)."""
    from torch import nn

    first = nn.Linear(64, hidden)
    nn.init.normal_(first.weight, std=he_spread(64))
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(rate), nn.Linear(hidden, 10))


def train(rate: float, decay: float, steps: int = 500, every: int = 5, seed: int = 0) -> Array:
    """Train on all rows at each step.

    Training loss, validation loss and test accuracy after each `every` steps: (steps / every, 3).
    """
    import torch
    from torch.nn.functional import cross_entropy

    (images, labels), (unseen, unseen_labels), (test, test_labels) = digits()
    found, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network only waits for a second one
    with torch.random.fork_rng():  # leaves everybody else's random numbers as they were
        torch.manual_seed(seed)
        model = network(rate)
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=decay)
        for step in range(1, steps + 1):
            optimiser.zero_grad()
            cross_entropy(model(images), labels).backward()
            optimiser.step()
            if step % every == 0:
                model.eval()  # no dropout while measuring, or the two losses could not be compared
                with torch.no_grad():
                    right = (model(test).argmax(dim=1) == test_labels).float().mean()
                    found.append(
                        [
                            cross_entropy(model(images), labels).item(),
                            cross_entropy(model(unseen), unseen_labels).item(),
                            right.item(),
                        ]
                    )
                model.train()
    torch.set_num_threads(threads)
    return np.array(found)


EVERY, PATIENCE = 5, 20  # measure after each fifth step; stop after twenty measurements without a gain
REMEDIES = {"nothing": (0.0, 0.0), "weight decay 3": (0.0, 3.0), "dropout 0.5": (0.5, 0.0), "both": (0.5, 3.0)}


def walks(steepest: float, angle: float, steps: int = 6000) -> dict[str, Array]:
    """Three walks (1 + steps, 2) down a ravine of curvatures 1 and `steepest`; the first two at the best step size."""
    gradient, root = ravine(steepest, angle), steepest**0.5
    start = np.array([10 * np.cos(angle) - np.sin(angle), 10 * np.sin(angle) + np.cos(angle)])  # (10, 1), turned
    return {
        "gradient descent": momentum(gradient, start, 2 / (1 + steepest), 0.0, steps),
        "momentum": momentum(gradient, start, (2 / (1 + root)) ** 2, ((root - 1) / (root + 1)) ** 2, steps),
        "Adam": adam(gradient, start, 0.03, steps),
    }


def main() -> None:
    """Print what each idea gives in numbers, and draw the pictures."""
    print("Steps to stay within 0.01 of the lowest point of a ravine, along the axes and turned by 45 degrees:")
    for steepest in (100.0, 1000.0):
        straight, turned = walks(steepest, 0.0), walks(steepest, np.pi / 4)
        for name in straight:
            print(
                f"  curvatures 1 and {steepest:4.0f}   {name:16}   "
                f"along the axes {arrival(straight[name]):5}   turned {arrival(turned[name]):5}"
            )

    print("\nSize of the activations after each of ten layers of 256, where the inputs have size 1:")
    starts = {"too small": 0.02, "too large": 0.2, "Glorot": glorot_spread(256, 256), "He": he_spread(256)}
    for activation in (np.tanh, relu):
        for name, spread in starts.items():
            print(
                f"  {activation.__name__:4}   {name:9} ({spread:.4f})   "
                + " ".join(f"{size:7.1e}" for size in sizes(spread, activation)[1::3])
            )

    ones = dropout(np.ones(100_000), 0.5, np.random.default_rng(0))
    print(
        f"\nOf 100,000 ones, dropout of 0.5 leaves {(ones > 0).mean():.3f}, each {ones.max():.0f}: "
        f"their mean is {ones.mean():.3f}."
    )

    compare_with_the_library()

    print(
        "\nDigits: 200 rows to train on, one label in five wrong. "
        "Loss and test accuracy after the last step, and where early stopping stops."
    )
    runs = {name: train(rate, decay, every=EVERY) for name, (rate, decay) in REMEDIES.items()}
    for name, run in runs.items():
        stop = early_stop(run[:, 1], PATIENCE)
        at = [
            f"training {run[step, 0]:.2f} validation {run[step, 1]:.2f} accuracy {run[step, 2]:.3f}"
            for step in (-1, stop)
        ]
        print(f"  {name:14}   last: {at[0]}   stopped at {EVERY * (stop + 1):3}: {at[1]}")
    draw(runs)


def compare_with_the_library() -> None:
    """Each walk against torch.optim, at every step; He's spread against torch.nn.init."""
    import torch

    gradient, start = ravine(100.0, 0.5), np.array([10.0, 1.0])
    w = [torch.tensor(start, requires_grad=True) for _ in range(3)]
    pairs: list[tuple[Array, torch.optim.Optimizer]] = [
        (momentum(gradient, start, 0.01, 0.9, 500), torch.optim.SGD([w[0]], lr=0.01, momentum=0.9)),
        (adam(gradient, start, 0.03, 500, penalty=0.1), torch.optim.Adam([w[1]], lr=0.03, weight_decay=0.1)),
        (adam(gradient, start, 0.03, 500, decay=0.1), torch.optim.AdamW([w[2]], lr=0.03, weight_decay=0.1)),
    ]
    print("\nLargest difference from PyTorch at any step:")
    for (path, optimiser), weights in zip(pairs, w, strict=True):
        apart = 0.0
        for ours in path[1:]:
            weights.grad = torch.tensor(gradient(weights.detach().numpy()))
            optimiser.step()
            apart = max(apart, float(np.abs(ours - weights.detach().numpy()).max()))
        print(f"  torch.optim.{type(optimiser).__name__:6} {apart:.0e}")
    there = torch.nn.init.kaiming_normal_(
        torch.empty(1000, 256), nonlinearity="relu", generator=torch.Generator().manual_seed(0)
    )
    print(
        f"  He's spread for 256 inputs: {he_spread(256):.4f} here, "
        f"{there.std():.4f} among the weights of torch.nn.init."
    )


def draw(runs: dict[str, Array]) -> None:
    """Training against validation loss under each remedy."""
    from matplotlib.figure import Figure

    from projects.foundations.lessons import save_picture

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = figure.subplots(1, len(runs), sharey=True)
    for axes, (name, run) in zip(panels, runs.items(), strict=True):
        stop = early_stop(run[:, 1], PATIENCE)
        steps = EVERY * np.arange(1, len(run) + 1)
        axes.plot(steps, run[:, 0], color="#9ca3af", label="training")
        axes.plot(steps, run[:, 1], color="#2563eb", label="validation")
        axes.plot(steps[stop], run[stop, 1], "o", color="#d97706", label="early stopping")
        axes.set(ylim=(0, 2.4), xlabel="step", title=name)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("loss")
    panels[0].legend(frameon=False, fontsize=9, loc="upper right")
    save_picture(figure, "lesson05_overfitting")


if __name__ == "__main__":
    main()
