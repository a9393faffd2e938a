"""Rows of other kinds than one label each: spans, texts, numbers, several key columns."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from common.config import Config
from common.data.duplicates import key_hashes
from common.data.findings import Finding
from common.data.near_texts import near_texts
from common.data.schema import Column, Schema
from common.data.sources import Starter, from_files, from_options, hub_rows
from common.data.splits import Data, load_splits
from common.data.tables import RowProblem
from common.system.errors import UserError

SPAN = pa.struct({"start": pa.int32(), "end": pa.int32(), "label": pa.string()})


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise RowProblem("no text")
    return value


def same(value: Any) -> Any:
    return value


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def load(schema: Schema, train: str, **options: Any) -> Data:
    config = Config(train_file=train, **options)
    return load_splits(config, from_files(config, schema.columns), schema)


def spans(**options: Any) -> Schema:
    columns = {"text": Column("text", "", text), "reference": Column("spans", "", same, pa.list_(SPAN))}
    return Schema(columns, key=("text",), noun="text", **options)


def pairs(**options: Any) -> Schema:
    columns = {name: Column(name, "", text) for name in ("question", "context", "reference")}
    return Schema(columns, key=("question", "context"), noun="question", **options)


def marked(count: int) -> list[dict[str, Any]]:
    return [
        {"text": f"text {n}", "spans": [{"start": 0, "end": 4, "label": "a"}] if n % 3 else []} for n in range(count)
    ]


def test_spans_are_kept_as_they_are(tmp_path: Path) -> None:
    rows = marked(50)
    data = load(spans(near=near_texts("text")), write(tmp_path / "a.jsonl", rows))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 36, "validation": 4, "test": 10}
    for split in data.splits.values():
        for row in split:
            assert row["reference"] == rows[int(row["id"].removeprefix("train:")) - 1]["spans"]
    assert data.findings == [] and list(data.tests) == ["test"]


def test_equal_inputs_with_different_spans_are_warned_of(tmp_path: Path) -> None:
    rows = [
        *marked(30),
        {"text": "text 1", "spans": []},
        {"text": "text 2", "spans": [{"start": 0, "end": 4, "label": "a"}]},
    ]
    data = load(spans(), write(tmp_path / "a.jsonl", rows), test_fraction=0.03, validation_fraction=0.03)
    assert any(
        "rows 2, 31: equal texts with different references: decide for one reference each" in str(f)
        for f in data.findings
    )


def test_half_an_emoji_within_a_span_is_named(tmp_path: Path) -> None:
    rows = [*marked(30), {"text": "x", "spans": [{"start": 0, "end": 1, "label": "\ud83d"}]}]
    with pytest.raises(UserError, match="row 31: half a character"):
        load(spans(), write(tmp_path / "a.jsonl", rows))


def test_any_text_is_a_reference_and_nothing_is_stratified_by_it(tmp_path: Path) -> None:
    rows = [{"question": f"q {n}", "context": "c", "reference": f"answer {n}"} for n in range(40)]
    data = load(pairs(), write(tmp_path / "a.jsonl", rows))
    assert len(data.splits["test"]) == 8 and data.findings == [] and data.looked_up == dict.fromkeys(data.splits, 0)


def test_rows_are_equal_only_if_all_key_columns_are(tmp_path: Path) -> None:
    cells = [("a", "bc"), ("ab", "c"), ("A ", "bc"), ("a", "b c"), ("a\nb", "c")]
    rows = Dataset.from_dict({"question": [one for one, _ in cells], "context": [two for _, two in cells]})
    hashes = key_hashes(rows, ("question", "context"))
    assert hashes[0] == hashes[2] and len(set(hashes.tolist())) == 4
    train = [{"question": f"what? {n % 20}", "context": f"page {n // 20}", "reference": "x"} for n in range(60)]
    test = [
        {"question": "what? 1", "context": "PAGE 2", "reference": "x"},
        {"question": "what? 1", "context": "page 9", "reference": "x"},
    ]
    data = load(pairs(), write(tmp_path / "a.jsonl", train), test_file=write(tmp_path / "b.jsonl", test))
    assert set(data.leaked["test"]) <= {"test:1"}
    assert any("b.jsonl, row 1: questions that stand in" in str(finding) for finding in data.findings)


def test_equal_pairs_stay_on_one_side_of_a_made_split(tmp_path: Path) -> None:
    rows = [{"question": f"q {n // 2}", "context": "c", "reference": str(n % 2)} for n in range(80)]
    data = load(pairs(), write(tmp_path / "a.jsonl", rows))
    asked = [set(split["question"]) for split in data.splits.values()]
    assert not (asked[0] & asked[1] or asked[0] & asked[2] or asked[1] & asked[2])


def test_a_column_may_become_several_of_other_types(tmp_path: Path) -> None:
    def measured(value: Any) -> dict[str, Any]:
        return {"text": value, "words": value.split(), "count": len(value.split())}

    types = {"text": pa.string(), "words": pa.list_(pa.string()), "count": pa.int64()}
    schema = Schema({"text": Column("text", "", measured, types)}, key=("words",), noun="text")
    data = load(schema, write(tmp_path / "a.jsonl", [{"text": f"text number {n}"} for n in range(30)]))
    row = data.splits["train"][0]
    assert row["count"] == 3 and row["words"] == row["text"].split() and "reference" not in row


def test_checks_of_a_schema_run_before_and_after_the_split(tmp_path: Path) -> None:
    seen = []

    def before(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
        seen.append(sorted(splits))
        yield Finding("warning", names["train"], [], "read", "go on")

    def after(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
        seen.append(sorted(splits))
        yield Finding("warning", names["test"], [], "split", "go on")

    file = write(tmp_path / "a.jsonl", marked(30))
    data = load(spans(checks=(before,), checks_after_split=(after,)), file)
    assert seen == [["train"], ["test", "train", "validation"]]
    assert list(map(str, data.findings)) == [f"{file}: read: go on.", f"the test split made from {file}: split: go on."]

    def error(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
        yield Finding("error", names["train"], [], "wrong", "correct it")

    with pytest.raises(UserError, match="wrong: correct it"):
        load(spans(checks=(error,), checks_after_split=(after,)), file)


def test_a_starter_brings_rows_as_the_kit_names_them_with_group_and_slices() -> None:
    rows = [{"text": f"text {n}", "reference": [], "group": str(n // 2), "slice length": "short"} for n in range(40)]
    starters = {"mine": lambda: Starter({"train": rows}, "rows of mine", "free")}
    config = Config(dataset="starter:mine")
    data = load_splits(config, from_options(config, spans().columns, starters), spans())
    assert data.splits["train"].column_names == ["id", "text", "reference", "group", "slice length"]
    assert not set(data.splits["train"]["group"]) & set(data.splits["test"]["group"])
    with pytest.raises(UserError, match=r"there is no starter data set 'mime' \(did you mean mine\?\): there is mine."):
        from_options(Config(dataset="starter:mime"), spans().columns, starters)


def test_extra_rows_of_a_starter_are_read_as_the_users_files_are(tmp_path: Path) -> None:
    starters = {
        "mine": lambda: Starter({"train": [{"text": f"t {n}", "reference": []} for n in range(40)]}, "mine", "free")
    }
    extra = write(tmp_path / "extra.jsonl", [{"text": "new", "spans": [{"start": 0, "end": 3, "label": "a"}]}])
    config = Config(dataset="starter:mine", extra_train_file=extra)
    data = load_splits(config, from_options(config, spans().columns, starters), spans())
    assert data.splits["train"][-1] == {
        "id": "extra:1",
        "text": "new",
        "reference": [{"start": 0, "end": 3, "label": "a"}],
    }


def test_lists_and_structs_of_the_hub_pass_through_with_class_names() -> None:
    tags = ClassLabel(names=["O", "NAME"])
    features = Features(
        {"tokens": List(Value("string")), "tags": List(tags), "said": List({"role": Value("string")}), "label": tags}
    )
    content = {
        "tokens": [["Ada", "ran"], []],
        "tags": [[1, 0], None],
        "said": [[{"role": "user"}], []],
        "label": [1, -1],
    }
    rows = [row for _, row in hub_rows(Dataset.from_dict(content, features=features))]
    assert rows == [
        {"tokens": ["Ada", "ran"], "tags": ["NAME", "O"], "said": [{"role": "user"}], "label": "NAME"},
        {"tokens": [], "tags": None, "said": [], "label": None},
    ]


def test_strata_of_texts_are_sampled_as_their_ranks_are(tmp_path: Path) -> None:
    rows = [{"question": f"q {n}", "context": "c", "reference": "Zbüa"[n % 4 : n % 4 + 1]} for n in range(200)]
    file = write(tmp_path / "a.jsonl", rows)
    data = load(pairs(stratify="reference"), file)
    assert np.unique(data.splits["test"]["reference"], return_counts=True)[1].tolist() == [10, 10, 10, 10]
