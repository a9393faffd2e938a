"""Logistic regression and the sigmoid: from a linear score to a probability.

A line gives a score from minus to plus infinity; a question with the answer yes or no wants a probability. The sigmoid
leads from one to the other, the likelihood says how well the probabilities fit, and gradient descent does the rest.

Berkson (1944) put the curve in the place of the normal one, Cox (1958) made it a regression.
Run it with `kit learn 03`.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]  # parameters are always one vector: the intercept first, then a coefficient for each column


def sigmoid(scores: Array) -> Array:
    """The probability that belongs to each score, 1 / (1 + exp(-score)), in the shape of `scores` (Berkson 1944).

    exp(1000) overflows. So exp only gets the negative of the size: exp(-|score|) lies between 0 and 1.
    """
    small = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1.0, small) / (1 + small)


def scores(parameters: Array, features: Array) -> Array:
    """The linear score of each row, which is the logarithm of its odds p / (1 - p).

    (1 + columns,), (rows, columns) -> (rows,)
    """
    return parameters[0] + features @ parameters[1:]


def loss(parameters: Array, features: Array, labels: Array, strength: float = 0.0) -> float:
    """The negative log likelihood of all rows (Cox 1958), plus strength / 2 times the squared coefficients.

    The penalty is that of le Cessie and van Houwelingen (1992).

    A row costs -log p where its label is 1, and -log (1 - p) where it is 0. Both are log(1 + exp(s)), s being the score
    with the sign that makes it wrong; logaddexp takes it without overflow.  (1 + columns,), (rows, columns), (rows,)
    """
    wrong_way = (1 - 2 * labels) * scores(parameters, features)  # (rows,)
    # The intercept goes free: it only says how common the 1s are, and that is no reason to pull it to 0.
    return float(np.logaddexp(0, wrong_way).sum() + strength / 2 * (parameters[1:] ** 2).sum())


def gradient(parameters: Array, features: Array, labels: Array, strength: float = 0.0) -> Array:
    """The derivative of `loss` by each parameter, (1 + columns,): residuals p - y times the columns, as for a line.

    By the chain rule a row's loss changes with its probability by (p - y) / (p (1 - p)), and the probability with the
    score by p (1 - p). The two cancel (Cox 1958).
    """
    residuals = sigmoid(scores(parameters, features)) - labels  # (rows,)
    return np.concatenate([[residuals.sum()], features.T @ residuals + strength * parameters[1:]])


def numeric_gradient(parameters: Array, features: Array, labels: Array, strength: float = 0.0) -> Array:
    """The slope of `loss` along each parameter, (1 + columns,), by lesson 1's difference quotient: a slow check."""
    from projects.foundations.lesson01_gradient_descent.lesson import numeric_derivative

    def slope_along(axis: Array) -> float:
        return numeric_derivative(lambda x: loss(parameters + x * axis, features, labels, strength), 0.0)

    return np.array([slope_along(axis) for axis in np.eye(len(parameters))])


def fit(
    features: Array, labels: Array, strength: float = 0.0, most_steps: int = 200_000, tolerance: float = 1e-9
) -> tuple[Array, int]:
    """Gradient descent from 0: the parameters (1 + columns,), and the steps taken.

    It ends when the gradient is shorter than `tolerance`, or `most_steps` are done.

    p (1 - p) is at most 1/4, so no direction is more curved than the largest eigenvalue of X'X / 4 + strength; a step
    size of 1 over that is half of what lesson 1 allows, and always goes down.  (rows, columns), (rows,)
    """
    with_ones = np.column_stack([np.ones(len(features)), features])  # (rows, 1 + columns)
    step_size = 1 / (np.linalg.eigvalsh(with_ones.T @ with_ones)[-1] / 4 + strength)
    parameters = np.zeros(1 + features.shape[1])
    for step in range(most_steps):
        slope = gradient(parameters, features, labels, strength)
        if np.linalg.norm(slope) < tolerance:
            return parameters, step
        parameters = parameters - step_size * slope
    return parameters, most_steps


def gaussian_parameters(mean_0: float, mean_1: float, spread: float, share_1: float) -> Array:
    """Intercept and coefficient, (2,), of the log odds between two Gaussians of the same spread, by Bayes' rule.

    Each log density holds -x² / (2 spread²). In the difference it cancels, and a straight line in x is left.
    """
    coefficient = (mean_1 - mean_0) / spread**2
    return np.array([np.log(share_1 / (1 - share_1)) - coefficient * (mean_0 + mean_1) / 2, coefficient])


def boundary(parameters: Array, first: Array) -> Array:
    """The second column's value where the score is 0 and the probability 1/2, for values of the first.

    (3,), (n,) -> (n,)
    """
    return -(parameters[0] + parameters[1] * first) / parameters[2]


def accuracy(probabilities: Array, labels: Array, threshold: float = 0.5) -> float:
    """The share of rows on the right side of the threshold.  (rows,), (rows,)"""
    return float(((probabilities >= threshold) == (labels == 1)).mean())


def calibration(probabilities: Array, labels: Array, edges: Array) -> list[tuple[int, float, float]]:
    """For the rows between two edges: how many, their mean probability, and the share of 1s among them.

    The last two should agree.  (rows,), (rows,), (groups + 1,); groups without rows are left out.
    """
    place = np.digitize(probabilities, edges[1:-1])  # (rows,)
    groups = [place == number for number in range(len(edges) - 1)]
    return [
        (int(group.sum()), float(probabilities[group].mean()), float(labels[group].mean()))
        for group in groups
        if group.any()
    ]


def breast_cancer(*columns: str, held_out_share: float = 0.3, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Features and labels to fit on, then features and labels held out: (rows, columns), (rows,) twice; 1 = malignant.

    scikit-learn's breast-cancer data (Wolberg, Street and Mangasarian 1995), standardised; all 30 columns where none
    is named.
    """
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    chosen = [list(table.feature_names).index(column) for column in columns or table.feature_names]
    features = table.data[:, chosen]  # (569, columns)
    labels = 1.0 - table.target  # scikit-learn calls benign 1; here 1 is what one looks for
    order = np.random.default_rng(seed).permutation(len(labels))
    held, kept = np.split(order, [int(held_out_share * len(labels))])
    # Mean and spread come from the rows to fit on: the others have to stay unseen.
    mean, spread = features[kept].mean(axis=0), features[kept].std(axis=0)
    return (features[kept] - mean) / spread, labels[kept], (features[held] - mean) / spread, labels[held]


LINE = np.array([[-2.0], [-1.0], [1.0], [2.0]])  # (4, 1): a point between -1 and 1 separates the labels
LINE_LABELS = np.array([0.0, 0.0, 1.0, 1.0])
COLUMNS = ("mean radius", "mean texture")


def main() -> None:
    """Print what each idea gives in numbers, and draw the pictures."""
    print("The probability that belongs to a score, which is the logarithm of the odds:")
    print("  " + "   ".join(f"{score}: {sigmoid(np.array(score)):.3f}" for score in (-1000, -2, -1, 0, 1, 2, 1000)))

    features, labels, held_out, held_out_labels = breast_cancer()
    place = np.random.default_rng(0).normal(size=1 + features.shape[1])
    by_hand, by_numbers = (way(place, features, labels, 1.0) for way in (gradient, numeric_gradient))
    print(
        f"\nThe gradient by hand and by numbers: {np.abs(by_hand - by_numbers).max():.0e} apart, "
        f"where its longest part is {np.abs(by_hand).max():.0f}."
    )

    print(
        f"\nThe penalty, on {features.shape[1]} columns. Loss for one row, of {len(labels)} fitted "
        f"and {len(held_out)} held out, and accuracy on the latter."
    )
    for strength in (0.1, 1.0, 10.0, 100.0):
        parameters, _ = fit(features, labels, strength, tolerance=1e-4)
        fitted, unseen = (
            loss(parameters, features, labels) / len(labels),
            loss(parameters, held_out, held_out_labels) / len(held_out),
        )
        right = accuracy(sigmoid(scores(parameters, held_out)), held_out_labels)
        print(
            f"  strength {strength:5}   norm {np.linalg.norm(parameters[1:]):5.2f}   "
            f"fitted {fitted:.3f}   held out {unseen:.3f}   accuracy {right:.3f}"
        )
    print(f"  Always saying benign is right for {1 - held_out_labels.mean():.3f} of those held out.")

    print("\nA point separates these four rows. The norm of the coefficients after so many steps:")
    for steps in (10, 100, 1_000, 10_000):
        free, held = (np.linalg.norm(fit(LINE, LINE_LABELS, strength, steps)[0][1:]) for strength in (0.0, 1.0))
        print(f"  {steps:6} steps   no penalty {free:6.3f}   strength 1 {held:6.3f}")

    features, labels, held_out, held_out_labels = breast_cancer(*COLUMNS)
    parameters, _ = fit(features, labels)
    print(f"\nTwo columns, {' and '.join(COLUMNS)}: what a probability means, on the rows held out.")
    for count, said, seen in calibration(
        sigmoid(scores(parameters, held_out)), held_out_labels, np.array([0, 0.1, 0.5, 0.9, 1])
    ):
        print(f"  {count:3} rows   mean probability {said:.2f}   share malignant {seen:.2f}")

    compare_with_the_library()
    draw(parameters, held_out, held_out_labels)


def compare_with_the_library() -> None:
    """scikit-learn minimises this loss divided by the strength, C = 1 / strength.

    L-BFGS learns the curvature on its way.
    """
    from sklearn.linear_model import LogisticRegression

    features, labels, *_ = breast_cancer()
    parameters, steps = fit(features, labels, strength=1.0)
    library = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(features, labels)
    apart = np.abs(parameters - np.concatenate([library.intercept_, library.coef_[0]])).max()
    print(f"\nThe same parameters as scikit-learn's, to {apart:.0e}: {steps} steps here, {library.n_iter_[0]} there.")


def draw(parameters: Array, held_out: Array, held_out_labels: Array) -> None:
    """Two bells whose odds are a sigmoid, and the probability over two columns as shading."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    from projects.foundations.lessons import save_picture

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    x, across, up = np.linspace(-5, 5, 200), np.linspace(-2.2, 3.2, 200), np.linspace(-2.5, 4, 200)
    surface = sigmoid(scores(parameters, np.stack(np.meshgrid(across, up), axis=-1)))  # (200, 200)
    shades = LinearSegmentedColormap.from_list("probability", ["#e5e7eb", "#ffffff", "#bfdbfe"])
    figure.colorbar(
        right.pcolormesh(across, up, surface, cmap=shades, vmin=0, vmax=1), label="probability of malignant"
    )
    for label, mean, colour, name in ((0, -1, "#9ca3af", "benign"), (1, 1, "#2563eb", "malignant")):
        bell = np.exp(-((x - mean) ** 2) / 2) / np.sqrt(2 * np.pi)
        left.fill_between(x, bell, color=colour, alpha=0.4, linewidth=0, label=f"density, label {label}")
        right.scatter(*held_out[held_out_labels == label].T, s=14, color=colour, label=name)
    left.plot(
        x,
        sigmoid(scores(gaussian_parameters(-1, 1, 1, 0.5), x[:, None])),
        color="#d97706",
        label="probability of label 1",
    )
    left.set(xlabel="x", title="Two Gaussians of equal spread make a sigmoid")
    right.plot(across, boundary(parameters, across), color="#d97706", label="probability 0.5")
    right.contour(across, up, surface, levels=[0.1, 0.9], colors="#d97706", linewidths=0.7)
    right.set(
        ylim=(-2.5, 4),
        xlabel=f"{COLUMNS[0]}, standardised",
        ylabel=f"{COLUMNS[1]}, standardised",
        title="Rows held out; thin: probability 0.1 and 0.9",
    )
    for axes, place in ((left, "upper left"), (right, "upper right")):
        axes.legend(frameon=False, loc=place, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, "lesson03_probability")


if __name__ == "__main__":
    main()
