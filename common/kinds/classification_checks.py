"""Rows with one label each: how a label is read, and what can be wrong with the labels."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from datasets import Dataset

from common.config import Config
from common.data.findings import Finding, row_names, shortened
from common.data.looks import is_blank, look, rough_look, sharing, spelled
from common.data.schema import Column, FindNear, Schema, grouping_columns
from common.data.splits import Data
from common.data.tables import RowProblem

# Labels that a message names.
SHOWN = 3


def label_columns(config: Config, label_column: str) -> dict[str, Column]:
    """The columns that every project with labels reads beside its input: label, perhaps group, those to slice by."""
    label = Column(label_column, "--label_column", label_cell)
    return {"reference": label, **grouping_columns(config.group_column, config.slice_columns)}


def label_schema(columns: dict[str, Column], key: tuple[str, ...], noun: str, near: FindNear | None = None) -> Schema:
    """A schema of rows whose reference is a label: made splits are stratified by it, and the labels are checked."""
    return Schema(
        columns,
        key,
        noun,
        near,
        answer="label",
        stratify="reference",
        counted=lambda rows: {"labels": len(rows.unique("reference"))},
        checks=(check_labels,),
        checks_after_split=(check_labels_left,),
    )


def labels_of(data: Data) -> list[str]:
    """The labels in the order of their class ids.

    Those of all splits: where rows are few, making the splits may have taken all rows of a label out of train, and
    the test rows of this label count nevertheless.
    """
    return sorted({label for rows in data.splits.values() for label in rows.unique("reference")})


def label_cell(value: Any) -> str:
    """A label as text; 3.0 is 3.  Raises RowProblem on an empty cell or one that holds no label."""
    if value is None or value != value or (isinstance(value, str) and is_blank(value)):
        raise RowProblem("an empty label (fill in or remove these rows)")
    if isinstance(value, list | dict):
        raise RowProblem("a label that is a list or an object (give one label a row)")
    if isinstance(value, bytes):
        raise RowProblem("a label of bytes that are no UTF-8 (save the column as text in UTF-8)")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def check_labels(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Labels that look the same, that occur once, that training never sees, that differ only by case, width or blanks.

    `names` says which file each split is.
    """
    counts = Counter(splits["train"]["reference"])
    if len(counts) < 2:
        problem = f"every row has the label {next(iter(counts))!r}"
        yield Finding("error", names["train"], [], problem, "give rows of at least two labels")
    yield from _single_labels(splits["train"], names["train"], counts)
    yield from _same_look(splits["train"], names["train"], counts)
    yield from _nearly_same_look(names["train"], counts)
    if padded := sorted(label for label in counts if label != label.strip()):
        problem = f"labels with blanks at their ends ({shortened(padded)})"
        yield Finding("warning", names["train"], [], problem, "remove these blanks")
    for split, unseen, rows in _unseen_labels(splits):
        problem = f"labels that no training row has ({_beside_known(unseen, set(counts))})"
        remedy = "write them as the training rows do, add training rows of these labels, or remove these rows"
        yield Finding("error", names[split], rows, problem, remedy)


def _same_look(train: Dataset, name: str, counts: Counter[str]) -> Iterator[Finding]:
    """Labels that look the same, with the rows of those that are written in an unusual way."""
    for forms in sharing(sorted(counts), look):
        usual = look(forms[0]) if look(forms[0]) in forms else max(forms, key=lambda form: counts[form])
        unusual = [index for index, label in enumerate(train["reference"]) if label in forms and label != usual]
        problem = f"labels that look the same ({', '.join(map(spelled, forms))})"
        yield Finding("error", name, row_names(train, unusual), problem, f"write them all as {usual!a}")


def _nearly_same_look(name: str, counts: Counter[str]) -> Iterator[Finding]:
    for forms in sharing(sorted({look(label) for label in counts}), rough_look):
        problem = f"labels that differ only by case, blanks, width or .0 ({', '.join(map(spelled, forms))})"
        yield Finding("warning", name, [], problem, "write them alike if they mean the same")


def _beside_known(unseen: list[str], known: set[str]) -> str:
    """The first unseen labels, each with the training label that it may be."""
    by_form = {rough_look(label): label for label in sorted(known)}
    listed = []
    for label in unseen[:SHOWN]:
        similar = by_form.get(rough_look(label))
        listed.append(f"{spelled(label)}, but {spelled(similar)} is one" if similar else repr(label))
    return ", ".join(listed) + (", ..." if len(unseen) > SHOWN else "")


def _single_labels(train: Dataset, name: str, counts: Counter[str]) -> Iterator[Finding]:
    """Labels that occur once; where most rows have such a label, the column is probably not the labels' one."""
    single = [label for label, count in counts.items() if count == 1]
    if len(single) > len(train) / 2:
        problem = f"{len(single)} of {len(counts)} labels occur once"
        yield Finding("error", name, [], problem, "is it the right column? Name it with --label_column")
    elif single:
        rows = row_names(train, [index for index, label in enumerate(train["reference"]) if counts[label] == 1])
        remedy = "add rows of these labels, or merge them"
        yield Finding("warning", name, rows, f"labels that occur once ({shortened(single)})", remedy)


def check_labels_left(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Labels that are missing from train because every row with them went to another split that was made.

    Also those of the rows that were added to train which look like others of it.
    """
    if "extra" in names:
        yield from _same_look(splits["train"], names["extra"], Counter(splits["train"]["reference"]))
    for split, unseen, rows in _unseen_labels(splits):
        problem = f"labels that no training row has ({shortened(unseen)})"
        remedy = "the model cannot give these; add rows of these labels in other groups"
        yield Finding("warning", names[split], rows, problem, remedy)


def _unseen_labels(splits: dict[str, Dataset]) -> Iterator[tuple[str, list[str], list[int] | list[str]]]:
    """(split, labels, rows) of the labels that no training row has."""
    seen = set(splits["train"]["reference"])
    for split, rows in splits.items():
        if unseen := set(rows["reference"]) - seen:
            indices = [index for index, label in enumerate(rows["reference"]) if label in unseen]
            yield split, sorted(unseen), row_names(rows, indices)
