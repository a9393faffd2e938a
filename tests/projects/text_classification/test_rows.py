"""Data checks: every bad file gets its message, with file, rows and what to do."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from common.data import duplicates, splits
from common.data.splits import Data, stratified_group_sample
from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows
from tests.conftest import sentences, write_csv

GOOD = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in sentences(60))


def load(
    tmp_path: Path, train: str | bytes, name: str = "train.csv", test: str | None = None, **options: object
) -> Data:
    path = tmp_path / name
    path.write_bytes(train if isinstance(train, bytes) else train.encode())
    if test is not None:
        (tmp_path / "test.csv").write_text(test, encoding="utf-8")
        options["test_file"] = str(tmp_path / "test.csv")
    return load_rows(TextClassificationConfig(train_file=str(path), **options))


ERRORS: dict[str, tuple[str | bytes, str, dict, str]] = {
    "missing column": (
        "txt,label\na,b\n",
        "train.csv",
        {},
        "has no column 'text' (did you mean txt?): its columns are 'txt', 'label'; "
        "name the right one with --text_column",
    ),
    "missing label column": (GOOD, "train.csv", {"label_column": "stars"}, "has no column 'stars'"),
    "missing group column": (GOOD, "train.csv", {"group_column": "user"}, "name the right one with --group_column"),
    "doubled column": ("text,text,label\na,b,c\n", "train.csv", {}, "has two columns called 'text'"),
    "empty text": (
        GOOD + ",weather\n  ,food\n",
        "train.csv",
        {},
        "train.csv, rows 61, 62: an empty text: fill in or remove these rows.",
    ),
    "empty label": (GOOD + "some text,\n", "train.csv", {}, "train.csv, row 61: an empty label"),
    "ragged row": (GOOD + "one, two, three\n", "train.csv", {}, "train.csv, row 61: not 2 cells like the header"),
    "wrong encoding": (
        GOOD.encode() + "schön,food\n".encode("latin-1"),
        "train.csv",
        {},
        "train.csv, line 62: byte 0xf6 is no UTF-8: save the file with the encoding UTF-8",
    ),
    "half an emoji": (
        '{"text": "nice \\ud83d", "label": "a"}\n{"text": "x", "label": "b"}\n',
        "train.jsonl",
        {},
        "train.jsonl, row 1: half a character: save the text, or the name of the file, again as UTF-8.",
    ),
    "open quotation mark": (GOOD + '"never closed,food\n', "train.csv", {}, "check the quotation marks"),
    "NUL": (GOOD + "a\0b,food\n", "train.csv", {}, "a NUL character in the text"),
    "numbers for texts": (
        json.dumps([{"text": 3, "label": "a"}, {"text": "x y z", "label": "b"}]),
        "train.json",
        {},
        "row 1: a text cell that holds int, not text",
    ),
    "list for a label": (
        json.dumps([{"text": "a b", "label": ["a"]}, {"text": "x", "label": "b"}]),
        "train.json",
        {},
        "a label that is a list",
    ),
    "no JSON": ("{", "train.json", {}, "is no JSON"),
    "JSON object": ('{"a": 1}', "train.json", {}, "must hold a list of objects"),
    "bad line": ('{"text": "a", "label": "b"}\nnonsense\n', "train.jsonl", {}, "row 2: not a JSON object"),
    "no Parquet": ("PAR1 nonsense", "train.parquet", {}, "is no Parquet file"),
    "no gzip": ("text,label\n", "train.csv.gz", {}, "cannot be read on"),
    "damaged gzip": (gzip.compress(GOOD.encode())[:40] + b"\xff" * 200, "train.csv.gz", {}, "cannot be read on"),
    "damaged gzip of Parquet": (gzip.compress(b"PAR1 nonsense")[:20], "train.parquet.gz", {}, "is no Parquet file"),
    "an out-of-domain set with a name of its own meaning": (
        GOOD,
        "train.csv",
        {"out_of_domain_files": {"extra": "other.csv"}},
        "cannot be called 'extra'",
    ),
    "unknown format": ("text", "train.xlsx", {}, "is of no known format"),
    "no rows": ("text,label\n", "train.csv", {}, "has no rows"),
    "empty file": ("", "train.csv", {}, "has no column 'text'"),
    "one label": ("text,label\na b c,x\nd e f,x\n", "train.csv", {}, "every row has the label 'x'"),
    "labels that occur once": (
        "text,label\n" + "".join(f"text {n},label {n}\n" for n in range(20)),
        "train.csv",
        {},
        "20 of 20 labels occur once: is it the right column?",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_files_get_their_message(tmp_path: Path, name: str) -> None:
    content, file, options, message = ERRORS[name]
    with pytest.raises(UserError) as caught:
        load(tmp_path, content, file, **options)
    assert message in str(caught.value)


def test_the_table_of_bad_files_is_whole() -> None:
    assert len(ERRORS) == 26


def test_a_missing_file_says_where_one_is() -> None:
    with pytest.raises(UserError, match=r"there is no file none.csv: check the path \(you are in "):
        load_rows(TextClassificationConfig(train_file="none.csv"))


def test_a_label_only_in_test(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"test.csv, row 2: labels that no training row has \('sport'\)"):
        load(tmp_path, GOOD, test="text,label\nrain again,weather\na ball,sport\n")


def test_one_file_for_two_splits(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is given for train and for test"):
        load(tmp_path, GOOD, test=GOOD)


def test_blank_columns_of_a_spreadsheet_are_not_in_the_way(tmp_path: Path) -> None:
    data = load(tmp_path, GOOD.replace("\n", ",,\n"))
    assert labels_of(data) == ["food", "music", "weather"] and data.fingerprint == load(tmp_path, GOOD).fingerprint


GROUPED = "text,label,user\n" + "".join(
    f"{row['text']},{row['label']},{n % 7}\n" for n, row in enumerate(sentences(60))
)


@pytest.mark.parametrize(
    ("one", "user", "other", "remedy"),
    [
        ("train", "1", "test", "give --train_file alone, so that the splits are made by group"),
        ("train", "1", "shop", "or, if they are other groups that are named alike, write their names differently"),
        ("validation", "v", "test", "give --train_file alone, so that the splits are made by group"),
        ("validation", "v", "shop", "remove these rows on one side, or"),
    ],
)
def test_groups_on_both_sides(tmp_path: Path, one: str, user: str, other: str, remedy: str) -> None:
    files = {
        "validation": f"a storm,weather,{user if one == 'validation' else 'w'}\n",
        other: f"rain is here,weather,{user}\nmore soup now,food,{user}\n",
    }
    for name, rows in files.items():
        (tmp_path / f"{name}.csv").write_text(f"text,label,user\n{rows}")
    options: dict = {"validation_file": str(tmp_path / "validation.csv"), "group_column": "user"}
    options |= (
        {"test_file": str(tmp_path / "test.csv")}
        if other == "test"
        else {"out_of_domain_files": {other: str(tmp_path / f"{other}.csv")}}
    )
    with pytest.raises(UserError) as caught:
        load(tmp_path, GROUPED, **options)
    (message,) = str(caught.value).splitlines()
    assert f"{other}.csv, rows 1, 2: groups that {tmp_path / one}.csv has too: " in message and remedy in message


def test_few_groups_to_measure_on_are_warned_of(tmp_path: Path) -> None:
    data = load(tmp_path, GROUPED, group_column="user")
    (found,) = [str(finding) for finding in data.findings if "only" in finding.problem]
    remedy = "intervals need 10 or more, and are given as 0 to 100 %: give rows of more groups."
    groups = len(set(data.splits["test"]["group"]))
    assert found == f"the test split made from {tmp_path / 'train.csv'}: rows of {groups} groups only: {remedy}"
    assert not any("only" in finding.problem for finding in load(tmp_path, GROUPED).findings)


def test_duplicates_are_counted_across_splits_and_nothing_is_dropped(tmp_path: Path) -> None:
    rows = sentences(60)
    long = "the rain was very heavy today and the wind was strong here and the sun was gone for some more days to come"
    train = GOOD + f"{rows[0]['text']},{rows[0]['label']}\n{long},weather\n"
    test = f"text,label\n{rows[1]['text'].upper()},{rows[1]['label']}\n{long} soon,weather\nquite another thing,food\n"
    data = load(tmp_path, train, test=test)
    texts = [str(finding) for finding in data.findings]
    assert any("train.csv, row 61: texts that occurred before" in text for text in texts)
    assert any("test.csv, row 1: texts that stand in" in text for text in texts)
    assert any("test.csv, row 2: texts nearly equal to one in" in text for text in texts)
    assert data.leaked["test"] == ["test:1", "test:2"]
    assert data.looked_up == {name: len(rows) for name, rows in data.splits.items()}
    assert len(data.splits["test"]) == 3 and len(data.splits["train"]) + len(data.splits["validation"]) == 62
    assert all(finding.severity == "warning" for finding in data.findings)


def test_rows_of_validation_in_what_is_measured_are_warned_of(tmp_path: Path) -> None:
    rows = [{**row, "text": f"other {row['text']}"} for row in sentences(8, seed=1)]
    for name, part in {"val": rows[:6], "test": rows[5:3:-1], "shop": rows[5:]}.items():
        write_csv(tmp_path / f"{name}.csv", part)
    files = {
        "validation_file": str(tmp_path / "val.csv"),
        "test_file": str(tmp_path / "test.csv"),
        "out_of_domain_files": {"shop": str(tmp_path / "shop.csv")},
    }
    data = load(tmp_path, GOOD, **files)
    tail = (
        f"texts that stand in {tmp_path / 'val.csv'} too: the checkpoint was chosen on those; remove them on one side."
    )
    assert [str(finding) for finding in data.findings] == [
        f"{tmp_path / 'test.csv'}, rows 1, 2: {tail}",
        f"{tmp_path / 'shop.csv'}, row 1: {tail}",
    ]
    assert not any(data.leaked.values())


def test_how_many_rows_were_looked_up_is_kept_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (duplicates, splits):
        monkeypatch.setattr(module, "SAMPLE", 50)
    rows = [
        {"text": f"{row['text']} {row['text']} {ending}", "label": row["label"]}
        for row in sentences(70)
        for ending in ("soon", "later")
    ]
    write_csv(tmp_path / "rows.csv", rows)
    data = load(tmp_path, GOOD, out_of_domain_files={"shop": str(tmp_path / "rows.csv")})
    assert data.looked_up == {"train": 43, "validation": 5, "test": 12, "shop": 50}
    data = load_rows(TextClassificationConfig(train_file=str(tmp_path / "rows.csv")))
    assert any("texts nearly equal to another, among 50 rows looked up" in str(finding) for finding in data.findings)


def test_blanks_around_labels_are_warned_of(tmp_path: Path) -> None:
    data = load(tmp_path, GOOD.replace(",food", ", food"))
    (found,) = [finding for finding in data.findings if "blanks" in finding.problem]
    assert found.problem == "labels with blanks at their ends (' food')" and found.severity == "warning"


def test_contradictory_and_confusable_labels_are_warned_of(tmp_path: Path) -> None:
    data = load(tmp_path, GOOD + "the same words,food\nthe same words,music\nmore rain,Weather\nmore wind,Weather\n")
    texts = " ".join(map(str, data.findings))
    assert "rows 61, 62: equal texts with different labels" in texts
    assert "labels that differ only by case, blanks, width or .0 ('Weather', 'weather')" in texts


def with_labels(*pairs: tuple[str, str]) -> str:
    """A file in which each of some labels is written in a second way in every fifth row of it."""
    rows = sentences(60)
    for number, row in enumerate(rows):
        one, other = pairs[number % len(pairs)]
        row["label"] = other if number % 5 == 0 else one
    return "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("Café", "Cafe\u0301", r"'Cafe\u0301', 'Café' = 'Caf\xe9'"),
        ("한", "\u1112\u1161\u11ab", r"\u1112\u1161\u11ab"),
        ("positive", "positive\u200b", r"'positive', 'positive\u200b'"),
        ("positive", "\ufeffpositive", r"\ufeffpositive"),
        ("positive", "posi\u00adtive", r"posi\xadtive"),
        ("שאלה", "שאלה\u200f", r"\u200f"),
    ],
)
def test_labels_that_look_the_same_are_an_error_with_their_rows(
    tmp_path: Path, one: str, other: str, said: str
) -> None:
    with pytest.raises(UserError, match=r"train.csv, rows 1, 11, 21, 31, 41 and 1 more: labels that look the") as error:
        load(tmp_path, with_labels((one, other), ("other", "other")))
    assert said in str(error.value) and f"write them all as {one!a}" in str(error.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [("A1", "\uff21\uff11"), ("☺", "☺\ufe0f"), ("a b", "a\u00a0b"), ("1", "1.0"), ("Rain", "rain"), ("x", " x")],
)
def test_labels_that_nearly_look_the_same_are_warned_of(tmp_path: Path, one: str, other: str) -> None:
    data = load(tmp_path, with_labels((one, other), ("other", "other")))
    (found,) = [finding for finding in data.findings if "differ only" in finding.problem]
    assert found.severity == "warning" and ascii(one) in found.problem and ascii(other) in found.problem
    assert labels_of(data) == sorted([one, other, "other"])


@pytest.mark.parametrize(("one", "other"), [("Café", "Cafe\u0301"), ("1", "1.0"), ("positive", "positive\u200b")])
def test_a_label_of_the_test_rows_is_told_from_the_one_that_it_resembles(tmp_path: Path, one: str, other: str) -> None:
    train = with_labels((one, one), ("other", "other"))
    with pytest.raises(UserError) as error:
        load(tmp_path, train, test=f"text,label\nrain again,{other}\nmore rain,other\n")
    message = str(error.value)
    assert "test.csv, row 1: labels that no training row has (" in message and "write them as the training" in message
    assert f"{other!a}, but {one!r}" in message and f"{one!a} is one)" in message


def test_a_column_whose_name_only_looks_right_is_told_from_the_right_one(tmp_path: Path) -> None:
    for name, exact in (("text\u200b", r"'text\u200b'"), ("te\u00adxt", r"'te\xadxt'")):
        with pytest.raises(UserError) as error:
            load(tmp_path, GOOD.replace("text", name, 1))
        assert f"has a column {exact}, which looks like 'text' and is not the same: rename it" in str(error.value)


def test_texts_of_which_nothing_is_seen_are_empty(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rows 61, 62: an empty text"):
        load(tmp_path, GOOD + "\u200b,food\n\u00a0\ufeff,food\n")
    with pytest.raises(UserError, match="row 61: an empty label"):
        load(tmp_path, GOOD + "some words,\u200b\n")


def test_groups_that_look_the_same_are_one_group(tmp_path: Path) -> None:
    rows = [f"{row['text']},{row['label']},{n % 20}{'.0' if n > 30 else ''}\n" for n, row in enumerate(sentences(60))]
    data = load(tmp_path, "text,label,user\n" + "".join(rows), group_column="user")
    groups = [set(rows["group"]) for rows in data.splits.values()]
    assert set().union(*groups) == {str(n) for n in range(20)} and sum(map(len, groups)) == 20


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


def test_missing_splits_are_made_stratified_and_always_the_same(tmp_path: Path) -> None:
    first = load(tmp_path, GOOD)
    second = load(tmp_path, GOOD)
    assert labels_of(first) == ["food", "music", "weather"]
    ids = {name: list(rows["id"]) for name, rows in first.splits.items()}
    assert ids == {name: list(rows["id"]) for name, rows in second.splits.items()}
    assert sorted(row_id for split in ids.values() for row_id in split) == sorted(f"train:{n}" for n in range(1, 61))
    assert {name: len(i) for name, i in ids.items()} == {"train": 43, "validation": 5, "test": 12}
    shares = np.unique(first.splits["test"]["reference"], return_counts=True)[1] / 12
    trained = np.unique(first.splits["train"]["reference"], return_counts=True)[1] / 43
    assert shares == pytest.approx(trained, abs=0.08)


def test_made_splits_keep_groups_and_equal_texts_together(tmp_path: Path) -> None:
    rows = [{**row, "user": str(n % 15)} for n, row in enumerate(sentences(90))]
    write_csv(tmp_path / "g.csv", rows)
    data = load_rows(TextClassificationConfig(train_file=str(tmp_path / "g.csv"), group_column="user"))
    sets = [set(data.splits[name]["group"]) for name in ("train", "validation", "test")]
    assert all(sets) and not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    doubled = [row for row in sentences(40) for _ in range(2)]
    write_csv(tmp_path / "d.csv", doubled)
    data = load_rows(TextClassificationConfig(train_file=str(tmp_path / "d.csv")))
    texts = [set(data.splits[name]["text"]) for name in ("train", "validation", "test")]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    assert data.leaked["test"] == []


def test_rows_without_a_group_are_groups_of_their_own(tmp_path: Path) -> None:
    """As one group they would all land on one side of a split."""
    rows = [{**row, "user": "" if n % 2 else str(n % 14)} for n, row in enumerate(sentences(200))]
    write_csv(tmp_path / "g.csv", rows)
    data = load_rows(TextClassificationConfig(train_file=str(tmp_path / "g.csv"), group_column="user"))
    alone = {
        name: sum(":" in group for group in data.splits[name]["group"]) for name in ("train", "validation", "test")
    }
    assert sum(alone.values()) == 100 and 10 <= alone["test"] <= 30
    (finding,) = [finding for finding in data.findings if finding.problem == "no group"]
    assert finding.rows[:2] == [2, 4] and len(finding.rows) == 100
    with pytest.raises(UserError, match=r"groups that .*train.csv has too"):
        load(
            tmp_path,
            "text,label,user\nrain is here,weather,\nmore soup now,food,2\n",
            test="text,label,user\nthe soup,food,2\nthe wind,weather,\n",
            group_column="user",
        )


def test_a_sample_takes_whole_groups_and_leaves_single_ones_to_training() -> None:
    labels = np.array(["a"] * 40 + ["b"] * 40 + ["c"])
    groups = np.arange(81) // 2
    chosen = stratified_group_sample(labels, groups, 0.25, seed=0)
    assert chosen[:40].sum() == 10 and chosen[40:80].sum() == 10 and not chosen[80]
    assert all(chosen[2 * n] == chosen[2 * n + 1] for n in range(40))


def test_a_label_with_one_group_stays_with_training_whatever_its_groups_first_row_says() -> None:
    groups = np.arange(200) // 2
    labels = np.where(np.arange(200) % 2, "b", "a")
    labels[[1, 51, 101]] = ["rare", "seldom", "seldom"]
    for seed in range(20):
        chosen = stratified_group_sample(labels, groups, 0.5, seed)
        assert not chosen[1] and chosen[51] != chosen[101] and chosen.sum() == 2 * (1 + round(97 / 2))


def sample_by_first_rows(labels: np.ndarray, groups: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """As samples were drawn when a group counted for the label of its first row."""
    _, first, member_of = np.unique(groups, return_index=True, return_inverse=True)
    stratum = labels[first]
    order = np.random.default_rng(seed).permutation(len(first))
    chosen = np.zeros(len(first), dtype=bool)
    by_stratum = order[np.argsort(stratum[order], kind="stable")]
    for members in np.split(
        by_stratum, np.flatnonzero(np.diff(np.unique(stratum, return_inverse=True)[1][by_stratum])) + 1
    ):
        if len(members) > 1:
            chosen[members[: max(1, round(fraction * len(members)))]] = True
    return chosen[member_of]


@pytest.mark.parametrize("rows_in_group", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_groups_of_one_label_are_sampled_as_they_always_were(rows_in_group: int, seed: int) -> None:
    """Kept runs are verified against splits that are made again."""
    random = np.random.default_rng(seed)
    order = random.permutation(500 * rows_in_group)
    labels = np.repeat(random.geometric(0.2, size=500), rows_in_group)[order]
    groups = np.repeat(random.permutation(500), rows_in_group)[order]
    old = sample_by_first_rows(labels, groups, 0.2, seed)
    assert 0 < old.sum() < len(old) and np.array_equal(stratified_group_sample(labels, groups, 0.2, seed), old)


def test_labels_that_a_made_split_took_from_training_are_warned_of(tmp_path: Path) -> None:
    rows = "".join(f"{row['text']},{row['label']},{n}\n" for n, row in enumerate(sentences(60)))
    data = load(
        tmp_path, f"text,label,user\n{rows}a ball,sport,x\na goal,sport,y\n", group_column="user", test_fraction=0.8
    )
    (found,) = [finding for finding in data.findings if "no training row" in finding.problem]
    where = f"the test split made from {tmp_path / 'train.csv'}, rows 61, 62"
    remedy = "the model cannot give these; add rows of these labels in other groups"
    assert str(found) == f"{where}: labels that no training row has ('sport'): {remedy}."
    assert found.severity == "warning" and "sport" in labels_of(data)


def test_too_few_rows_to_split(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too few to make a test split from"):
        load(tmp_path, "text,label\nrain rain,a\nrain rain,a\nsoup soup,b\nsoup soup,b\n")


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


def test_empty_cells_of_made_splits_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load(tmp_path, GOOD + ",food\n", output_dir=str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


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
