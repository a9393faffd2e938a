"""One solution of lesson 4's exercises: proof that its checks can be passed."""

from itertools import pairwise

import numpy as np

from projects.foundations.lesson04_neural_network.engine import Tensor, log_softmax


def parameter_count(widths):
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def exclusive_or():
    # The first hidden unit says "at least one", the second "both"; the answer is the first without the second.
    return [np.full((2, 2), 20.0), np.array([-10.0, -30.0]), np.array([[0.0, 1.0], [0.0, -1.0]]), np.array([0.5, 0.0])]


def tanh(x):
    value = np.tanh(x.value)
    return Tensor(value, (x,), lambda gradient: (gradient * (1 - value**2),))


def backpropagate_relu(parameters, x, labels):
    w1, b1, w2, b2 = parameters
    h = np.maximum(x @ w1 + b1, 0)
    to_logits = (np.exp(log_softmax(h @ w2 + b2)) - np.eye(len(b2))[labels]) / len(labels)
    to_scores = to_logits @ w2.T * (h > 0)
    return [x.T @ to_scores, to_scores.sum(axis=0), h.T @ to_logits, to_logits.sum(axis=0)]
