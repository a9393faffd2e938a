"""Rows, sentences, ROUGE, the oracle, and what is unsupported: each against a case worked by hand, or the library."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.config import parse
from common.metrics import rouge
from common.system.errors import UserError
from common.task.projects import load_task_class

from .conftest import PROJECT
from .rows import documents, write_jsonl

CONFIG = load_task_class(PROJECT).config_class


def module(name: str) -> Any:
    return importlib.import_module(f"projects.{PROJECT}.{name}")


def loaded(file: Path, *options: str) -> Any:
    return module("rows").load_rows(parse(CONFIG, ["--train_file", str(file), *options]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains. The sun? Yes!", ["It rains.", "The sun?", "Yes!"]),
        ("Smith et al. show it, e.g. in Fig. 2 of J. Doe. It works.", None),
        ("Version 3.5 is out. version 4 is not.", ["Version 3.5 is out. version 4 is not."]),
        ('He said "no." Then he left…  And came back', ['He said "no."', "Then he left…", "And came back"]),
        ("A title\nA first line. And more\r\n\r\n  end ", ["A title", "A first line.", "And more", "end"]),
        ("one word", ["one word"]),
        (" \n\t", []),
    ],
)
def test_sentences_end_where_the_rule_says(text: str, expected: list[str] | None) -> None:
    sentences = module("sentences")
    if expected is None:
        expected = ["Smith et al. show it, e.g. in Fig. 2 of J. Doe.", "It works."]
        text = text.replace("Doe. It", "Doe.\nIt")  # a name's capital letter may end one, too
    assert sentences.sentences_of(text) == expected
    assert [text[start:end] for start, end in sentences.spans_of(text)] == expected


def test_documents_and_summaries_are_texts_or_lists(tmp_path: Path) -> None:
    rows = documents(40)
    lists = [{"source": row["document"].split(" . "), "target": [row["summary"], "Another."]} for row in rows]
    data = loaded(write_jsonl(tmp_path / "a.jsonl", lists), "--document_column", "source", "--summary_column", "target")
    assert data.splits["train"]["reference"][0][1] == "Another."
    cells = [{"document": json.dumps(["One.", " ", "Two\nlines."]), "summary": json.dumps(["x", "y", "x"])}]
    assert module("rows").from_cells(**{"document": cells[0]["document"], "summaries": cells[0]["summary"]}) == {
        "document": "One.\nTwo lines.",
        "reference": ["x", "y"],
    }


def test_labels_follow_their_sentences_also_where_the_rule_finds_more_of_them() -> None:
    row = module("rows").from_labelled(["One. Two", "", "Three"], "x", [1, 0, 0])
    assert row["document"] == "One. Two\nThree" and row["labels"] == [1, 1, 0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"document": " ", "summary": "x"}, "an empty document"),
        ({"document": "x", "summary": []}, "no summary"),
        ({"document": "x", "summary": ["", "y"]}, "an empty summary"),
        ({"document": [1, 2], "summary": "x"}, "something else than sentences"),
        ({"document": "x\0", "summary": "x"}, "NUL"),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    file = write_jsonl(tmp_path / "bad.jsonl", [*documents(20), row])
    with pytest.raises(UserError, match=said):
        loaded(file)


def test_labels_that_do_not_fit_are_named(tmp_path: Path) -> None:
    rows = [{**row, "labels": [1, 0, 0]} for row in documents(20)]
    rows[3]["labels"] = [1]
    options = ("--labels_column", "labels", "--label_temperature", "0")
    with pytest.raises(UserError, match="row 4: labels that are no list of a 0 or 1 for each sentence"):
        loaded(write_jsonl(tmp_path / "bad.jsonl", rows), *options)
    rows[3]["labels"] = [0, 0, 0]
    with pytest.raises(UserError, match="labels without a 1"):
        loaded(write_jsonl(tmp_path / "none.jsonl", rows), *options)


def test_exchanged_columns_and_letters_that_rouge_does_not_read_are_said(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "rows.jsonl", documents(40))
    data = loaded(file, "--document_column", "summary", "--summary_column", "document")
    assert any("longer than their documents" in str(finding) for finding in data.findings)
    russian = [{"document": f"Дождь идёт {n}. Солнце.", "summary": f"дождь {'я' * n}"} for n in range(1, 40)]
    data = loaded(write_jsonl(tmp_path / "russian.jsonl", russian))
    assert any("of which ROUGE reads nothing" in str(finding) for finding in data.findings)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--labels_column", "labels"], "--label_temperature 0"),
        (["--method", "abstractive", "--labels_column", "labels"], "give --method extractive"),
        (["--method", "abstractive", "--pretrained", "false"], "--tuning full"),
    ],
)
def test_options_that_cannot_be_together_are_refused(options: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse(CONFIG, ["--train_file", "none", *options])


PAIRS = [
    ("The cats were running\nover the hills", "a cat runs over hills"),
    ("Rain, rain — go away!", "rain go away"),
    ("naïve café 3.5 %", "naive cafe 3.5"),
    ("One.\nTwo three.\nFour.", "Four one.\nThree two."),
    ("word", "other"),
    ("!!!", "..."),
]


def test_rouge_is_that_of_the_library_for_each_pair() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(rouge.TYPES), use_stemmer=True)
    for reference, summary in PAIRS:
        library = scorer.score(reference, summary)
        assert rouge.rouge(reference, summary) == tuple(library[name].fmeasure for name in rouge.TYPES)


def test_of_several_references_that_with_the_highest_rouge_1_counts_for_all() -> None:
    # "a b c d" shares 3 of 4 words, and no pair, with the first; 2 of 4, and a pair, with the second.
    references = ["c a z b", "c d x y"]
    first = (6 / 8, 0.0)
    assert rouge.rouge(references[1], "a b c d")[1] > 0
    assert rouge.best_of(references, "a b c d")[:2] == pytest.approx(first)
    sums = rouge.statistics(["a b c d", "q"], [references, ["q"]], [True, False]).sum(axis=0)
    scores = {name: float(value) for name, value in rouge.score(sums).items()}
    assert scores["rouge1"] == pytest.approx((0.75 + 1) / 2) and scores["stopped"] == 0.5
    swapped = rouge.statistics(["a b c d"], [references[::-1]], [True])
    assert swapped[0, :2] == pytest.approx(first), "their order does not matter"


def test_a_sentence_on_each_line_is_worth_more_than_one_line_where_their_order_differs() -> None:
    reference, summary = "one two\nthree four", "three four\none two"
    joined = rouge.rouge(reference.replace("\n", " "), summary.replace("\n", " "))[2]
    assert rouge.rouge(reference, summary)[2] == 1.0 and joined == pytest.approx(0.5)


def test_the_greedy_oracle_takes_what_helps_most_as_long_as_it_helps() -> None:
    oracle = module("oracle").greedy_oracle
    sentences = ["rain and wind", "soup", "rain and wind and sun", "sun and more of it"]
    # Worked by hand: sentence 2 has all four words of the reference, and each more would only cost precision.
    assert oracle(sentences, ["rain and wind and sun"], 3) == [2]
    assert oracle(sentences[:2], ["wind with soup and rain"], 2) == [0, 1]
    assert oracle(["x", "y"], ["z"], 2) == [0], "one at least"
    assert oracle(["soup rain", "rain soup"], ["rain soup"], 1) == [1], "pairs of words decide between equal ones"


def test_shares_follow_rouge() -> None:
    oracle = module("oracle")
    sentences, references = ["rain wind", "rain", "soup"], ["rain wind"]
    scores = np.asarray([1.0, 2 / 3, 0.0])
    expected = np.exp(scores / 0.5) / np.exp(scores / 0.5).sum()
    assert oracle.soft_shares(sentences, references, 0.5) == pytest.approx(expected)
    assert oracle.shares([0, 2], 3).tolist() == [0.5, 0.0, 0.5]


def test_unsupported_are_numbers_and_names_that_the_document_lacks() -> None:
    faithful = module("faithful")
    document = "In 1,970 Anwar Sadat's army (of Egypt) had 3.5 tanks. He was the president."

    def odd(summary: str) -> list[str]:
        return [summary[start:end] for start, end in faithful.unsupported(document, summary)]

    assert odd("President of Egypt in 1970 with 3.5 tanks") == []
    assert odd("General of Syria in 1971, Sadat. Another Nasser, 35") == ["Syria", "1971", "Nasser", "35"]
    assert odd("SADAT and Egypt's army") == []
    assert faithful.new_pairs("a b c", "a b d") == 0.5 and faithful.new_pairs("a", "a") is None


def test_each_sentence_comes_from_that_with_most_of_its_words() -> None:
    document = "The rain is here. A drum and a song. The song of rain."
    found = module("faithful").sources(document, "A song, a drum.\nRain song\nnothing")
    assert [document[slice(*span)] if span else None for span in found] == [
        "A drum and a song.",
        "The song of rain.",
        None,
    ]


def test_the_starters_sides_share_no_family(monkeypatch: pytest.MonkeyPatch) -> None:
    starter = module("starter_data")
    titles = ["Greek mythology", "Norse mythology (religion)", "Paris, Texas", "Paris", "Sum", "Same", "Long"]
    long = "It is a long text " * 6
    rows = [{"title": title, "extract": long, "description": title, "topic": "x"} for title in titles]
    rows[5]["description"], rows[6]["description"] = "Twice", "twice "
    rows += [{"title": f"Title {n}", "extract": long, "description": f"d {n}", "topic": "x"} for n in range(300)]
    rows.append({"title": "Short", "extract": "Too short.", "description": "short", "topic": "x"})
    monkeypatch.setattr(starter, "articles", lambda: rows)
    splits = starter.wikipedia().splits
    every = [row for split in splits.values() for row in split]
    assert not {row["summary"] for row in every} & {"Twice", "twice ", "short"}
    assert starter.family(titles[0]) == starter.family(titles[1]) == "mythology"
    assert starter.family(titles[2]) == starter.family(titles[3]) == "paris"
    groups = [{row["group"] for row in split} for split in splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) and len(groups[0]) > 200
