"""Equal and nearly equal rows, within a split and across splits: what training sees measures nothing.

Equal rows are looked for among all rows. For nearly equal ones `SAMPLE` rows of each split are looked up among all
training rows.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from common.data.findings import Finding, row_names
from common.data.schema import FindNear, Schema
from common.system.progress import track

# Rows of a split that are looked up among all training rows for near-duplicates: a sample of the larger splits.
SAMPLE = 5_000

Hashes: TypeAlias = NDArray[np.uint64]
Indices: TypeAlias = NDArray[np.int64]


def check_duplicates(
    splits: dict[str, Dataset], names: dict[str, str], schema: Schema
) -> tuple[list[Finding], dict[str, set[str]]]:
    """Rows that are the same, and nearly the same, within and across splits; equal means equal in the schema's key.

    Returns the findings, and of each split the ids of rows that are in train, too.
    """
    hashes = {}
    for split, rows in splits.items():
        hashes[split] = key_hashes(rows, schema.key, f"looking for duplicates in {names[split]}")
    findings: list[Finding] = []
    leaked: dict[str, set[str]] = {split: set() for split in splits}
    for split, rows in splits.items():
        findings += _equal_within(rows, hashes[split], names[split], schema)
        if split != "train":
            findings += _equal_across(split, splits, hashes, names, schema.noun, leaked[split])
    if schema.near:
        findings += _nearly_equal(splits, hashes, names, schema.noun, schema.near, leaked)
    return findings, leaked


def _equal_within(rows: Dataset, hashes: Hashes, name: str, schema: Schema) -> Iterator[Finding]:
    """Rows of one split that occur again, and those that occur with another reference."""
    if len(repeated := _repeated(hashes)):
        remedy = "keep one of each unless they are independent"
        yield Finding("warning", name, row_names(rows, repeated), f"{schema.noun}s that occurred before", remedy)
    if "reference" not in rows.column_names:
        return
    if len(contradictory := _contradictory(hashes, _exact_hashes(rows["reference"]))):
        problem = f"equal {schema.noun}s with different {schema.answer}s"
        yield Finding("warning", name, row_names(rows, contradictory), problem, f"decide for one {schema.answer} each")


def _equal_across(
    split: str,
    splits: dict[str, Dataset],
    hashes: dict[str, Hashes],
    names: dict[str, str],
    noun: str,
    leaked: set[str],
) -> Iterator[Finding]:
    """Rows of a split that training sees, whose ids go to `leaked`, or that the checkpoint is chosen on."""
    rows = splits[split]
    if len(both := np.flatnonzero(np.isin(hashes[split], hashes["train"]))):
        leaked |= set(rows[both]["id"])
        problem = f"{noun}s that stand in {names['train']} too"
        yield Finding("warning", names[split], row_names(rows, both), problem, _remedy(split))
    if split == "validation":
        return
    if len(both := np.flatnonzero(np.isin(hashes[split], hashes["validation"]))):
        problem = f"{noun}s that stand in {names['validation']} too"
        remedy = "the checkpoint was chosen on those; remove them on one side"
        yield Finding("warning", names[split], row_names(rows, both), problem, remedy)


def _nearly_equal(
    splits: dict[str, Dataset],
    hashes: dict[str, Hashes],
    names: dict[str, str],
    noun: str,
    near: FindNear,
    leaked: dict[str, set[str]],
) -> Iterator[Finding]:
    """Look a sample of every split up among all rows of train, and of train among its own; ids go to `leaked`."""
    sample = {
        split: np.sort(np.random.default_rng(0).permutation(len(rows))[:SAMPLE]) for split, rows in splits.items()
    }
    alike: dict[str, set[int]] = {split: set() for split in splits}
    for split, index, train_index in near(splits, sample):
        if hashes[split][index] != hashes["train"][train_index]:
            alike[split].add(index)
    for split, found in alike.items():
        if not found:
            continue
        rows, looked_up = splits[split], len(sample[split])
        among = f", among {looked_up} rows looked up" if looked_up < len(rows) else ""
        if split == "train":
            problem, remedy = f"{noun}s nearly equal to another{among}", "are they independent?"
        else:
            leaked[split] |= set(rows[sorted(found)]["id"])
            problem, remedy = f"{noun}s nearly equal to one in {names['train']}{among}", _remedy(split)
        yield Finding("warning", names[split], row_names(rows, sorted(found)), problem, remedy)


def _remedy(split: str) -> str:
    """What to do about rows of a split that training sees, too: only the test split has a score without them."""
    return "see the score on the other rows" if split == "test" else "remove them on one side"


def normalised(text: str) -> str:
    """The text without differences of case and white space: what counts as the same text."""
    return " ".join(text.casefold().split())


def key_hashes(rows: Dataset, key: tuple[str, ...], description: str = "") -> Hashes:
    """(n,) hashes of the rows' normalised `key` columns; a progress bar where there is a description."""
    cells = zip(*(rows[column] for column in key), strict=True)
    # A normalised text has no line break: ("a", "bc") and ("ab", "c") stay apart.
    texts = ("\n".join(normalised(_as_text(cell)) for cell in row) for row in cells)
    return _hashes(track(texts, description, len(rows)))


def _exact_hashes(values: Iterable[Any]) -> Hashes:
    """(n,) hashes of values as they are."""
    return _hashes(map(_as_text, values))


def _hashes(texts: Iterable[str]) -> Hashes:
    """(n,) 64-bit hashes: 8 bytes a row, however long the texts are."""
    digests = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _as_text(cell: Any) -> str:
    """A cell as text that is equal for equal cells."""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, sort_keys=True, default=str)


def _repeated(hashes: Hashes) -> Indices:
    """Indices of values that occurred before."""
    first = np.unique(hashes, return_index=True)[1]
    return np.setdiff1d(np.arange(len(hashes)), first)


def _contradictory(hashes: Hashes, references: Hashes) -> Indices:
    """Indices of rows with equal hashes that do not all have one reference.

    Hashes (7, 5, 7, 5) with references (1, 2, 1, 3): the least and the largest reference of 7 are both 1, those of 5
    are 2 and 3, so the rows 1 and 3 contradict each other.
    """
    text = np.unique(hashes, return_inverse=True)[1]  # (n,) which of the different texts a row has
    least = np.full(len(hashes), np.iinfo(np.uint64).max, dtype=np.uint64)
    largest = np.zeros(len(hashes), dtype=np.uint64)
    np.minimum.at(least, text, references)
    np.maximum.at(largest, text, references)
    return np.flatnonzero(least[text] != largest[text])
