"""Derivatives and gradient descent: walk downhill, one step after the other.

A model learns by making a loss smaller. With one parameter x and a loss f(x), the derivative f'(x) says how
steeply f rises at x; so a small step against it goes down. Everything that follows is this, with more parameters.

The method is Cauchy's (1847). Run it with `kit learn 01`.
"""

import math
from collections.abc import Callable

Function = Callable[[float], float]


def numeric_derivative(f: Function, x: float, h: float = 1e-5) -> float:
    """The slope between two points close to x: (f(x + h) - f(x - h)) / 2h.

    Taking a point on each side cancels the curvature, so the error falls with h squared, until h is so small
    that the two values agree in nearly all of their 16 digits and the difference is noise.
    """
    return (f(x + h) - f(x - h)) / (2 * h)


def descend(derivative: Function, start: float, step_size: float, steps: int) -> list[float]:
    """The path of x: at each step, x becomes x - step_size * f'(x).  Stops early where x leaves all bounds."""
    path = [start]
    for _ in range(steps):
        x = path[-1]
        path.append(x - step_size * derivative(x))
        if not abs(path[-1]) < 1e12:
            break
    return path


def bowl(x: float) -> float:
    """Its lowest point is at 3."""
    return (x - 3) ** 2 + 1


def bowl_derivative(x: float) -> float:
    """Steep far from 3, where the steps are long; flat near it."""
    return 2 * (x - 3)


def valleys(x: float) -> float:
    """Two valleys: which one is reached depends on where the walk begins."""
    return x**4 - 3 * x**2 + x


def valleys_derivative(x: float) -> float:
    """The slope of the two valleys."""
    return 4 * x**3 - 6 * x + 1


def behaviour(step_size: float, curvature: float = 2.0) -> str:
    """What a step size does on a bowl whose second derivative is `curvature`.

    One step multiplies the distance to the lowest point by (1 - step_size * curvature), so everything depends
    on that factor: below 1 in size the walk converges, above it diverges.
    """
    factor = 1 - step_size * curvature
    if abs(factor) > 1:
        return "diverges"
    if abs(factor) == 1:
        return "never ends"
    if factor < 0:
        return "jumps to and fro, and converges"
    return "crawls" if factor > 0.9 else "converges"


STEP_SIZES = (0.01, 0.1, 0.5, 0.9, 1.0, 1.05)


def main() -> None:
    """Print what each idea gives in numbers, and draw the paths."""
    print("The derivative of sin at 1 is cos(1). How far off is the difference quotient?")
    for h in (1e-1, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11):
        error = abs(numeric_derivative(math.sin, 1.0, h) - math.cos(1.0))
        print(f"  h = {h:7.0e}   error {error:.1e}")

    print("\nTwenty steps on the bowl from x = -1; its lowest point is at 3.")
    for step_size in STEP_SIZES:
        path = descend(bowl_derivative, -1.0, step_size, 20)
        print(f"  step size {step_size:4}   ends at {path[-1]:10.4f}   {behaviour(step_size)}")

    print("\nTwo valleys: the start decides which one is found.")
    for start in (-2.0, 0.0, 0.5, 2.0):
        x = descend(valleys_derivative, start, 0.02, 300)[-1]
        print(f"  from {start:4}   to x = {x:7.4f}, f(x) = {valleys(x):7.4f}")

    compare_with_the_library()
    draw()


def compare_with_the_library() -> None:
    """SciPy's Brent method needs no derivative and no step size; count how often each asks for f or f'."""
    from scipy.optimize import minimize_scalar

    asked = 0

    def counted(x: float) -> float:
        nonlocal asked
        asked += 1
        return bowl_derivative(x)

    path = descend(counted, -1.0, 0.1, 200)
    mine = next(place for place, x in enumerate(path) if abs(x - 3) < 1e-6)
    found = minimize_scalar(bowl)
    print(
        f"\nTo come within 1e-6 of the lowest point: {mine} steps here (of {asked} taken), "
        f"{found.nfev} evaluations in scipy.optimize."
    )


def draw() -> None:
    """The path of each step size, on the bowl."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    from projects.foundations.lessons import save_picture

    figure, panels = plt.subplots(2, 3, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
    line = [float(x) for x in np.linspace(-2, 8, 200)]
    for axes, step_size in zip(panels.flat, STEP_SIZES, strict=True):
        path = descend(bowl_derivative, -1.0, step_size, 20)
        axes.plot(line, list(map(bowl, line)), color="#9ca3af")
        axes.plot(path, list(map(bowl, path)), "o-", color="#2563eb", markersize=4, linewidth=1)
        axes.set(xlim=(-2, 8), ylim=(0, 26), title=f"step size {step_size}: {behaviour(step_size)}")
        axes.title.set_fontsize(9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("x")
    figure.supylabel("f(x) = (x - 3)² + 1")
    save_picture(figure, "lesson01_step_sizes")
    plt.close(figure)


if __name__ == "__main__":
    main()
