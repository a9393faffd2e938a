"""Where rows come from: Parquet, folders, the Hub, corrections; each is accounted for."""

import json
import re
from pathlib import Path

import pytest

from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows
from tests.conftest import sentences, write_csv

from .rows import GOOD, load


def write_parquet(path: Path, **columns: object) -> Path:
    import pyarrow as pa
    import pyarrow.parquet

    rows = sentences(60)
    content = {"text": [row["text"] for row in rows], "label": [row["label"] for row in rows], **columns}
    pyarrow.parquet.write_table(pa.table(content), path)
    return path


def test_bytes_of_parquet_are_the_texts_that_they_hold(tmp_path: Path) -> None:
    rows = sentences(60)
    path = write_parquet(
        tmp_path / "rows.parquet",
        text=[row["text"].encode() for row in rows],
        label=[row["label"].encode() for row in rows],
        user=[f"u{n % 20}".encode() for n in range(60)],
    )
    data = load_rows(TextClassificationConfig(train_file=str(path), group_column="user"))
    assert labels_of(data) == ["food", "music", "weather"]
    assert {text for split in data.splits.values() for text in split["text"]} == {row["text"] for row in rows}
    assert {user for split in data.splits.values() for user in split["group"]} == {f"u{n}" for n in range(20)}


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("text", "row 5: a text cell with bytes that are no UTF-8: save the column as text in UTF-8."),
        ("label", "row 5: a label of bytes that are no UTF-8: save the column as text in UTF-8."),
        ("user", "row 5: a group or slice that is a list, an object or bytes: give a name or a number."),
    ],
)
def test_bytes_that_are_no_text_are_named_with_their_row(tmp_path: Path, column: str, said: str) -> None:
    values = [b"some text"] * 60
    values[4] = b"\xff\xfe"
    path = write_parquet(tmp_path / "rows.parquet", **{"user": [b"u"] * 60, column: values})
    with pytest.raises(UserError, match=re.escape(f"rows.parquet, {said}")):
        load_rows(TextClassificationConfig(train_file=str(path), group_column="user"))


def test_a_column_that_is_not_read_is_not_in_the_way(tmp_path: Path) -> None:
    import pyarrow as pa

    odd = pa.array([b"\xf6"] * 60, pa.binary()).view(pa.string())
    path = write_parquet(tmp_path / "rows.parquet", city=odd, day=pa.array([2_932_897] * 60, pa.date32()))
    assert labels_of(load_rows(TextClassificationConfig(train_file=str(path)))) == ["food", "music", "weather"]
    for column, said in (("city", "byte 0xf6 is no UTF-8"), ("day", "out of range")):
        with pytest.raises(UserError, match=rf"rows.parquet, rows 1, 2, .*column '{column}' .*{said}"):
            load_rows(TextClassificationConfig(train_file=str(path), slice_columns=[column]))


def test_a_folder_of_parts_is_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "spark.parquet"
    folder.mkdir()
    write_parquet(folder / "part-0.parquet")
    config = TextClassificationConfig(train_file=str(folder))
    one = load_rows(config)
    assert (
        sum(map(len, one.splits.values())) == 60
        and one.account[0] == f"{folder}: 60 rows with 3 labels; nothing left out"
    )
    with pytest.raises(UserError, match="is given for train and for test"):
        load_rows(TextClassificationConfig(train_file=str(folder), test_file=str(folder)))
    with pytest.raises(UserError, match="is a folder: give one file of rows"):
        load_rows(TextClassificationConfig(train_file=str(tmp_path)))


@pytest.mark.parametrize("with_splits", [False, True])
def test_what_save_to_disk_wrote_is_read(tmp_path: Path, with_splits: bool) -> None:
    from datasets import Dataset, DatasetDict

    rows = Dataset.from_list(sentences(60))
    saved = DatasetDict({"train": rows, "test": rows.select(range(9))}) if with_splits else rows
    saved.save_to_disk(str(tmp_path / "saved"))
    data = load_rows(TextClassificationConfig(dataset=str(tmp_path / "saved")))
    assert labels_of(data) == ["food", "music", "weather"] and data.reference == str(tmp_path / "saved")
    assert len(data.splits["test"]) == (9 if with_splits else 12)


def test_what_was_read_is_said_before_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from common.fine_tune import say_findings

    data = load(tmp_path, GOOD + "the same words,food\nthe same words,music\n")
    say_findings(data)
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == f"{tmp_path / 'train.csv'}: 62 rows with 3 labels; not rows: 1 of 63 lines (1 header)"
    assert second.startswith("62 rows in all: ") and len(rest) == 1
    assert rest[0].startswith(("warning: ", f"{len(data.findings)} warnings about the rows"))


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    test = 'text,label\n\n"rain\nagain",weather\nmore soup,food\n'
    (tmp_path / "extra.jsonl").write_text(
        '{"text": "a kind of snow", "label": "hail"}\n{"text": "MORE soup", "label": "food"}\n'
    )
    data = load(tmp_path, GOOD, test=test, extra_train_file=str(tmp_path / "extra.jsonl"))
    of_test = "not rows: 3 of 5 lines (1 header, 1 blank, 1 going on with a cell)"
    assert data.account == [
        f"{tmp_path / 'train.csv'}: 60 rows with 3 labels; not rows: 1 of 61 lines (1 header)",
        f"{tmp_path / 'test.csv'}: 2 rows with 2 labels; {of_test}",
        f"{tmp_path / 'extra.jsonl'}: 2 rows with 2 labels; nothing left out",
        "64 rows in all: 55 train + 6 validation + 2 test + 1 left out of train, because they are measured on",
    ]
    for tally, file in zip(data.tallies, ("train.csv", "test.csv", "extra.jsonl"), strict=True):
        lines = len((tmp_path / file).read_text().splitlines())
        assert tally.rows + sum(tally.no_rows.values()) == lines
    assert sum(tally.rows for tally in data.tallies) == sum(map(len, data.splits.values())) + 1


def test_a_hub_data_set_with_its_own_splits_and_class_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    rows = sentences(30)
    names = ["food", "music", "weather"]
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    content = {"text": [row["text"] for row in rows], "label": [names.index(row["label"]) for row in rows]}
    loaded = DatasetDict(
        train=Dataset.from_dict(content, features=features),
        test=Dataset.from_dict({k: v[:2] for k, v in content.items()}, features=features),
    )
    monkeypatch.setattr("datasets.load_dataset", lambda name, *config, revision: loaded)
    commit = "0a" * 20
    data = load_rows(TextClassificationConfig(dataset="some/where", dataset_revision=commit))
    assert labels_of(data) == names and data.reference == f"some/where@{commit}"
    assert list(data.splits["test"]["reference"]) == [row["label"] for row in rows[:2]]


@pytest.mark.parametrize("hidden", [-1, None])
def test_a_hub_split_whose_labels_are_hidden_is_made_from_train(
    monkeypatch: pytest.MonkeyPatch, hidden: int | None
) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    rows = sentences(30)
    names = ["food", "music", "weather"]
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    train = Dataset.from_dict(
        {"text": [row["text"] for row in rows], "label": [names.index(row["label"]) for row in rows]}, features=features
    )
    test = Dataset.from_dict({"text": ["one", "two"], "label": [hidden, hidden]}, features=features)
    monkeypatch.setattr(
        "common.data.sources.load_hub_dataset", lambda config: ({"train": train, "test": test}, "some/where@abc")
    )
    data = load_rows(TextClassificationConfig(dataset="some/where"))
    assert len(data.splits["test"]) == 6 and data.splits["test"]["id"][0].startswith("train:")
    found = "some/where (test): no row has a label: it is left out, and such a split is made from the training rows."
    assert str(data.findings[0]) == found and data.findings[0].severity == "warning"


def test_what_is_not_read_of_a_hub_data_set_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import Dataset

    rows = Dataset.from_list([{**row, "odd": b"\xff"} for row in sentences(60)])
    loaded = {"train": rows, "unsupervised": rows.select(range(7))}
    monkeypatch.setattr("common.data.sources.load_hub_dataset", lambda config: (loaded, "some/where@abc"))
    assert load_rows(TextClassificationConfig(dataset="some/where")).account == [
        "some/where (train): 60 rows with 3 labels; nothing left out",
        "some/where (unsupervised): 0 rows; left out: 7 of 7 rows (7 in a split that is not read)",
        "60 rows in all: 43 train + 5 validation + 12 test",
    ]


def test_no_hub_says_how_to_work_without() -> None:
    with pytest.raises(UserError, match=r"the data set 'no/where' cannot be loaded.* give your own rows"):
        load_rows(TextClassificationConfig(dataset="no/where"))


def test_corrections_are_added_to_training_alone(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", sentences(300))
    before = load_rows(TextClassificationConfig(train_file=str(tmp_path / "train.csv")))
    measured = before.splits["test"]["text"][0]
    other = before.splits["validation"]["text"][0]
    rows = [
        {"text": "a kind of snow", "label": "weather"},
        {"text": measured, "label": "music"},
        {"text": "a kettle", "label": "sound"},
    ]
    rows.append({"text": f"{other}!", "label": "music"})
    (tmp_path / "corrections.jsonl").write_text(
        "".join(json.dumps({**row, "prediction": "food"}) + "\n" for row in rows)
    )
    config = TextClassificationConfig(
        train_file=str(tmp_path / "train.csv"), extra_train_file=str(tmp_path / "corrections.jsonl")
    )
    after = load_rows(config)
    assert labels_of(after) == ["food", "music", "sound", "weather"]
    for split in ("validation", "test"):
        assert list(after.splits[split]["id"]) == list(before.splits[split]["id"])
    assert len(after.splits["train"]) == len(before.splits["train"]) + 2
    assert list(after.splits["train"]["id"])[-2:] == ["extra:1", "extra:3"]
    assert after.fingerprint.keys() - before.fingerprint.keys() == {"extra"}
    problem = "texts that stand, nearly or exactly, in the validation or test split"
    left_out = f"{tmp_path / 'corrections.jsonl'}, rows 2, 4: {problem}"
    assert any(str(finding).startswith(left_out) for finding in after.findings)


def test_a_label_of_added_rows_that_looks_like_another_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "extra.jsonl").write_text('{"text": "soup", "label": "food"}\n{"text": "bun", "label": "fo\u200bod"}\n')
    with pytest.raises(
        UserError, match=r"extra.jsonl, row 2: labels that look the same .*: write them all as 'food'\."
    ):
        load(tmp_path, GOOD, extra_train_file=str(tmp_path / "extra.jsonl"))


def test_corrections_of_a_starter_are_groups_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "corrections.jsonl").write_text(
        json.dumps({"text": "A film that nobody has seen so far.", "label": "negative"}) + "\n"
    )
    data = load_rows(
        TextClassificationConfig(dataset="starter:movie-snippets", extra_train_file=str(tmp_path / "corrections.jsonl"))
    )
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 7_253, "validation": 806, "test": 2_014}
    assert data.splits["train"][-1]["group"] == "extra:1"
