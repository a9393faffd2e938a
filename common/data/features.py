"""Features: what a model is given, made from rows by `Task.encode`; a row may have several."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

Encode = Callable[[Mapping[str, list[Any]]], dict[str, list[Any]]]


class Columns:
    """Encoded features in memory: for the few inputs of a question a table would cost more than the model."""

    def __init__(self, columns: dict[str, list[Any]]):
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: Any) -> Any:
        """A column by its name; else features by a slice or their indices, as columns."""
        if isinstance(key, str):
            return self.columns[key]
        if isinstance(key, slice):
            return {name: values[key] for name, values in self.columns.items()}
        return {name: [values[index] for index in key] for name, values in self.columns.items()}


Features: TypeAlias = Dataset | Columns


def in_memory(encode: Encode, rows: Mapping[str, list[Any]]) -> Columns:
    """The features of a few rows, with `row`."""
    return Columns(_with_row(encode(rows), range(len(next(iter(rows.values()))))))


def encoded(encode: Encode, rows: Dataset, cache: Path | None = None) -> Dataset:
    """The rows' features, with the `id` and the index (`row`) of their rows; memory-mapped if `cache` names a file."""

    def of_batch(batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
        features = encode(batch)
        within = features.get("row", range(len(indices)))
        return {"id": [batch["id"][index] for index in within], **_with_row(features, indices)}

    return rows.map(
        of_batch,
        batched=True,
        with_indices=True,
        remove_columns=rows.column_names,
        cache_file_name=str(cache) if cache else None,
        new_fingerprint=cache.stem if cache else uuid4().hex,
        load_from_cache_file=cache is not None,
        keep_in_memory=cache is None,
    )


def _with_row(features: dict[str, list[Any]], indices: Any) -> dict[str, list[Any]]:
    """The features with the index of each one's row among all rows, given the `indices` of these."""
    within = features.get("row", range(len(indices)))
    return {**features, "row": [indices[index] for index in within]}


def by_row(values: list[Any], features: Features, rows: int) -> list[list[Any]]:
    """(f,) values of features as the values of each of the rows, in the features' order."""
    found: list[list[Any]] = [[] for _ in range(rows)]
    for row, value in zip(column(features, "row").tolist(), values, strict=True):
        found[row].append(value)
    return found


def column(features: Features, name: str) -> NDArray[np.int64]:
    """A column of whole numbers as one array, without a Python object per row of a table."""
    if not len(features):
        return np.zeros(0, dtype=np.int64)
    if isinstance(features, Columns):
        return np.asarray(features[name], dtype=np.int64)
    values: NDArray[np.int64] = features.select_columns([name]).with_format("numpy")[:][name]
    return values


@dataclass(frozen=True)
class Encoded:
    """Rows beside their features."""

    rows: Dataset
    features: Dataset

    def __len__(self) -> int:
        return len(self.rows)
