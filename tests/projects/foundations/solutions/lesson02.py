"""One solution of lesson 2's exercises: proof that its checks can be passed."""

import numpy as np


def back_substitution(r, b):
    w = np.zeros(len(b))
    for row in reversed(range(len(b))):
        w[row] = (b[row] - r[row, row + 1 :] @ w[row + 1 :]) / r[row, row]
    return w


def largest_safe_step_size(x):
    return 2 / np.linalg.eigvalsh(2 / len(x) * x.T @ x).max()


def r_squared(y, predictions):
    return 1 - np.sum((y - predictions) ** 2) / np.sum((y - y.mean()) ** 2)


def ridge(x, y, penalty):
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
