"""Metrics equal scikit-learn's, as modules and as sums of statistics."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from common.metrics import classification as metrics
from common.metrics.classification_modules import Accuracy, MacroF1, PerClass
from tests.conftest import REPOSITORY

PAIRS = st.integers(2, 6).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=60),
    )
)


@given(PAIRS)
def test_scores_of_summed_statistics_equal_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = case
    predictions, references = map(np.array, zip(*pairs, strict=True))
    scores = metrics.score(metrics.statistics(predictions, references, classes).sum(axis=0))
    assert float(scores["accuracy"]) == pytest.approx(accuracy_score(references, predictions))
    assert float(scores["macro_f1"]) == pytest.approx(
        f1_score(references, predictions, average="macro", zero_division=0)
    )


@given(PAIRS, st.integers(0, 100))
def test_weighted_sums_equal_scikit_learn_on_the_drawn_sample(
    case: tuple[int, list[tuple[int, int]]], seed: int
) -> None:
    classes, pairs = case
    predictions, references = map(np.array, zip(*pairs, strict=True))
    drawn = np.random.default_rng(seed).integers(len(pairs), size=len(pairs))
    weights = np.bincount(drawn, minlength=len(pairs))
    scores = metrics.score((metrics.statistics(predictions, references, classes).T @ weights).T)
    assert float(scores["macro_f1"]) == pytest.approx(
        f1_score(references[drawn], predictions[drawn], average="macro", zero_division=0)
    )


def test_the_modules_need_no_network_and_equal_scikit_learn() -> None:
    random = np.random.default_rng(0)
    predictions, references = random.integers(5, size=(2, 200)).tolist()
    assert Accuracy().compute(predictions=predictions, references=references) == {
        "accuracy": accuracy_score(references, predictions)
    }
    assert MacroF1().compute(predictions=predictions, references=references) == {
        "macro_f1": f1_score(references, predictions, average="macro")
    }
    values = PerClass().compute(predictions=predictions, references=references, classes=5)
    expected = precision_recall_fscore_support(references, predictions, labels=range(5))
    assert [values[name] for name in ("precision", "recall", "f1", "support")] == [
        pytest.approx(column.tolist()) for column in expected
    ]


def test_a_command_does_not_wait_for_what_only_the_end_of_an_evaluation_needs() -> None:
    """evaluate brings the pipelines of transformers: longer to load than all the rest."""
    late = {"evaluate", "transformers.pipelines"}
    code = f"import sys, common.fine_tune, common.verify; print(sorted({late} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
