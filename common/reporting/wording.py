"""How results are said: numbers with their intervals, verdicts, sentences.

A metric has a kind, its entry in results["metric_kinds"]: {"title", "unit", "higher_is_better", "exact"}, and
where it needs one a "meaning".
Only here is a share turned into percent, and only here does it matter whether higher or lower values are better.
"""

import math
import re
import statistics
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeAlias

from common.system import terminal

Results: TypeAlias = dict[str, Any]
Kind: TypeAlias = dict[str, Any]
# {"value", "low", "high"}; low and high are None where there are too few groups.
Interval: TypeAlias = dict[str, Any]
# {"difference", "low", "high", "p_value", ...}: the model's metric minus the baseline's.
Comparison: TypeAlias = dict[str, Any]

# A difference whose p-value is not below this is called unclear.
SIGNIFICANT = 0.05
NO_INTERVAL = "too few groups for an interval"
# Letters whose names begin with a vowel: an F1, an MRR.
VOWEL_NAMES = "AEFHILMNORSX"
# Spaces that no line is broken at, the first a narrow one, and the minus sign.
NARROW, FIXED, MINUS = "\u202f", "\u00a0", "\u2212"
PER_CENT = f"{NARROW}%"
# The two ends of an interval, and a per cent sign that follows its number at once.
ENDS = re.compile(f"(?<=\\d) to (?=[+{MINUS}]?\\d)")
CLOSE = re.compile(r"(?<=\d)%")
# On a page these are white space, as a line feed is.
OTHER_LINE_ENDS = re.compile("\r\n|[\x0b-\r\x85\u2028\u2029]")
# Characters of a text that pages quote.
QUOTED = 300
# Characters that a narrow column of a table has room for.
COLUMN = 30
JOINER = "\u200d"
STARTER = re.compile(r"starter:(\S+) from ")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def parts(results: Results) -> dict[str, Results]:
    """Every test set by name: `test`, then the out-of-domain sets."""
    return {"test": results, **results["out_of_domain"]}


def primary(results: Results) -> Kind:
    """The kind of the primary metric."""
    return results["metric_kinds"][results["primary_metric"]]


def baseline_title(results: Results, name: str) -> str:
    """What a baseline does: `TF-IDF + logistic regression`."""
    return results["baseline_titles"][name]["title"]


def baseline_short(results: Results, name: str) -> str:
    """The name of a baseline, the same on every page: `words`."""
    return results["baseline_titles"][name]["short"]


# Numbers


def share(value: float, decimals: int = 1) -> str:
    """`4.2 %`, of something that is a share whatever the metric; what is not all of it is not called so."""
    smallest = 10.0**-decimals
    if 0 < 100 * value < smallest / 2:
        return f"under {smallest:.{decimals}f}{PER_CENT}"
    if value < 1 and 100 * value > 100 - smallest / 2:
        return f"over {100 - smallest:.{decimals}f}{PER_CENT}"
    return signed(f"{100 * value:.{decimals}f}{PER_CENT}")


def confidence(value: float) -> str:
    """`71.2 %`; with another decimal near certainty, where most confidences are: `99.83 %`."""
    return share(value, 2 if value > 0.99 else 1)


def unbroken(text: str) -> str:
    """A text whose intervals stay on one line."""
    return ENDS.sub(f"{FIXED}to{FIXED}", text)


def spaced(text: str) -> str:
    """A name with percentages in it as every page writes them: `typos in 10 % of the words`."""
    return CLOSE.sub(PER_CENT, text)


def signed(number: str) -> str:
    """A formatted number with the minus sign for its hyphen."""
    return number.replace("-", MINUS)


def plain(text: str) -> str:
    """The same in characters that every terminal and editor has: for what is printed or copied."""
    return text.replace(NARROW, " ").replace(FIXED, " ").replace(MINUS, "-")


def scaled(value: float, kind: Kind) -> float:
    """A value as it is plotted: shares in percent, numbers as they are."""
    return 100 * value if kind["unit"] == "share" else value


def rows_seen(training: dict[str, Any]) -> str:
    """How many training rows the model has seen: `1,280 of 1,728` where its steps ended before it had seen them all."""
    seen, rows = training["examples"], training["train_rows"]
    return f"{seen:,} of {rows:,}" if seen < rows else f"{rows:,}"


def number(interval: Interval, kind: Kind, decimals: int | None = None) -> str:
    """The value alone: `86.0 %`, or `1.42`."""
    return _formatted(interval, "value", kind, decimals)[0] + _unit(kind)


def with_interval(interval: Interval, kind: Kind, note: str = "") -> str:
    """`86.0 % (84.6 to 87.5)`, or `1.42 (1.31 to 1.53)`; `note` goes into the brackets, too."""
    value, low, high = _formatted(interval, "value", kind)
    inside = [f"{low} to {high}" if low else NO_INTERVAL, *([note] if note else [])]
    return f"{value}{_unit(kind)} ({', '.join(inside)})"


def between(interval: Interval, kind: Kind) -> str:
    """The interval alone, in the value's unit: `84.6 to 87.5`."""
    _, low, high = _formatted(interval, "value", kind)
    return f"{low} to {high}" if low else NO_INTERVAL


def difference(comparison: Comparison, kind: Kind) -> str:
    """`+7.7 points (+5.9 to +9.5)`, or `-0.35 (-0.41 to -0.29)`."""
    return f"{difference_alone(comparison, kind)} ({bounds(comparison, kind)})"


def bounds(comparison: Comparison, kind: Kind) -> str:
    """The interval of a difference: `+5.9 to +9.5`."""
    _, low, high = _formatted(comparison, "difference", kind, sign="+")
    return f"{low} to {high}" if low else NO_INTERVAL


def difference_alone(comparison: Comparison, kind: Kind) -> str:
    """`+7.7 points`, or `-0.35`."""
    return _formatted(comparison, "difference", kind, sign="+")[0] + (" points" if kind["unit"] == "share" else "")


def compact(interval: Interval, kind: Kind, bounds: bool = True) -> str:
    """Where a head says the unit, for a terminal: `88.0 (86.5-89.4)`, or without bounds `88.0`."""
    value, low, high = map(plain, _formatted(interval, "value", kind))
    between = ".." if low.startswith("-") else "-"
    return f"{value} ({low}{between}{high})" if low and bounds else value


def compact_difference(comparison: Comparison, kind: Kind) -> str:
    """Where a head says the unit, for a terminal: `+7.7 (+5.9..+9.5)`."""
    value, low, high = map(plain, _formatted(comparison, "difference", kind, sign="+"))
    return f"{value} ({low}..{high})" if low else value


def p_value(value: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def mean_and_deviation(values: list[float], kind: Kind, digits: int) -> str:
    """`93.92 ± 0.24 %`, of the same metric in several runs."""
    mean, deviation = (scaled(value, kind) for value in (statistics.mean(values), statistics.stdev(values)))
    return signed(f"{mean:.{digits}f}") + f" ± {deviation:.{digits}f}{_unit(kind)}"


def digits(interval: Interval, kind: Kind, key: str = "value") -> int:
    """The decimals that an interval is written with: one for percent, what its size asks for otherwise."""
    if kind["unit"] == "share":
        return 1
    return _decimals([interval[name] for name in (key, "low", "high") if interval[name] is not None])


def _formatted(
    interval: Interval, key: str, kind: Kind, decimals: int | None = None, sign: str = ""
) -> tuple[str, str, str]:
    """Value, low and high with the same decimals, without a unit; low and high are empty where there is no interval."""
    decimals = digits(interval, kind, key) if decimals is None else decimals
    value, low, high = (
        "" if interval[name] is None else signed(f"{scaled(interval[name], kind):{sign},.{decimals}f}")
        for name in (key, "low", "high")
    )
    return value, low, high


def _unit(kind: Kind) -> str:
    return PER_CENT if kind["unit"] == "share" else ""


def _decimals(values: list[float]) -> int:
    """Decimals for about three significant digits, and as many as it takes to tell the ends of an interval apart."""
    finite = [value for value in values if math.isfinite(value)]
    size = max(map(abs, finite), default=0.0)
    if size == 0:
        return 2
    decimals = 2 - math.floor(math.log10(size)) - (size < 1)
    half_width = (max(finite) - min(finite)) / 2
    if half_width > 0:
        decimals = max(decimals, -math.floor(math.log10(half_width)))
    return min(max(decimals, 0), 8)


# Names


def heading(kind: Kind) -> str:
    """A metric in the head of a column: `recall`, or `mean absolute error, lower is better`."""
    return kind["title"] if kind["higher_is_better"] else f"{kind['title']}, lower is better"


def axis(kind: Kind) -> str:
    """A metric above numbers without a unit: `recall in %`, or `mean absolute error (lower is better)`."""
    title = f"{kind['title']} in %" if kind["unit"] == "share" else kind["title"]
    return title if kind["higher_is_better"] else f"{title} (lower is better)"


def with_article(title: str) -> str:
    """`a recall`, `an F1`, `an MRR`."""
    first = re.split(r"[^A-Za-z]", title)[0]
    spelled = len(first) == 1 or (first.isupper() and not re.search("[AEIOU]", first))
    vowel = title[:1].upper() in VOWEL_NAMES if spelled else title[:1].lower() in tuple("aeiou")
    return f"{'an' if vowel else 'a'} {title}"


def shown(value: Any) -> str:
    """An input, a reference or an answer as text: a word as it is, a list with semicolons, fields by name."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(child)}" for name, child in value.items())
    if isinstance(value, list):
        return "; ".join(map(shown, value)) or "(nothing)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{_decimals([value])}f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
    return "(no answer)" if value is None or value == "" else printable(str(value))


def printable(text: str) -> str:
    """A text whose control characters can be seen, and do nothing: `\\x1b`, `\\u202e`."""
    return terminal.printable(OTHER_LINE_ENDS.sub("\n", text))


def excerpt(value: Any, limit: int = QUOTED) -> str:
    """The beginning of a long text, and how long it is: `The plaintiff ... … (28,113 characters)`."""
    text = shown(value)
    if len(text) <= limit:
        return text
    end = max(text.rfind(" ", limit - limit // 8, limit), 0) or limit
    while end > 1 and (unicodedata.category(text[end])[0] == "M" or JOINER in text[end - 1 : end + 1]):
        end -= 1  # an accent, a vowel sign or a part of an emoji stays with its letter
    return f"{text[:end].rstrip()} … ({len(text):,} characters)"


def said(value: Any, nothing: str, limit: int = QUOTED) -> str:
    """A reference or an answer; `nothing` is what the project calls an empty one."""
    return nothing if value in (None, "", []) else excerpt(value, limit)


def are_long(texts: Iterable[str]) -> bool:
    """Whether texts are mostly too long for a narrow column of a table."""
    lengths = [len(text) for text in texts]
    return bool(lengths) and statistics.median(lengths) > COLUMN


# Verdicts and sentences


def verdict(comparison: Comparison, kind: Kind) -> Literal["better", "worse", "unclear"]:
    """What can be said of the model against a baseline: something only where interval and test agree."""
    if comparison["low"] is None or comparison["p_value"] >= SIGNIFICANT:
        return "unclear"
    if comparison["low"] <= 0 <= comparison["high"]:
        return "unclear"
    return "better" if (comparison["low"] > 0) == kind["higher_is_better"] else "worse"


def clearly_worse(interval: Interval, value: float, kind: Kind) -> bool:
    """Whether a whole interval is worse than a value."""
    if interval["low"] is None:
        return False
    return interval["high"] < value if kind["higher_is_better"] else interval["low"] > value


def how_bad(interval: Interval, kind: Kind) -> float:
    """A key that sorts the worst first."""
    return interval["value"] if kind["higher_is_better"] else -interval["value"]


def weakest(results: Results) -> tuple[str, Interval] | None:
    """The out-of-domain set or slice of the test split on which it does worst, by name; None where there is neither."""
    metric, kind = results["primary_metric"], primary(results)
    found = [(name, part["metrics"][metric]) for name, part in results["out_of_domain"].items()]
    for row in results["slices"]:
        if "metrics" in row and row["examples"] < results["examples"]:
            found.append((f"{row['slice']}: {row['value']}", row["metrics"][metric]))
    return min(found, key=lambda pair: how_bad(pair[1], kind), default=None)


def achieves(interval: Interval, kind: Kind, rows: str) -> str:
    """What a model does on some rows: `gets 86.0 % (...) of those right`, `reaches an F1 of ... on those`."""
    if not kind["higher_is_better"]:
        return f"has {with_article(kind['title'])} of {with_interval(interval, kind, 'lower is better')} on {rows}"
    if kind["exact"] and kind["unit"] == "share":
        return f"gets {with_interval(interval, kind)} of {rows} right"
    return f"reaches {with_article(kind['title'])} of {with_interval(interval, kind)} on {rows}"


def unsure_below(threshold: float) -> str:
    """Below which confidence a model says that it is not sure; the sentence goes on."""
    return f"Below a confidence of {confidence(threshold)}, chosen on the validation split, it says that it is not sure"


def unsure(results: Results) -> str:
    """When a model says that it is not sure, in a sentence, given results that have `selective`."""
    threshold, coverage = (results["selective"][name] for name in ("threshold", "coverage"))
    if coverage == 0:
        because = "no part of its answers on the validation split was clearly more reliable than the rest"
        return f"It never says that it is sure: {because}."
    if threshold is None and coverage == 1:
        return "It never says that it is not sure: no threshold was chosen on the validation split."
    if threshold is None:
        return "It says itself where it is not sure; no threshold was chosen for its confidence."
    unlike = results["sections"].get("unlike")
    too = f"; so it does where the input is {unlike['doubt']}" if unlike else ""
    return f"{unsure_below(threshold)}{too}."


def sentence(results: Results) -> str:
    """The result in one sentence, the unfavourable ones said as plainly."""
    kind, comparison = primary(results), results["comparison"]
    achieved = achieves(results["metrics"][results["primary_metric"]], kind, f"{results['examples']:,} test examples")
    if not comparison:
        return f"The fine-tuned model {achieved}; no baseline was measured beside it."
    compared = {"better": "beats", "worse": "loses to", "unclear": "is not clearly better than"}[
        verdict(comparison, kind)
    ]
    short, title = (name(results, comparison["against"]) for name in (baseline_short, baseline_title))
    return (
        f"The fine-tuned model {achieved} and {compared} the best baseline ({short}: {title}): "
        f"{difference(comparison, kind)}, {p_value(comparison['p_value'])}."
    )


def model_name(model: dict[str, Any]) -> str:
    """What a pretrained model is called: `all-MiniLM-L6-v2`; as a starter, where the Hub has no name for it."""
    origin, starter = model["origin"], STARTER.match(model.get("reference", ""))
    if starter and "://" in origin:
        return starter[1]
    return origin.partition("@")[0].partition(", ")[0].rstrip("/").rpartition("/")[2] or origin


def verdicts(results: Results) -> list[tuple[str, str]]:
    """Where it wins, ties and loses, (verdict, words) each, that of the test split first; none without baselines.

    The words go on after "It", and after one another: `beats the best baseline on its own test rows and on amazon`,
    `is not clearly different from it on newspaper`, `loses to the baseline \u201cfrozen\u201d on tweets`.
    """
    kind = primary(results)
    found: dict[str, dict[str, list[str]]] = {}
    for name, part in parts(results).items():
        if comparison := part["comparison"]:
            reached = verdict(comparison, kind)
            against = f"the baseline \u201c{baseline_short(results, comparison['against'])}\u201d"
            against = against if reached == "worse" else "the best baseline"
            where = "on its own test rows" if name == "test" else f"on {name}"
            found.setdefault(reached, {}).setdefault(against, []).append(where)
    words = {"better": "beats", "unclear": "is not clearly different from", "worse": "loses to"}
    clauses: list[tuple[str, str]] = []
    named = ""
    for which, by_baseline in found.items():
        for against, names in by_baseline.items():
            clauses.append((which, f"{words[which]} {'it' if against == named else against} {listed(names)}"))
            named = against
    return clauses


def lead(results: Results) -> str:
    """Where it wins, ties and loses, as a sentence."""
    clauses = [clause for _, clause in verdicts(results)]
    if not clauses:
        return "No baseline was measured beside it, so nothing says whether fine-tuning was worth it."
    return f"It {', and '.join([', '.join(clauses[:-1]), clauses[-1]] if clauses[1:] else clauses)}."


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def elsewhere(results: Results, said: Callable[[str, str], str] = lambda _, clause: clause) -> str:
    """How it does out of domain, in one sentence; empty where there is nothing to compare.

    `said` makes of a verdict and its clause what stands in the sentence.
    """
    kind = primary(results)
    sets: dict[str, list[str]] = {"better": [], "unclear": [], "worse": []}
    for name, part in results["out_of_domain"].items():
        if comparison := part["comparison"]:
            sets[verdict(comparison, kind)].append(f"{name} ({difference_alone(comparison, kind)})")
    words = {"better": "better on", "unclear": "not clearly different on", "worse": "worse on"}
    clauses = [said(found, f"{words[found]} {' and '.join(names)}") for found, names in sets.items() if names]
    return f"Out of domain, compared with the best baseline there, it is {', '.join(clauses)}." if clauses else ""


def day(moment: str) -> str:
    """The day of a moment in ISO 8601: `26 November 2026`."""
    found = datetime.fromisoformat(moment)
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def took(seconds: float) -> str:
    """A duration as one says it: `45 seconds`, `1.7 minutes`, `3.2 hours`."""
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def missing(results: Results) -> list[str]:
    """What could not be measured, a sentence each."""
    return [
        f"{part['what'][:1].upper()}{part['what'][1:]} could not be measured: {part['why'].rstrip('.')}. "
        "`kit evaluate RUN` tries again."
        for part in results.get("failed", [])
    ]


def found(finding: dict[str, Any]) -> str:
    """What a check of the data found, and in how many rows: `radio.csv: equal texts (39 of 2,970 rows, 1.3 %)`."""
    if "problem" not in finding:  # of an older run
        return str(finding["text"])
    rows, of, what = finding["rows"], finding.get("of"), f"{finding['where']}: {finding['problem']}"
    if not rows:
        return what
    if of:
        return f"{what} ({rows:,} of {of:,} rows, {share(rows / of)})"
    return f"{what} ({rows:,} {'row' if rows == 1 else 'rows'})"


def sampled(results: Results) -> str:
    """Of how many test rows the near-duplicates are known, where not of all."""
    looked_up = results["data"].get("looked_up", {}).get("test", results["examples"])
    return f" (near-duplicates were looked for among {looked_up:,} of them)" if looked_up < results["examples"] else ""
