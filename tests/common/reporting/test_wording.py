"""Numbers and sentences by the kind of the metric."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.reporting.wording import (
    QUOTED,
    achieves,
    are_long,
    axis,
    clearly_worse,
    compact,
    compact_difference,
    day,
    difference,
    elsewhere,
    excerpt,
    found,
    missing,
    model_name,
    number,
    p_value,
    parts,
    plain,
    printable,
    rows_seen,
    sampled,
    sentence,
    share,
    shown,
    spaced,
    took,
    unbroken,
    verdict,
    verdicts,
    weakest,
    with_article,
    with_interval,
)
from tests.common.reporting import synthetic
from tests.common.reporting.synthetic import ACCURACY, CORRELATION, ERROR, F1, interval

RESULTS: dict[str, Any] = {
    "examples": 2014,
    "primary_metric": "accuracy",
    "metric_kinds": {"accuracy": ACCURACY},
    "baseline_titles": {"majority": {"title": "always the most frequent label", "short": "majority"}},
    "metrics": {"accuracy": {"value": 0.864, "low": 0.849, "high": 0.878}},
    "comparison": {"against": "majority", "difference": 0.066, "low": 0.046, "high": 0.084, "p_value": 1e-9},
}


def test_the_sentence_follows_the_interval_of_the_difference() -> None:
    assert plain(sentence(RESULTS)) == (
        "The fine-tuned model gets 86.4 % (84.9 to 87.8) of 2,014 test examples right and beats the best baseline "
        "(majority: always the most frequent label): +6.6 points (+4.6 to +8.4), p < 0.001."
    )
    unclear, worse = copy.deepcopy(RESULTS), copy.deepcopy(RESULTS)
    unclear["comparison"] |= {"difference": 0.01, "low": -0.01, "high": 0.03, "p_value": 0.3}
    worse["comparison"] |= {"difference": -0.06, "low": -0.08, "high": -0.04}
    assert "is not clearly better than the best baseline" in sentence(unclear)
    # Four of forty rows, and none the other way round: the interval of so few rows says more than the exact test.
    unclear["comparison"] |= {"difference": 0.1, "low": 0.025, "high": 0.2, "p_value": 0.125}
    assert "is not clearly better than the best baseline" in sentence(unclear)
    assert "loses to the best baseline" in sentence(worse) and "\u22126.0 points (\u22128.0 to \u22124.0)" in sentence(
        worse
    )


def test_a_metric_that_does_not_count_right_answers_is_named() -> None:
    assert plain(sentence(synthetic.regression())) == (
        "The fine-tuned model has a mean absolute error of 1.42 (1.31 to 1.53, lower is better) on 2,014 test examples "
        "and beats the best baseline (mean: always the mean of the training rows): -0.35 (-0.41 to -0.29), p < 0.001."
    )
    partly = synthetic.classifier() | {"primary_metric": "macro_f1"}
    assert "reaches a macro-F1 of 86.1 % (84.5 to 87.7) on 2,014 test examples and beats" in plain(sentence(partly))
    error_rate = ACCURACY | {"title": "error rate", "higher_is_better": False}
    rows = "2,014 test examples"
    expected = f"has an error rate of 2.0 % (1.5 to 2.5, lower is better) on {rows}"
    assert plain(achieves(interval(0.02, 0.005), error_rate, rows)) == expected
    assert achieves(interval(31.2, None), F1 | {"title": "BLEU", "unit": "number"}, rows) == (
        f"reaches a BLEU of 31.2 (too few groups for an interval) on {rows}"
    )


def test_out_of_domain_sets_are_sorted_by_their_verdict() -> None:
    assert plain(elsewhere(synthetic.classifier())) == (
        "Out of domain, compared with the best baseline there, it is not clearly different on letters (+1.1 points), "
        "worse on tweets (-7.8 points)."
    )
    assert elsewhere({**RESULTS, "out_of_domain": {}}) == ""
    assert list(parts(synthetic.classifier())) == ["test", "tweets", "letters"]


def judged(*found: str) -> list[str]:
    """The clauses of a test split and of sets `a`, `b` ... with these verdicts."""
    lows = {"better": (0.01, 0.001), "unclear": (-0.01, 0.4), "worse": (-0.09, 0.001)}
    sets = [
        {"comparison": {"against": "majority", "low": low, "high": low + 0.05, "p_value": p}}
        for low, p in (lows[one] for one in found)
    ]
    results = {**RESULTS, **sets[0], "out_of_domain": dict(zip("abc", sets[1:], strict=False))}
    return [words for _, words in verdicts(results)]


def test_where_it_wins_ties_and_loses_is_said_in_clauses() -> None:
    assert judged("better", "better", "unclear", "worse") == [
        "beats the best baseline on its own test rows and on a",
        "is not clearly different from it on b",
        "loses to the baseline “majority” on c",
    ]
    assert judged("worse", "better") == [
        "loses to the baseline “majority” on its own test rows",
        "beats the best baseline on a",
    ]
    assert judged("unclear", "worse", "better")[2] == "beats the best baseline on b", "the one named last is another"
    assert judged("better") == ["beats the best baseline on its own test rows"]
    assert verdicts({**RESULTS, "comparison": None, "out_of_domain": {}}) == []


def test_rows_that_the_steps_never_came_to_are_not_counted_as_seen() -> None:
    assert rows_seen({"examples": 1280, "train_rows": 1728}) == "1,280 of 1,728"
    assert rows_seen({"examples": 3456, "train_rows": 1728}) == "1,728"


def test_no_line_is_broken_in_an_interval() -> None:
    broken = "gets 86.4 % (84.9 to 87.9) of rows 3 to be shown, (\u22120.3 to +2.3)"
    assert unbroken(broken) == broken.replace("9 to 8", "9\u00a0to\u00a08").replace("3 to +", "3\u00a0to\u00a0+")
    assert plain(unbroken(broken)) == plain(broken)
    assert spaced("typos in 10% of the words") == "typos in 10\u202f% of the words"


def test_days_durations_and_models_have_short_names() -> None:
    assert day("2026-11-06T23:59:00+00:00") == "6 November 2026"
    assert [took(seconds) for seconds in (45.2, 101, 9_000)] == ["45 seconds", "1.7 minutes", "2.5 hours"]
    origins = ("someone/model-small@0123abc", "https://github.com/a/b_model/", "model")
    assert [model_name({"origin": origin}) for origin in origins] == ["model-small", "b_model", "model"]
    starter = {"reference": "starter:lite0 from b_model-0.1.whl", "origin": "https://github.com/a/b_model"}
    assert model_name(starter) == "lite0" and model_name(starter | {"origin": "a/model-small"}) == "model-small"


def test_lower_is_better_turns_the_verdict_around() -> None:
    lower = synthetic.compared("mean", "error", -0.35, 0.06, 0.001)
    higher = synthetic.compared("mean", "error", 0.35, 0.06, 0.001)
    assert [verdict(lower, ERROR), verdict(higher, ERROR)] == ["better", "worse"]
    assert [verdict(lower, CORRELATION), verdict(higher, CORRELATION)] == ["worse", "better"]
    assert verdict(lower | {"low": None, "high": None}, ERROR) == "unclear", "no interval promises nothing"
    assert verdict(lower | {"p_value": 0.05}, ERROR) == "unclear"
    assert verdict(lower | {"high": 0.0}, ERROR) == "unclear"
    assert clearly_worse(interval(1.81, 0.1), 1.42, ERROR) and not clearly_worse(interval(1.2, 0.1), 1.42, ERROR)
    assert clearly_worse(interval(0.3, 0.1), 0.42, CORRELATION) and not clearly_worse(
        interval(0.5, None), 0.9, CORRELATION
    )


def test_shares_are_percent_with_one_decimal() -> None:
    share = {"value": 0.9, "low": 0.85, "high": 0.945}
    assert with_interval(share, ACCURACY) == "90.0\u202f% (85.0 to 94.5)"
    assert number(share, ACCURACY) == "90.0\u202f%" and number(share, ACCURACY, 2) == "90.00\u202f%"
    assert (
        difference({"difference": -0.001, "low": -0.02, "high": 0.018}, ACCURACY)
        == "\u22120.1 points (\u22122.0 to +1.8)"
    )
    assert plain(with_interval(interval(0.9, None), ACCURACY)) == "90.0 % (too few groups for an interval)"
    assert compact(share, ACCURACY) == "90.0 (85.0-94.5)" and compact(share, ACCURACY, bounds=False) == "90.0"
    assert (p_value(0.0004), p_value(0.0321)) == ("p < 0.001", "p = 0.032")


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (0.0424, 1, "4.2 %"),
        (0.0, 1, "0.0 %"),
        (1 / 2014, 1, "under 0.1 %"),
        (0.9999, 1, "over 99.9 %"),
        (0.997, 0, "over 99 %"),
        (1.0, 0, "100 %"),
    ],
)
def test_a_share_is_not_rounded_to_none_or_all(value: float, decimals: int, expected: str) -> None:
    assert plain(share(value, decimals)) == expected


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [
        (0.42, 0.03, "0.42 (0.39 to 0.45)"),
        (0.8561, 0.0065, "0.856 (0.850 to 0.863)"),
        (1.42, 0.11, "1.42 (1.31 to 1.53)"),
        (31.24, 1.5, "31.2 (29.7 to 32.7)"),
        (142.31, 0.4, "142.3 (141.9 to 142.7)"),
        (12_345.6, 250, "12,346 (12,096 to 12,596)"),
        (-0.0042, 0.0003, "-0.0042 (-0.0045 to -0.0039)"),
        (0.0, 0.0, "0.00 (0.00 to 0.00)"),
        (float("inf"), None, "inf (too few groups for an interval)"),
    ],
)
def test_numbers_are_written_as_they_are(value: float, spread: float | None, expected: str) -> None:
    assert plain(with_interval(interval(value, spread), CORRELATION)) == expected
    assert plain(number(interval(value, spread), CORRELATION)) == expected.split()[0]


def test_differences_of_numbers_have_signs_and_no_points() -> None:
    against = synthetic.compared("mean", "error", -0.35, 0.06, 0.001)
    assert difference(against, ERROR) == "\u22120.35 (\u22120.41 to \u22120.29)"
    assert difference(against | {"low": None, "high": None}, ERROR) == "\u22120.35 (too few groups for an interval)"
    assert compact_difference(against, ERROR) == "-0.35 (-0.41..-0.29)"
    assert compact(interval(-0.1, 0.05), CORRELATION) == "-0.10 (-0.15..-0.05)"


def test_an_axis_says_unit_and_direction() -> None:
    assert [axis(kind) for kind in (ACCURACY, ERROR)] == ["accuracy in %", "mean absolute error (lower is better)"]


@pytest.mark.parametrize(
    "title", ["an F1", "an MRR", "an error rate", "an exact match", "a recall", "a BLEU", "a ROUGE-L", "an R²"]
)
def test_titles_get_their_article(title: str) -> None:
    assert with_article(title.split(maxsplit=1)[1]) == title


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("positive", "positive"),
        (["ls -l", "dir"], "ls -l; dir"),
        ([], "(nothing)"),
        (None, "(no answer)"),
        (9.5, "9.5"),
        (1200.0, "1200"),
        (0.0, "0"),
        (7, "7"),
        ([{"start": 4, "label": "API"}], "start: 4, label: API"),
        ({"question": "Why?", "context": ["a", "b"]}, "question: Why?, context: a; b"),
        ("\x1b[2J\u202egnp.exe", "\\x1b[2J\\u202egnp.exe"),
        ("two\nlines, \u200dएक", "two\nlines, \u200dएक"),
    ],
)
def test_answers_of_any_kind_can_be_read(value: Any, expected: str) -> None:
    assert shown(value) == expected


def test_how_many_rows_near_duplicates_were_looked_for_in() -> None:
    assert sampled(synthetic.classifier()) == " (near-duplicates were looked for among 1,000 of them)"
    assert sampled({"examples": 5, "data": {}}) == ""


def test_a_long_text_is_quoted_in_part() -> None:
    text = "The plaintiff said so. " * 1_000
    assert excerpt(text).endswith(" … (23,000 characters)") and "plaintif …" not in excerpt(text)
    assert excerpt("short") == "short" and excerpt(None) == "(no answer)"


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=0, max_size=700))
def test_an_excerpt_begins_like_its_text_and_says_how_long_it_is(text: str) -> None:
    short, whole = excerpt(text), shown(text)
    if len(whole) <= QUOTED:
        assert short == whole
    else:
        begin, _, rest = short.partition(f" … ({len(whole):,} characters)")
        assert rest == "" and whole.startswith(begin) and len(begin) <= QUOTED


@pytest.mark.parametrize("letter", ["e\u0301", "कि", "👩\u200d🚀"])
def test_no_letter_is_cut_in_two(letter: str) -> None:
    for shift in range(4):
        begin = excerpt("x" * shift + letter * 400).partition(" … (")[0]
        assert begin[shift:].replace(letter, "") == ""


def test_what_failed_and_what_was_found_is_said() -> None:
    assert missing({"failed": [{"what": "the slices", "why": "ValueError: no <words>."}]}) == [
        "The slices could not be measured: ValueError: no <words>. `kit evaluate RUN` tries again."
    ]
    assert missing({}) == []
    finding = {"where": "radio.csv", "rows": 39, "of": 2970, "problem": "texts that occurred before", "text": "old"}
    assert plain(found(finding)) == "radio.csv: texts that occurred before (39 of 2,970 rows, 1.3 %)"
    assert found(finding | {"rows": 1, "of": None}) == "radio.csv: texts that occurred before (1 row)"
    assert found(finding | {"rows": 0}) == "radio.csv: texts that occurred before"
    assert found({"text": "as an older run has it"}) == "as an older run has it"


def test_without_a_baseline_the_sentence_says_so() -> None:
    alone = copy.deepcopy(synthetic.classifier()) | {"comparison": None}
    alone["out_of_domain"]["tweets"]["comparison"] = None
    assert plain(sentence(alone)) == (
        "The fine-tuned model gets 86.4 % (84.9 to 87.9) of 2,014 test examples right; "
        "no baseline was measured beside it."
    )
    assert "tweets" not in elsewhere(alone) and "letters" in elsewhere(alone)


def test_what_a_terminal_would_obey_is_shown_on_pages_too_but_ends_of_lines_are_blanks_there() -> None:
    assert printable("a\x1b[31m\u202eb\ud800") == r"a\x1b[31m\u202eb\ud800"
    assert printable("one\r\ntwo\u2028three\x85four\x0cfive") == "one\ntwo\nthree\nfour\nfive"


def test_long_texts_are_told_from_short_ones() -> None:
    assert not are_long([]) and not are_long(["good", "bad", "x" * 200])
    assert are_long(["ls", '{"intent": "HassTurnOn", "area": "kitchen"}', "tar xf {{path/to/archive}} --verbose"])


@pytest.mark.parametrize(("kind", "name"), [(ACCURACY, "tweets"), (ERROR, "length: long")])
def test_the_weakest_place_is_a_set_out_of_domain_or_a_slice(kind: dict[str, Any], name: str) -> None:
    score = {"tweets": 0.6, "length: long": 0.9, "length: short": 0.8}
    rows = [
        {"slice": "length", "value": "long", "examples": 50, "metrics": {"m": interval(score["length: long"])}},
        {"slice": "length", "value": "short", "examples": 50, "metrics": {"m": interval(score["length: short"])}},
        {"slice": "language", "value": "all", "examples": 100, "metrics": {"m": interval(0.0)}},
        {"slice": "length", "value": "empty", "examples": 2},
    ]
    results = {"primary_metric": "m", "metric_kinds": {"m": kind}, "examples": 100, "slices": rows}
    results["out_of_domain"] = {"tweets": {"metrics": {"m": interval(score["tweets"])}}}
    assert weakest(results) == (name, interval(score[name]))
    assert weakest(results | {"slices": [], "out_of_domain": {}}) is None
