"""The test rows in the report: what its error browser shows of each, as data that templates/report.js reads.

Whether an answer is right, and the words for its score, stand in the data: the page computes no metric.
"""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from common.reporting import wording
from common.reporting.figures import small_picture
from common.run import Run, input_name
from common.system.files import sha256

# Characters of a text that are shown, and bytes of all rows together, and of all small pictures.
QUOTED, MOST_BYTES, MOST_PICTURES = 600, 850_000, 300_000
# The test set's share of the bytes, before the other sets have theirs.
FIRST = 0.6
# Pixels of a small picture's longer side.
SMALL = 96
# What a part of a marked text is.
PLAIN, FOUND, MISSED, INVENTED, OTHERWISE = range(5)
# Grades of a row.
RIGHT, WRONG = "right", "wrong"
# What would end a script, or a line of one, in an HTML page.
UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Row:
    """A test row as the page shows it.

    Attributes:
        given: a text; or {"fields": (name, text) pairs}; or {"marks": (text, what it is) pairs}.
        grade: `right`, `wrong`, or the row's own score in words.
        right: None where a row cannot be right or wrong.
        slices: indexes of its slices in the results.
        nothing: the right answer is that there is none.
        badness: a key that sorts the worst first.
    """

    id: str
    set: str
    name: str
    given: str | dict[str, Any]
    reference: str
    answer: str
    confidence: float | None
    sure: bool
    doubt: str
    grade: str
    right: bool | None
    baseline: str
    baseline_grade: str
    baseline_right: bool | None
    slices: list[int]
    leaked: bool
    quoted: bool
    nothing: bool
    badness: tuple[Any, ...]


@dataclass(frozen=True)
class Browser:
    """The rows of a report.

    Attributes:
        rows: the worst first.
        measured: {test set: how many rows it has}; of large sets the report holds the worst.
        pictures: {id: address of its small picture} of rows that the run has one of.
        data: the rows as JSON that can stand in a script element.
    """

    rows: list[Row]
    measured: dict[str, int]
    pictures: dict[str, str]
    data: Markup

    @property
    def left_out(self) -> dict[str, int]:
        """{test set: how many of its rows are here} of those that are here in part."""
        shown = dict.fromkeys(self.measured, 0)
        for row in self.rows:
            shown[row.set] += 1
        return {name: count for name, count in shown.items() if count < self.measured[name]}

    @property
    def kinds(self) -> set[str]:
        """What rows can be chosen by: right, confidence, unsure, slices, nothing; what is explained: quoted, marks."""
        found = {
            "right": any(row.right is not None for row in self.rows),
            "confidence": any(row.confidence is not None for row in self.rows),
            "unsure": any(not row.sure for row in self.rows),
            "slices": any(row.slices for row in self.rows),
            "nothing": len({row.nothing for row in self.rows}) > 1,
            "quoted": any(row.quoted for row in self.rows),
            "marks": any("marks" in row.given for row in self.rows if isinstance(row.given, dict)),
        }
        return {name for name, is_there in found.items() if is_there}


def records(run: Run, results: wording.Results) -> Iterator[dict[str, Any]]:
    """The lines of predictions.jsonl.  Raises ValueError where it is not what the results were made from."""
    if sha256(run.predictions) != results["predictions_sha256"]:
        raise ValueError(f"{run.predictions.name} is not the file that was measured")
    with run.predictions.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


def browser(run: Run, results: wording.Results, nothing: str = "(nothing)") -> Browser:
    """The rows of a finished run; `nothing` is what an empty answer is called.  Raises ValueError as `records` does."""
    by_set: dict[str, list[Row]] = {name: [] for name in wording.parts(results)}
    for row in _rows(run, results, nothing):
        by_set[row.set].append(row)
    rows = sorted(_fitting(by_set.values()), key=lambda row: row.badness)
    measured = {name: len(rows) for name, rows in by_set.items()}
    pictures = _pictures(run, rows)
    return Browser(rows, measured, pictures, _as_data(rows, list(by_set), pictures))


def _pictures(run: Run, rows: list[Row]) -> dict[str, str]:
    """{id: address of a small picture} of the rows that the run has a picture of, as many as fit."""
    kept = {file.stem: file for file in run.files("inputs") if file.suffix == ".png"}
    found: dict[str, str] = {}
    size = 0
    for row in rows:
        if file := kept.get(input_name(row.id)):
            address = small_picture(file, SMALL)
            size += len(address)
            if size > MOST_PICTURES:
                break
            found[row.id] = address
    return found


def _rows(run: Run, results: wording.Results, nothing: str) -> Iterator[Row]:
    kind = wording.primary(results)
    best = {name: (part["comparison"] or {}).get("against") for name, part in wording.parts(results).items()}
    several = len({*best.values()} - {None}) > 1
    named = {key: f" ({wording.baseline_short(results, key)})" if several else "" for key in results["baseline_titles"]}
    slice_ids = {(row["slice"], row["value"]): index for index, row in enumerate(results["slices"])}
    for place, record in enumerate(records(run, results)):
        if "score" not in record:
            raise ValueError(f"an earlier version of the kit measured them, `kit evaluate {run.folder}` does again")
        against = best[record["set"]]
        row = _row(record, place, against, kind, slice_ids, nothing)
        yield row if against is None else replace(row, baseline_grade=row.baseline_grade + named[against])


def _row(
    record: dict[str, Any],
    place: int,
    best: str | None,
    kind: wording.Kind,
    slice_ids: dict[tuple[str, str], int],
    nothing: str,
) -> Row:
    words, prediction, reference = record.get("words", {}), record["prediction"], record["reference"]
    score, confidence = record["score"], prediction.get("confidence")
    right, baseline_score = is_right(score, kind), record["baseline_scores"].get(best)
    value = record["baselines"].get(best, {}).get("value")
    return Row(
        id=record["id"],
        set=record["set"],
        name=_name(record["id"]),
        given=_given(record),
        reference=_said(words.get("reference"), reference, nothing),
        answer=_said(words.get("prediction"), prediction["value"], nothing),
        confidence=None if confidence is None else round(confidence, 4),
        sure=prediction.get("sure", True),
        doubt=_doubt(prediction),
        grade=_grade(score, kind, reference, prediction["value"]),
        right=right,
        baseline="" if best is None else _said(words.get("baselines", {}).get(best), value, nothing),
        baseline_grade="" if best is None else _grade(baseline_score, kind, reference, value),
        baseline_right=None if best is None else is_right(baseline_score, kind),
        slices=[slice_ids[part] for part in record.get("slices", {}).items() if part in slice_ids],
        leaked=record["leaked"],
        quoted=any(len(text) > QUOTED for text in _texts(record["input"])),
        nothing=reference in (None, "", []),
        badness=_badness(score, confidence or 0.0, baseline_score, right, kind, place),
    )


def _said(words: Any, value: Any, nothing: str) -> str:
    """An answer in the task's words, or as it stands where there are none."""
    return wording.said(value if words is None else words, nothing, QUOTED)


def is_right(score: float | None, kind: wording.Kind) -> bool | None:
    """Whether a row has the best score that there is; None where it has no score, or none is the best."""
    if score is None or (kind["higher_is_better"] and kind["unit"] != "share"):
        return None
    return bool(score == (1.0 if kind["higher_is_better"] else 0.0))


def _badness(
    score: float | None,
    confidence: float,
    baseline_score: float | None,
    right: bool | None,
    kind: wording.Kind,
    place: int,
) -> tuple[Any, ...]:
    """The worst score first, of equal ones the most confident, then what the baseline does best.

    But of right answers the least confident, then what the baseline does worst.
    """
    if score is None:
        return (math.inf, confidence, 0.0, place)
    sign = 1 if kind["higher_is_better"] else -1
    theirs = sign * (baseline_score or 0.0)
    return (sign * score, confidence, theirs, place) if right else (sign * score, -confidence, -theirs, place)


def _doubt(prediction: dict[str, Any]) -> str:
    """Whether the model is not sure, and why, where it says so."""
    if prediction.get("sure", True):
        return ""
    return f"not sure: {wording.printable(prediction['doubt'])}" if prediction.get("doubt") else "not sure"


def _grade(score: float | None, kind: wording.Kind, reference: Any, answer: Any) -> str:
    """A row's own score in words: `right`, `wrong`, `1 of 2 right`, `at rank 3`, or the score."""
    if score is None:
        return ""
    if kind["higher_is_better"] and kind["unit"] == "share":
        if score in (0.0, 1.0):
            return RIGHT if is_right(score, kind) else WRONG
        if counted := _counted(reference, answer):
            return counted
    return f"{kind['title']} {wording.number({'value': score, 'low': None, 'high': None}, kind)}"


def _counted(reference: Any, answer: Any) -> str:
    """How much of a list of spans is right, or where the first right one of a ranking stands; empty for others."""
    if not isinstance(reference, list) or not isinstance(answer, list):
        return ""
    if all(isinstance(one, str) for one in answer) and all(isinstance(one, dict) for one in reference):
        right = {one.get("document") for one in reference}
        rank = next((rank for rank, one in enumerate(answer, start=1) if one in right), None)
        return f"at rank {rank}" if rank else ""
    true, said = (_spans(value, "") for value in (reference, answer))
    if not true or not said:
        return ""
    found = len({*true} & {*said})
    more = len(said) - found
    return f"{found} of {len(true)} right{f', {more} wrong' if more else ''}"


def _name(row_id: str) -> str:
    """What a reader calls a row: `row 17` of its file, or the row's own file."""
    name = row_id.partition(":")[2] or row_id
    return f"row {name}" if name.isdecimal() else wording.printable(name)


def _given(record: dict[str, Any]) -> str | dict[str, Any]:
    """The input: its spans marked where reference and answer are spans in it."""
    given = record["input"]
    if isinstance(given, dict):
        return {"fields": [(wording.printable(name), wording.excerpt(value, QUOTED)) for name, value in given.items()]}
    spans = [_spans(value, given) for value in (record["reference"], record["prediction"]["value"])]
    if any(spans) and None not in spans and len(given) <= QUOTED:
        return {"marks": marked(given, *(span or [] for span in spans))}
    return wording.excerpt(given, QUOTED)


def _texts(given: Any) -> list[str]:
    return [wording.shown(value) for value in (given.values() if isinstance(given, dict) else [given])]


# First character, last character + 1, and what stands there.
Span = tuple[int, int, str]


def _spans(value: Any, given: Any) -> list[Span] | None:
    """A value that is a list of spans of a text; None where it is anything else."""
    if not isinstance(value, list) or not isinstance(given, str):
        return None
    found = []
    for one in value:
        if not isinstance(one, dict) or not all(isinstance(one.get(end), int) for end in ("start", "end")):
            return None
        kind = {name: part for name, part in one.items() if name not in ("start", "end")}
        if any(part is not None for part in kind.values()):  # else nobody knows what stands there
            found.append((one["start"], one["end"], json.dumps(kind, sort_keys=True)))
    return found


def marked(text: str, reference: list[Span], answer: list[Span]) -> list[tuple[str, int]]:
    """The text in parts, each with what it is.

    PLAIN, FOUND, MISSED, INVENTED, or OTHERWISE: both mark it, but as something else, or not from the same place to the
    same place.
    """
    ends = {end for start, stop, _ in (*reference, *answer) for end in (start, stop) if 0 < end < len(text)}
    cuts = [0, *sorted(ends), len(text)]
    parts: list[tuple[str, int]] = []
    for start, end in itertools.pairwise(cuts):
        true, said = ({span for span in spans if span[0] <= start and end <= span[1]} for spans in (reference, answer))
        both = FOUND if true == said else OTHERWISE
        what = both if true and said else MISSED if true else INVENTED if said else PLAIN
        parts.append((wording.printable(text[start:end]), what))
    return parts


def _fitting(sets: Iterable[list[Row]]) -> list[Row]:
    """As many rows as fit, each set worst first: most of the test set, the others in turn, the rest of it."""
    test, *others = (sorted(rows, key=_key) for rows in sets)
    space = _Space()
    begun = list(itertools.takewhile(lambda row: space.takes(row, FIRST), test))
    in_turn = (row for of_rank in itertools.zip_longest(*others) for row in of_rank if row)
    return [*begun, *itertools.takewhile(space.takes, in_turn), *itertools.takewhile(space.takes, test[len(begun) :])]


class _Space:
    """The bytes that all rows may take together; a text that comes again takes none, but for that of a whole input."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.taken = 0

    def takes(self, row: Row, share: float = 1.0) -> bool:
        """Whether there is room for a row in a share of the space; its place is taken then."""
        fields = row.given["fields"] if isinstance(row.given, dict) and "fields" in row.given else []
        new = {row.reference, row.answer, row.baseline, *(text for _, text in fields)} - self.texts
        size = sum(map(_bytes, [*new, "" if fields else row.given]))
        if self.taken + size > share * MOST_BYTES:
            return False
        self.texts |= new
        self.taken += size
        return True


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _key(row: Row) -> tuple[Any, ...]:
    return row.badness


def _indexed(given: str | dict[str, Any], index: Callable[[str], int]) -> str | dict[str, Any]:
    """What was asked, the texts of fields by their index: many questions may be about one text."""
    if isinstance(given, dict) and "fields" in given:
        return {"fields": [(name, index(text)) for name, text in given["fields"]]}
    return given


def _as_data(rows: list[Row], sets: list[str], pictures: dict[str, str]) -> Markup:
    """The rows column by column, texts that occur often by their index in `texts`."""
    texts: dict[str, int] = {}

    def index(text: str) -> int:
        return texts.setdefault(text, len(texts))

    columns: dict[str, list[Any]] = {
        "set": [sets.index(row.set) for row in rows],
        "name": [row.name for row in rows],
        "given": [_indexed(row.given, index) for row in rows],
        "place": [row.badness[-1] for row in rows],
        "confidence": [row.confidence for row in rows],
        "slices": [row.slices for row in rows],
    }
    for name in ("reference", "answer", "baseline", "grade", "baseline_grade", "doubt"):
        columns[name] = [index(getattr(row, name)) for row in rows]
    columns["how_sure"] = [index("" if row.confidence is None else wording.share(row.confidence)) for row in rows]
    for name in ("sure", "right", "baseline_right", "leaked", "nothing"):
        columns[name] = [None if (value := getattr(row, name)) is None else int(value) for row in rows]
    picture = {number: pictures[row.id] for number, row in enumerate(rows) if row.id in pictures}
    content = {"sets": sets, "texts": list(texts), "pictures": picture, "columns": columns}
    return Markup(json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(UNSAFE))
