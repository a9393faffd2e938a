"""Is a confidence of 0.9 right nine times out of ten?  (Guo et al. 2017)"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from common.metrics.intervals import Bootstrap

BINS = 15
# A temperature or a threshold that was fitted on fewer rows tells more of these rows than of the model.
FEWEST_ROWS = 50

Logits = NDArray[np.float64]


def fit_temperature(logits: Logits, references: NDArray[np.int64]) -> float:
    """The temperature that makes the log-likelihood of (n, c) logits largest (section 4.2); > 1 means overconfident.

    A share of 1 / (n + 2) of each target is spread over all classes (as in Platt 1999, section 2.2): otherwise a
    model without an error on a small validation split would be given a confidence without bounds.
    """
    spread = 1 / (len(references) + 2)

    def loss(log_temperature: float) -> float:
        likelihood = log_softmax(logits / np.exp(log_temperature), axis=1)
        right = likelihood[np.arange(len(references)), references]
        return float(-((1 - spread) * right + spread * likelihood.mean(axis=1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def negative_log_likelihoods(logits: Logits, references: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) -log p of each true class."""
    return np.asarray(-log_softmax(logits, axis=1)[np.arange(len(references)), references])


def negative_log_likelihood(logits: Logits, references: NDArray[np.int64]) -> float:
    """Mean -log p of the true class."""
    return float(negative_log_likelihoods(logits, references).mean())


def probabilities(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """(n, c) softmax of the logits at a temperature."""
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1))


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """The bins of a reliability diagram: equal widths in confidence, empty ones left out."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "low": number / BINS,
            "high": (number + 1) / BINS,
            "examples": int((place == number).sum()),
            "confidence": float(confidence[place == number].mean()),
            "accuracy": float(correct[place == number].mean()),
        }
        for number in range(BINS)
        if (place == number).any()
    ]


def expected_calibration_error(bins: list[dict[str, Any]]) -> float:
    """Mean distance of confidence and accuracy, weighted by the bins' examples (equation 3)."""
    examples = sum(row["examples"] for row in bins)
    return float(sum(row["examples"] * abs(row["confidence"] - row["accuracy"]) for row in bins) / examples)


def brier_score(probability: NDArray[np.float64], references: NDArray[np.int64]) -> float:
    """Mean squared distance of the probabilities to the truth, over all classes (Brier 1950): 0 to 2."""
    truth = np.zeros_like(probability)
    truth[np.arange(len(references)), references] = 1.0
    return float(((probability - truth) ** 2).sum(axis=1).mean())


def answer_threshold(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """The lowest confidence from which on answers are wrong at most half as often as all answers are.

    Below it an honest system says that it is not sure (selective classification: Geifman & El-Yaniv 2017).
    1 where no part of the answers is that much better.
    """
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~correct[order])
    rates = errors / np.arange(1, len(order) + 1)
    ranked = confidence[order]
    last_of_its_confidence = np.append(ranked[:-1] != ranked[1:], True)
    enough = np.flatnonzero((rates <= rates[-1] / 2) & last_of_its_confidence)
    return float(ranked[enough[-1]]) if len(enough) else 1.0


def summary(logits: Logits, references: NDArray[np.int64], temperature: float) -> dict[str, Any]:
    """Calibration before and after the temperature, with the bins of the diagram after it."""
    result: dict[str, Any] = {"temperature": temperature}
    for suffix, used in (("_uncalibrated", 1.0), ("", temperature)):
        probability = probabilities(logits, used)
        bins = reliability(probability.max(axis=1), probability.argmax(axis=1) == references)
        result[f"ece{suffix}"] = expected_calibration_error(bins)
        result[f"brier{suffix}"] = brier_score(probability, references)
        result[f"negative_log_likelihood{suffix}"] = negative_log_likelihood(logits / used, references)
        result["bins"] = bins
    return result


def change(
    logits: Logits, references: NDArray[np.int64], temperature: float, bootstrap: Bootstrap
) -> dict[str, float | None]:
    """What the temperature does to the mean negative log-likelihood, with interval and p-value: below zero it helps."""
    name = "negative_log_likelihood"
    calibrated, as_trained = (
        np.stack([negative_log_likelihoods(logits / used, references), np.ones(len(references))], axis=1)
        for used in (temperature, 1.0)
    )
    found = bootstrap.difference(calibrated, as_trained, lambda sums: {name: sums[..., 0] / sums[..., 1]}, name, False)
    return {**found, "p_value": found["p_value_bootstrap"]}
