"""What is wrong with the rows, said before training: which file, which rows, what to do.

Errors stop the run; warnings are counted in the report, with the score on the rows that none of them
touches. Nothing is dropped.
"""

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from common.errors import UserError
from common.evaluation.intervals import FEWEST_GROUPS
from common.progress import track

if TYPE_CHECKING:
    from common.tables import Problems

# Rows of a split that are looked up among all training rows for near-duplicates: a sample of the larger splits.
SAMPLE = 5_000
# Share of common word triples (Jaccard) from which two texts count as nearly the same.
NEAR = 0.8
PERMUTATIONS = 64

# (split, its row, the training row that is nearly the same), rows as places in their split.
Match = tuple[str, int, int]
# Finds, for the sampled places of each split, the training rows that hold nearly the same.
Near = Callable[[dict[str, Dataset], dict[str, NDArray[np.int64]]], Iterator[Match]]


@dataclass(frozen=True)
class Finding:
    """One kind of problem in one place.

    Attributes:
        severity: errors stop the run, warnings are counted.
        where: file or split.
        rows: numbers of the rows, counted from 1 without the header, or the names of their files.
        problem, remedy: what is wrong, and what to do.
    """

    severity: Literal["error", "warning"]
    where: str
    rows: list[int] | list[str]
    problem: str
    remedy: str

    def __str__(self) -> str:
        stop = "" if self.remedy.endswith("?") else "."
        return f"{self.where}{_row_list(self.rows)}: {self.problem}: {self.remedy}{stop}"


def check_row_problems(where: str, problems: "Problems", findings: list[Finding]) -> None:
    """Turn what was wrong with single rows into findings."""
    for problem, rows in problems.rows.items():
        what, _, remedy = problem.partition(" (")
        findings.append(Finding("error", where, rows, what, remedy.rstrip(")") or "correct or remove these rows"))


def stop_on_errors(findings: Iterable[Finding]) -> None:
    """Raise UserError with every error among the findings."""
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        raise UserError(errors[0] if len(errors) == 1 else "the data cannot be trained on:\n  " + "\n  ".join(errors))


def check_labels(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Labels that occur once, labels that training never sees, labels that differ only by case or blanks.

    `names` says which file each split is.
    """
    train = Counter(splits["train"]["label"])
    if len(train) < 2:
        yield Finding("error", names["train"], [], f"every row has the label {next(iter(train))!r}", "give rows of at least two labels")
    once = [label for label, count in train.items() if count == 1]
    if len(once) > len(splits["train"]) / 2:
        remedy = "is it the right column? Name it with --label_column"
        yield Finding("error", names["train"], [], f"{len(once)} of {len(train)} labels occur once", remedy)
    elif once:
        rows = row_names(splits["train"], [place for place, label in enumerate(splits["train"]["label"]) if train[label] == 1])
        yield Finding("warning", names["train"], rows, f"labels that occur once ({_short(once)})", "add rows of these labels, or merge them")
    by_form: dict[str, set[str]] = {}
    for label in train:
        by_form.setdefault(normalised(label), set()).add(label)
    for forms in by_form.values():
        if len(forms) > 1:
            problem = f"labels that differ only by case or blanks ({_short(sorted(forms))})"
            yield Finding("warning", names["train"], [], problem, "write them alike if they mean the same")
    for split, unseen, rows in _unseen_labels(splits):
        problem = f"labels that no training row has ({_short(unseen)})"
        yield Finding("error", names[split], rows, problem, "add training rows of these labels, or remove these rows")


def check_labels_left(splits: dict[str, Dataset], names: dict[str, str], labels: list[str]) -> Iterator[Finding]:
    """Labels that training never sees, because the splits that were made from its rows took all of them; rows hold places in `labels`."""
    for split, unseen, rows in _unseen_labels(splits):
        problem = f"labels that no training row has ({_short([labels[number] for number in unseen])})"
        yield Finding("warning", names[split], rows, problem, "the model cannot give these; add rows of these labels in other groups")


def _unseen_labels(splits: dict[str, Dataset]) -> Iterator[tuple[str, list[Any], list[int] | list[str]]]:
    """(split, labels, rows) of the labels that no training row has."""
    train = set(splits["train"]["label"])
    for split, rows in splits.items():
        if unseen := set(rows["label"]) - train:
            yield split, sorted(unseen), row_names(rows, [place for place, label in enumerate(rows["label"]) if label in unseen])


def check_groups(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Groups that stand on both sides of a split, and rows that name none."""
    if "group" not in splits["train"].column_names:
        return
    for split, rows in splits.items():
        if alone := [place for place, (group, row_id) in enumerate(zip(rows["group"], rows["id"], strict=True)) if group == row_id]:
            yield Finding("warning", names[split], row_names(rows, alone), "no group", "each counts as a group of its own; name it if it belongs to one")
    for seen in ("train", "validation"):
        known = set(splits[seen]["group"]) if seen in splits else set()
        for split, rows in splits.items():
            if split in ("train", seen):
                continue
            if both := row_names(rows, [place for place, group in enumerate(rows["group"]) if group in known]):
                yield Finding("error", names[split], both, f"groups that {names[seen]} has too", _group_remedy(split))


def _group_remedy(split: str) -> str:
    """What to do about groups on both sides; an out-of-domain set is never made from the training rows, and may count its users from 1, too."""
    if split in ("validation", "test"):
        return "give --train_file alone, so that the splits are made by group"
    return "remove these rows on one side, or, if they are other groups that are named alike, write their names differently"


def check_few_groups(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Sets that are measured on, but have too few groups for an interval."""
    for split, rows in splits.items():
        if split in ("train", "validation") or "group" not in rows.column_names:
            continue
        if (groups := len(set(rows["group"]))) < FEWEST_GROUPS:
            remedy = f"intervals need {FEWEST_GROUPS} or more, and are given as 0 to 100 %: give rows of more groups"
            yield Finding("warning", names[split], [], f"rows of {groups} {'group' if groups == 1 else 'groups'} only", remedy)


def normalised(text: str) -> str:
    """The text without differences of case and white space: what counts as the same text."""
    return " ".join(text.casefold().split())


def content_hashes(texts: Any) -> NDArray[np.uint64]:
    """(n,) 64-bit hashes of the normalised texts; 8 bytes a row, however long the texts are."""
    hashes = (hashlib.blake2b(normalised(text).encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(hashes), dtype=np.uint64)


def check_duplicates(splits: dict[str, Dataset], key: str, noun: str, names: dict[str, str], near: Near) -> tuple[list[Finding], dict[str, set[str]]]:
    """Rows that hold the same, and nearly the same, within and across splits; equal means equal in the column `key`.

    Equal ones are looked for among all rows. For near ones `SAMPLE` rows of each split are looked up among all training
    rows. Returns the findings, and per split the ids of rows that stand in train, too.
    """
    findings: list[Finding] = []
    leaked: dict[str, set[str]] = {split: set() for split in splits}
    hashes = {split: content_hashes(track(rows[key], f"looking for duplicates in {names[split]}", len(rows))) for split, rows in splits.items()}
    for split, rows in splits.items():
        if len(doubles := _repeats(hashes[split])):
            remedy = "keep one of each unless they are independent"
            findings.append(Finding("warning", names[split], row_names(rows, doubles), f"{noun}s that occurred before", remedy))
        contradictory = _contradictions(hashes[split], np.unique(rows["label"], return_inverse=True)[1])
        if len(contradictory):
            remedy = "decide for one label each"
            findings.append(Finding("warning", names[split], row_names(rows, contradictory), f"equal {noun}s with different labels", remedy))
        if split != "train" and len(both := np.flatnonzero(np.isin(hashes[split], hashes["train"]))):
            leaked[split] |= set(rows[both]["id"])
            problem = f"{noun}s that stand in {names['train']} too"
            findings.append(Finding("warning", names[split], row_names(rows, both), problem, _remedy(split)))
        if split not in ("train", "validation") and len(both := np.flatnonzero(np.isin(hashes[split], hashes["validation"]))):
            problem, remedy = f"{noun}s that stand in {names['validation']} too", "the checkpoint was chosen on those; remove them on one side"
            findings.append(Finding("warning", names[split], row_names(rows, both), problem, remedy))
    findings += _near_duplicates(splits, noun, names, leaked, hashes, near)
    return findings, leaked


def _near_duplicates(
    splits: dict[str, Dataset], noun: str, names: dict[str, str], leaked: dict[str, set[str]], hashes: dict[str, Any], near: Near
) -> list[Finding]:
    """Look a sample of every split up among all rows of train, and of train among its own."""
    sample = {split: np.sort(np.random.default_rng(0).permutation(len(rows))[:SAMPLE]) for split, rows in splits.items()}
    alike: dict[str, set[int]] = {split: set() for split in splits}
    for split, place, train_place in near(splits, sample):
        if hashes[split][place] != hashes["train"][train_place]:
            alike[split].add(place)
    findings = []
    for split, found in alike.items():
        if not found:
            continue
        rows, looked = splits[split], len(sample[split])
        among = f", among {looked} rows looked up" if looked < len(rows) else ""
        if split == "train":
            problem, remedy = f"{noun}s nearly equal to another{among}", "are they independent?"
        else:
            leaked[split] |= set(rows[sorted(found)]["id"])
            problem, remedy = f"{noun}s nearly equal to one in {names['train']}{among}", _remedy(split)
        findings.append(Finding("warning", names[split], row_names(rows, sorted(found)), problem, remedy))
    return findings


def _remedy(split: str) -> str:
    """What to do about rows of a split that training sees, too: the report gives a score without them for the test split alone."""
    return "see the score on the other rows" if split == "test" else "remove them on one side"


def near_texts(splits: dict[str, Dataset], sample: dict[str, NDArray[np.int64]]) -> Iterator[Match]:
    """Texts that share most of their word triples (MinHash, Broder 1997)."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=NEAR, num_perm=PERMUTATIONS)
    looked_up: dict[tuple[str, int], set[int]] = {}
    for split, places in sample.items():
        for place, text in zip(places.tolist(), splits[split][places]["text"], strict=True):
            if shingles := _shingles(text):
                looked_up[split, place] = shingles
                index.insert((split, place), _signature(shingles))
    # Two texts of Jaccard similarity 0.8 share 0.8 of either's triples: most rows need no signature at all.
    known = set().union(*looked_up.values())
    train = splits["train"]
    for start in track(range(0, len(train), 1_000), "looking for near-duplicates"):
        for place, text in enumerate(train[start : start + 1_000]["text"], start=start):
            shingles = _shingles(text)
            if not shingles or len(shingles & known) < NEAR * len(shingles):
                continue
            for split, other in index.query(_signature(shingles)):
                if _jaccard(shingles, looked_up[split, other]) >= NEAR:
                    yield split, other, place


def _shingles(text: str) -> set[int]:
    """Hashes of the text's word triples; none for a text of fewer than three words."""
    words = re.findall(r"\w+", text.casefold())[:512]
    if len(words) < 3:
        return set()
    return {zlib.crc32(" ".join(words[place : place + 3]).encode("utf-8", "surrogatepass")) for place in range(len(words) - 2)}


def _signature(shingles: set[int]) -> Any:
    from datasketch import MinHash

    signature = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
    signature.update_batch(list(shingles))
    return signature


def _jaccard(left: set[int], right: set[int]) -> float:
    return len(left & right) / len(left | right)


def _repeats(hashes: Any) -> Any:
    """Places of values that occurred before."""
    first = np.unique(hashes, return_index=True)[1]
    return np.setdiff1d(np.arange(len(hashes)), first)


def _contradictions(hashes: Any, labels: Any) -> Any:
    """Places of equal texts that do not all have one label."""
    _, text = np.unique(hashes, return_inverse=True)
    low, high = np.full(text.max() + 1, np.iinfo(np.int64).max), np.full(text.max() + 1, -1)
    np.minimum.at(low, text, labels)
    np.maximum.at(high, text, labels)
    return np.flatnonzero(low[text] != high[text])


def row_names(rows: Dataset, places: Any) -> list[int] | list[str]:
    """Row numbers in the file, or the names of the rows' own files, out of the ids."""
    if not len(places):
        return []
    names = [row_id.partition(":")[2] for row_id in rows[list(places)]["id"]]
    return [int(name) for name in names] if all(name.isdecimal() for name in names) else names


def _row_list(rows: list[int] | list[str], shown: int = 5) -> str:
    if not rows:
        return ""
    listed = ", ".join(map(str, rows[:shown]))
    more = f" and {len(rows) - shown} more" if len(rows) > shown else ""
    kind = "" if isinstance(rows[0], str) else "row " if len(rows) == 1 else "rows "
    return f", {kind}{listed}{more}"


def _short(names: list[str], shown: int = 3) -> str:
    return ", ".join(map(repr, names[:shown])) + (", ..." if len(names) > shown else "")
