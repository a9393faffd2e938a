"""Where the rows come from: CoNLL files, tables with tokens or with spans, a Hub id, or a starter."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from datasets import Dataset

from common.data.findings import Finding, row_names
from common.data.looks import look, rough_look, sharing, spelled
from common.data.near_texts import near_texts
from common.data.schema import Column, Schema, grouping_columns
from common.data.sources import from_options
from common.data.splits import Data, load_splits

from .conll import Reader
from .entities import from_spans, from_tags
from .starter_data import STARTERS

if TYPE_CHECKING:
    from .config import TokenClassificationConfig

# Texts with their entities: a label of None marks a part of the text whose label is not known.
ENTITY = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("label", pa.string())])
CANONICAL = {"text": pa.string(), "reference": pa.list_(ENTITY)}


def load_rows(config: "TokenClassificationConfig") -> Data:
    """The checked splits with columns id, text, reference (entities), perhaps group and slices."""
    reader = Reader(config)
    columns = {"reference": _entities(config), **grouping_columns(config.group_column, config.slice_columns)}
    schema = Schema(
        columns,
        key=("text",),
        noun="text",
        near=near_texts("text"),
        answer="annotation",
        counted=_counted,
        checks=(check_types,),
        checks_after_split=(check_types_left,),
    )
    return load_splits(config, from_options(config, columns, STARTERS, reader), schema)


def _entities(config: "TokenClassificationConfig") -> Column:
    """The two columns that hold texts and entities."""
    on_the_hub = config.dataset and not config.dataset.startswith("starter:")
    if on_the_hub and config.spans_column == "spans":  # there tags are usual; a name of one's own says otherwise
        names, option = (config.tokens_column, config.tags_column), "--tokens_column and --tags_column"
        return Column(names, option, from_tags, CANONICAL)
    names = (config.text_column, config.spans_column) if config.train_file or on_the_hub else ("text", "spans")
    return Column(names, "--text_column and --spans_column", from_spans, CANONICAL)


def types_in(rows: Dataset) -> Counter[str]:
    """How many entities of each type there are."""
    return Counter(
        entity["label"] for entities in rows["reference"] for entity in entities if entity["label"] is not None
    )


def _counted(rows: Dataset) -> dict[str, int]:
    """How many entities rows have, and of how many types."""
    types = types_in(rows)
    return {"entities": sum(types.values()), "types": len(types)}


def check_types(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """No entity at all, types that are written in two ways, that occur once, and that training never sees."""
    train = types_in(splits["train"])
    if not train:
        remedy = "is it the right column? Name it with --tags_column or --spans_column"
        yield Finding("error", names["train"], [], "no row has an entity", remedy)
        return
    if once := sorted(label for label, count in train.items() if count == 1):
        yield Finding(
            "warning", names["train"], [], f"types that occur once ({_short(once)})", "add rows, or merge them"
        )
    for forms in sharing(sorted(train), look):
        problem = f"types that look the same ({', '.join(map(spelled, forms))})"
        yield Finding("error", names["train"], [], problem, "write them alike")
    for forms in sharing(sorted({look(label) for label in train}), rough_look):
        problem = f"types that differ only by case, blanks or width ({', '.join(map(spelled, forms))})"
        yield Finding("warning", names["train"], [], problem, "write them alike if they mean the same")
    for split, problem, rows in _unseen_types(splits):
        remedy = "write them as the training rows do, add training rows of these types, or remove these rows"
        yield Finding("error", names[split], rows, problem, remedy)


def check_types_left(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Types that training never sees, because the splits that were made took all rows with them."""
    for split, problem, rows in _unseen_types(splits):
        remedy = "the model cannot find these; add rows in other groups"
        yield Finding("warning", names[split], rows, problem, remedy)


def _unseen_types(splits: dict[str, Dataset]) -> Iterator[tuple[str, str, list[int] | list[str]]]:
    """(split, problem, rows) of the types that no training row has."""
    train = types_in(splits["train"])
    for split, rows in splits.items():
        if unseen := types_in(rows).keys() - train.keys():
            found = [
                index
                for index, entities in enumerate(rows["reference"])
                if any(entity["label"] in unseen for entity in entities)
            ]
            yield split, f"types that no training row has ({_beside_known(unseen, train)})", row_names(rows, found)


def _beside_known(unseen: Iterable[str], train: Iterable[str]) -> str:
    """The first unseen types, with the training type that one may be."""
    by_form = {rough_look(label): label for label in sorted(train)}
    return _short(
        [
            f"{spelled(label)}, but {spelled(similar)} is one" if (similar := by_form.get(rough_look(label))) else label
            for label in sorted(unseen)
        ]
    )


def _short(names: list[str], shown: int = 3) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
