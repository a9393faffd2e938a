"""Splits are made stratified and by group, and what stands in two of them is found."""

from pathlib import Path

import numpy as np
import pytest

from common.data import duplicates, splits
from common.data.splits import stratified_group_sample
from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows
from tests.conftest import sentences, write_csv

from .rows import GOOD, load

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


def test_groups_that_look_the_same_are_one_group(tmp_path: Path) -> None:
    rows = [f"{row['text']},{row['label']},{n % 20}{'.0' if n > 30 else ''}\n" for n, row in enumerate(sentences(60))]
    data = load(tmp_path, "text,label,user\n" + "".join(rows), group_column="user")
    groups = [set(rows["group"]) for rows in data.splits.values()]
    assert set().union(*groups) == {str(n) for n in range(20)} and sum(map(len, groups)) == 20


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
