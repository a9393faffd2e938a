"""Scores of answers against cases by hand and a second computation, the threshold against a search over all."""

import numpy as np
import pytest

from common.metrics import answers


@pytest.mark.parametrize("seed", range(8))
def test_the_threshold_is_the_best_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    margins = random.integers(-4, 5, size=30).astype(float)
    if_answered, if_not = random.random(30), (random.random(30) < 0.4).astype(float)
    found = answers.no_answer_threshold(margins, if_answered, if_not)

    def total(threshold: float) -> float:
        return float(np.where(margins > threshold, if_answered, if_not).sum())

    best = max(total(threshold) for threshold in np.arange(-5.5, 6))
    assert total(-np.inf if found is None else found) == pytest.approx(best)


def test_scores_are_those_of_squad() -> None:
    score = answers.statistics(
        ["The cat!", "a dog", "", "x", "one two", "the"],
        [["cat"], ["cat", "big dog"], [], [], ["two three", "one"], ["the", "an"]],
    )
    assert score[:, 0].tolist() == pytest.approx([1, 2 / 3, 1, 0, 2 / 3, 1])
    assert score[:, 1].tolist() == [1, 0, 1, 0, 0, 1]


def test_scores_are_those_of_the_evaluate_module() -> None:
    from common.metrics.answers_modules import AnswerScores

    random = np.random.default_rng(0)
    words = ["the", "a", "Cat", "dog", "dog,", "U.S.", "é", "", "an", "it's", "-", "a/b"]

    def text() -> str:
        return " ".join(random.choice(words, size=random.integers(0, 5)))

    right = [[text() for _ in range(random.integers(0, 4))] for _ in range(300)]
    said = [text() if random.random() < 0.8 else "" for _ in right]
    scores = answers.score(answers.statistics(said, right).sum(axis=0))
    by_module = AnswerScores().compute(predictions=said, references=right)
    assert set(by_module) == set(scores) == {"f1", "exact_match"}
    for name, value in by_module.items():
        assert float(scores[name]) == pytest.approx(value, abs=1e-12)
