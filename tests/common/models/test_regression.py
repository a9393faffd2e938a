"""The regression behind heads and baselines: any classes, bounded memory, the likeliest held-out rows choose."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from common.models import regression
from common.system.errors import UserError


def clouds(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around one centre for each class, and their classes."""
    random = np.random.default_rng(seed)
    numbers = random.integers(classes, size=count)
    return random.normal(size=(count, 6)) + random.normal(size=(classes, 6))[numbers], numbers


def test_the_penalty_is_that_of_the_likeliest_held_out_rows_not_of_the_most_that_are_right() -> None:
    """One of these rows decides by how many are right; their likelihood does not hang on single rows."""
    inputs, classes = clouds(60, 3)
    held_out, true = clouds(200, 3, seed=0)
    held_out, true = held_out[60:], true[60:]
    strength, best = regression.fit_best(inputs, classes, held_out, true)
    losses = {
        one: log_loss(true, regression.fit(inputs, classes, one).predict_proba(held_out))
        for one in regression.STRENGTHS
    }
    assert strength == min(losses, key=lambda one: losses[one])
    assert np.allclose(best.coef_, regression.fit(inputs, classes, strength).coef_)


def test_scores_of_many_rows_are_never_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, classes = clouds(300, 4)
    expected = regression.fit_best(inputs[:200], classes[:200], inputs[200:], classes[200:])
    monkeypatch.setattr(regression, "SCORES", 4 * 7)
    asked = []
    predict_proba = type(expected[1]).predict_proba
    monkeypatch.setattr(
        type(expected[1]), "predict_proba", lambda self, rows: asked.append(len(rows)) or predict_proba(self, rows)
    )
    strength, best = regression.fit_best(inputs[:200], classes[:200], inputs[200:], classes[200:])
    assert max(asked) == 7 and sum(asked) == 100 * len(regression.STRENGTHS)
    assert strength == expected[0] and np.allclose(best.coef_, expected[1].coef_)


def test_no_more_than_two_regressions_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[object]] = []
    most, fit = 0, regression.fit

    def watched(*arguments: object) -> object:
        nonlocal most
        gc.collect()
        most = max(most, sum(one() is not None for one in alive) + 1)
        fitted = fit(*arguments)
        alive.append(weakref.ref(fitted))
        return fitted

    monkeypatch.setattr(regression, "fit", watched)
    monkeypatch.setattr(regression, "STRENGTHS", (1.0, 3.0, 10.0, 30.0, 100.0))
    inputs, classes = clouds(80, 3)
    regression.fit_best(inputs[:60], classes[:60], inputs[60:], classes[60:])
    assert len(alive) == 5 and most == 2


def test_more_coefficients_than_the_memory_holds_are_refused_before_anything_is_allocated() -> None:
    assert regression.is_affordable(77, 100_000) and not regression.is_affordable(300, 100_000)
    assert 24 * 8 * regression.COEFFICIENTS < 2 * 1024**3
    from scipy.sparse import csr_array

    wide = csr_array((5_000, 3_000))
    with pytest.raises(UserError, match="5,000 classes on 3,000 numbers needs too much memory"):
        regression.fit(wide, np.arange(5_000))


def test_rows_of_one_class_give_a_regression_that_knows_this_one() -> None:
    inputs, _ = clouds(20, 2)
    fitted = regression.fit(inputs, np.full(20, 3))
    weight, bias = regression.linear(fitted)
    assert fitted.classes_.tolist() == [3] and weight.shape == (1, 6) and bias.shape == (1,)
    assert regression.fit_best(inputs, np.full(20, 3), inputs, np.full(20, 3))[0] == regression.STRENGTHS[0]


def test_held_out_rows_of_unknown_classes_do_not_count() -> None:
    inputs, classes = clouds(90, 3)
    kept = classes[:60] != 2
    strength, best = regression.fit_best(inputs[:60][kept], classes[:60][kept], inputs[60:], classes[60:])
    assert best.classes_.tolist() == [0, 1] and strength in regression.STRENGTHS
    only_unknown = regression.fit_best(inputs[:60][kept], classes[:60][kept], inputs[60:], np.full(30, 7))
    assert only_unknown[0] == regression.STRENGTHS[0]


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    most=st.integers(1, 600),
    seed=st.integers(0, 5),
)
def test_a_drawn_sample_has_some_rows_of_every_class(counts: list[int], most: int, seed: int) -> None:
    classes = np.random.default_rng(9).permutation(np.repeat(np.arange(len(counts)), counts))
    drawn = regression.draw(classes, most, seed)
    assert len(drawn) == len(set(drawn.tolist())) == min(most, len(classes))
    assert (np.diff(drawn) > 0).all()
    assert np.array_equal(drawn, regression.draw(classes, most, seed))
    found = np.bincount(classes[drawn], minlength=len(counts))
    if most >= regression.FEWEST_OF_CLASS * len(counts):
        assert all(one >= min(count, regression.FEWEST_OF_CLASS) for one, count in zip(found, counts, strict=True))
    elif most >= len(counts):
        assert (found > 0).all()


def test_three_rows_among_sixty_thousand_are_in_every_sample() -> None:
    labels = ["common"] * 60_000 + ["rare"] * 3
    for seed in range(20):
        drawn = regression.draw(labels, 20_000, seed)
        assert {60_000, 60_001, 60_002} <= set(drawn.tolist())


def test_apart_from_rare_classes_a_sample_is_random() -> None:
    classes = np.random.default_rng(0).choice(3, size=30_000, p=[0.7, 0.2, 0.1])
    share = np.bincount(classes[regression.draw(classes, 20_000, 0)]) / 20_000
    assert np.allclose(share, [0.7, 0.2, 0.1], atol=0.01)
