"""Prompts with answers, and chats: how they may be written, and what is said of those that cannot be learned."""

import importlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from common.config import parse
from common.data.tables import RowProblem
from common.system.errors import UserError
from common.task.projects import load_task_class

from .conftest import PROJECT
from .rows import answered, write_jsonl

TASK = load_task_class(PROJECT)
USER, ANSWER = {"role": "user", "content": "rain?"}, {"role": "assistant", "content": "weather"}
SYSTEM = {"role": "system", "content": "be short"}


def module(name: str) -> Any:
    return importlib.import_module(f"projects.{PROJECT}.{name}")


def load(folder: Path, rows: list[dict], *options: str) -> Any:
    file = write_jsonl(folder / "rows.jsonl", rows)
    return TASK(parse(TASK.config_class, ["--train_file", str(file), *options])).data()


def test_pairs_and_chats_of_one_turn_are_the_same_rows(tmp_path: Path) -> None:
    pairs = answered(60)
    chats = [{"talk": [{**USER, "content": row["prompt"]}, {**ANSWER, "content": row["completion"]}]} for row in pairs]
    one, two = load(tmp_path, pairs), load(tmp_path, chats, "--messages_column", "talk")
    for split in ("train", "validation", "test"):
        for name in ("prompt", "messages", "reference"):
            assert list(one.splits[split][name]) == list(two.splits[split][name])


def test_a_plain_text_is_cut_at_the_end_of_a_word_into_a_beginning_and_the_rest(tmp_path: Path) -> None:
    row = module("rows").from_text(" a  bc\ndef g hi j k l ")
    assert (row["prompt"], row["reference"]) == ("a  bc\ndef g hi j k", " l")
    texts = [{"words": f"{row['prompt']} {row['completion']}"} for row in answered(40)]
    splits = load(tmp_path, texts, "--text_column", "words").splits
    whole = {row["prompt"] + row["reference"] for rows in splits.values() for row in rows}
    assert whole == {row["words"] for row in texts}
    with pytest.raises(UserError, match="a text of a single word"):
        load(tmp_path, [*texts, {"words": "word"}], "--text_column", "words")


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 15, 40])
def test_each_token_of_a_plain_text_but_the_first_is_learned_once_behind_the_one_before_it(length: int) -> None:
    ids = list(range(100, 100 + length))
    found = module("texts").windows(ids[: length // 2], ids[length // 2 :], limit=8)
    pairs = [(one.ids[at - 1], one.ids[at]) for one in found for at in one.learned]
    assert pairs == list(pairwise(ids)) and all(len(one.ids) <= 8 for one in found)
    rest = [one.ids[at] for one in found for at in one.learned if at >= one.answer]
    assert rest == [token for token in ids[length // 2 :] if token > 100]


@pytest.mark.parametrize("as_text", [False, True])
def test_a_chat_keeps_its_turns_and_its_system_prompt(as_text: bool) -> None:
    chat = [SYSTEM, USER, ANSWER, {**USER, "content": "soup?"}, {**ANSWER, "content": "food"}]
    row = module("rows").from_messages(json.dumps(chat) if as_text else chat)
    assert row["messages"] == chat[:-1] and row["reference"] == "food"
    assert row["prompt"] == "system: be short\nuser: rain?\nassistant: weather\nuser: soup?"


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        ("no list", "a chat that is no list"),
        (["text"], "no list of messages"),
        ([], "do not take turns"),
        ([USER], "does not end with an answer"),
        ([ANSWER], "do not take turns"),
        ([USER, USER, ANSWER], "do not take turns"),
        ([USER, SYSTEM, ANSWER], "not the first one"),
        ([SYSTEM, SYSTEM, USER, ANSWER], "not the first one"),
        ([{"from": "human", "value": "rain?"}, ANSWER], "another role"),
        ([{**USER, "content": " "}, ANSWER], "an empty message"),
        ([{**USER, "content": [{"type": "text"}]}, ANSWER], "is no text"),
        ([{**USER, "content": "a\0b"}, ANSWER], "a NUL character"),
    ],
)
def test_what_is_no_chat_is_named(chat: Any, said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        module("rows").from_messages(chat)


def test_a_file_of_others_says_which_options_name_the_columns(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--prompt_column and --completion_column, or --messages_column"):
        load(tmp_path, [{"question": "a", "answer": "b"}])
    with pytest.raises(UserError, match="row 2: an answer that is no JSON object"):
        load(tmp_path, [*answered(1), {"prompt": "a", "completion": "[1]"}], "--answer_format", "json")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pretrained", "false"], "--tuning full"),
        (["--answer_field", "about"], "--answer_format json"),
        (["--freeze", "backbone"], "a language model has none"),
        (["--text_column", "text", "--messages_column", "messages"], "which are no chats"),
    ],
)
def test_options_that_cannot_be_together_are_refused(options: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse(TASK.config_class, ["--train_file", "none", *options])


def test_answers_that_do_not_fit_are_named_and_too_many_are_refused(tiny_chat_model: Path, tmp_path: Path) -> None:
    from common.data.features import encoded

    long = {"prompt": "rain?", "completion": "bread " * 100}
    for count, severity in ((4, "warning"), (30, "error")):
        rows = answered(200) + [{**long, "prompt": f"rain {number}?"} for number in range(count)]
        data = load(tmp_path, rows, "--max_length", "100")
        task = TASK(parse(TASK.config_class, ["--train_file", "none", "--max_length", "100"]))
        task.load_processor(tiny_chat_model)
        features = encoded(task.encode, data.splits["train"])
        found = [one for one in task.check_features(features) if "nothing of them is learned" in one.problem]
        gone = [
            row for row, learned in zip(data.splits["train"]["id"], features["learned"], strict=True) if not learned
        ]
        assert gone and [one.severity for one in found] == [severity]
        assert [f"train:{row}" for row in found[0].rows] == gone


def test_the_starters_are_split_by_template_and_by_family(monkeypatch: pytest.MonkeyPatch) -> None:
    from common.data import tldr_pages

    starters = module("starter_data")
    splits = starters.voice_calls().splits
    groups = {split: {row["group"] for row in rows} for split, rows in splits.items()}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]
    assert len(groups["test"]) == len(splits["test"]) > 150 and len(splits["train"]) > 2_000
    for row in splits["train"][:500]:
        call = json.loads(row["completion"])
        assert call.pop("intent").startswith("Hass")
        assert all(part in row["prompt"] for value in call.values() for part in value.split(", "))

    pages = {
        ("linux", f"tool{number}-go"): {"s": "Does it. More.", "e": [[f"Do {part}", f"tool {part}"] for part in "abc"]}
        for number in range(60)
    }
    pages["common", "odd"] = {"s": "Odd", "e": [["x", "tldr odd"], ["y", "y" * 90], ["z", "odd {{z}}"]]}
    monkeypatch.setattr(tldr_pages, "pages", lambda: pages)
    splits = starters.shell_commands().splits
    groups = {split: {row["group"] for row in rows} for split, rows in splits.items()}
    assert not groups["train"] & groups["test"] and len(splits["test"]) == len(groups["test"]) > 3
    said = {row["prompt"]: row["completion"] for rows in splits.values() for row in rows}
    assert said["tool7-go: Does it. Do a"] == "tool a" and [line for line in said.values() if "odd" in line] == [
        "odd {{z}}"
    ]
