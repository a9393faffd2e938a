"""How answers look: not sure, the truth beside them, and what "not sure" means."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apps.parts import answers
from common.reporting.wording import plain
from common.task.contract import Prediction
from tests.common.reporting.synthetic import classifier, write_run


@pytest.mark.parametrize(
    ("value", "said"), [(1.0, "over 99.9 %"), (0.9991, "99.9 %"), (0.5, "50.0 %"), (0.0, "under 0.1 %")]
)
def test_a_probability_never_claims_certainty(value: float, said: str) -> None:
    assert plain(answers.probability(value)) == said


def test_not_sure_looks_different() -> None:
    sure, unsure = Prediction("<b>", 0.9), Prediction("<b>", 0.6, sure=False)
    cards = [answers.card(answers.said("&lt;b&gt;", one), one.sure, ["", "beside"], 12.3) for one in (sure, unsure)]
    assert ["unsure" in card for card in cards] == [False, True]
    assert ["Not sure" in card for card in cards] == [False, True]
    assert all(card.count('class="beside"') == 1 and "12 ms" in card for card in cards)


EXAMPLE = {"kind": "right", "reference": "<good>", "prediction": "<good>"}
FAILURE = {"kind": "known failure", "reference": "bad", "prediction": "good"}


@pytest.mark.parametrize(
    ("example", "says", "sure", "look", "sentence"),
    [
        (EXAMPLE, "<good>", True, "right", "Right: the test set says <b>&lt;good&gt;</b>, too."),
        (
            {**EXAMPLE, "reference": "good or fine"},
            "<good>",
            True,
            "right",
            "counts this as right, too: it says <b>&lt;good&gt;</b>; the test set says <b>good or fine</b>.",
        ),
        (
            EXAMPLE,
            "<good>",
            False,
            "",
            "but it does not count on it: the test set says <b>&lt;good&gt;</b>, too.",
        ),
        (FAILURE, "good", True, "wrong", "Known failure: it says <b>good</b>; the test set says <b>bad</b>."),
        (FAILURE, "good", False, "wrong", "it leans towards <b>good</b>; the test set says <b>bad</b>."),
        (FAILURE, "bad", True, "", "The test set says <b>bad</b>. When it was measured, it said <b>good</b>."),
    ],
)
def test_the_truth_stands_beside_an_example(
    example: dict[str, Any], says: str, sure: bool, look: str, sentence: str
) -> None:
    said = answers.truth(example, says, sure)
    assert f'class="report truth {look}"' in said and sentence in said


@dataclass
class Asked:
    """As much of a Predictor as the sentence asks for."""

    folder: Path
    task: Any = field(default=None)


@pytest.mark.parametrize(
    ("selective", "said"),
    [
        ({"threshold": None, "coverage": 1.0}, ""),
        ({"threshold": None, "coverage": 0.4}, "On the test set it was sure of 40.0 % of the rows."),
        ({"threshold": 1.0, "coverage": 0.0}, "It never says that it is sure: no part of its answers"),
        ({"threshold": 0.75, "coverage": 0.8}, "Below a confidence of 75.0 %, chosen on the validation split, it says"),
    ],
)
def test_what_not_sure_means_is_said_with_the_numbers_of_the_test_set(
    tmp_path: Path, selective: dict[str, Any], said: str
) -> None:
    run = write_run(tmp_path / "tiny", {**classifier(), "selective": selective})
    found = plain(answers.sure_of(Asked(run.folder)))  # type: ignore[arg-type]
    assert found.startswith(said) and bool(found) == bool(said)


def test_what_is_unlike_the_training_data_is_named_beside_the_confidence(tmp_path: Path) -> None:
    results = classifier()
    results["sections"]["unlike"] = {"doubt": "unlike its training data"}
    run = write_run(tmp_path / "tiny", {**results, "selective": {"threshold": 0.75, "coverage": 0.8}})
    said = answers.sure_of(Asked(run.folder))  # type: ignore[arg-type]
    assert "so it does where the input is unlike its training data" in said
