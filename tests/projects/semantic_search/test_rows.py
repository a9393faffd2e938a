"""Every way to give queries and documents, and what is wrong with them, said with row and remedy."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from common.data import tldr_pages, wikipedia
from common.data.packages import Archive
from common.system.errors import UserError
from projects.semantic_search import starter_data
from projects.semantic_search.config import SemanticSearchConfig
from projects.semantic_search.documents import Corpus, components
from projects.semantic_search.rows import load_rows
from tests.projects.semantic_search.rows import menus, write_jsonl


def load(**options: Any) -> tuple[Any, Corpus]:
    corpus = Corpus()
    return load_rows(SemanticSearchConfig(**options), corpus), corpus


def every(data: Any) -> dict[str, dict[str, Any]]:
    """All rows of all splits by their queries."""
    return {row["query"]: row for rows in data.splits.values() for row in rows}


def refused(**options: Any) -> str:
    with pytest.raises(UserError) as error:
        load(**options)
    return str(error.value)


def test_rows_of_one_query_become_one_and_equal_documents_too(tmp_path: Path) -> None:
    rows = menus(60)
    rows += [{"query": rows[0]["query"].upper(), "document": rows[1]["document"]}]
    rows += [{"query": "another one", "document": f"  {rows[2]['document'].upper()} "}]
    data, corpus = load(train_file=str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    found = every(data)
    assert len(found) == 61 and len(corpus) == len({row["document"] for row in rows[:60]})
    assert len(found[rows[0]["query"]]["reference"]) == 2
    assert found["another one"]["reference"] == found[rows[2]["query"]]["reference"]
    assert "1 further documents of a query" in str(data.tallies[0])


def test_rows_that_share_a_document_stay_on_one_side(tmp_path: Path) -> None:
    data, _ = load(train_file=str(write_jsonl(tmp_path / "rows.jsonl", menus(250))))
    sides = [{one["document"] for judged in rows["reference"] for one in judged} for rows in data.splits.values()]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert list(components([["a", "b"], ["c"], ["b", "d"], ["e", "c"]])) == ["a", "c", "a", "c"]


def test_documents_by_id_from_a_file_of_their_own(tmp_path: Path) -> None:
    corpus_file = write_jsonl(
        tmp_path / "corpus.jsonl",
        [{"_id": n, "title": f"t{n}", "text": f"text {n // 2 * 2 if n < 2 else n}"} for n in range(40)],
    )
    rows = [{"q": f"query {n}", "d": str(n), "much": n % 3, "bad": [str((n + 5) % 40)]} for n in range(40)]
    options = {"query_column": "q", "document_column": "d", "relevance_column": "much", "negatives_column": "bad"}
    data, corpus = load(
        train_file=str(write_jsonl(tmp_path / "rows.jsonl", rows)), corpus_file=str(corpus_file), **options
    )
    found = every(data)
    assert len(corpus) == 39 and corpus.same == {"1": "0"}, "the texts of 0 and 1 are equal"
    assert set(found) == {f"query {n}" for n in range(40) if n % 3}, "relevance 0 is no answer"
    assert found["query 1"]["reference"] == [{"document": "0", "relevance": 1.0}], "all ids of a text are right"
    assert found["query 2"]["reference"] == [{"document": "2", "relevance": 2.0}]
    assert found["query 2"]["negatives"] == ["7"]
    assert any("ids whose text another document has" in str(one) for one in data.findings)
    titled, whole = load(
        train_file=str(tmp_path / "rows.jsonl"), corpus_file=str(corpus_file), corpus_title_column="title", **options
    )
    assert whole.texts["3"] == "t3\ntext 3" and len(whole) == 40
    assert titled.fingerprint["corpus"] != data.fingerprint["corpus"]


def test_a_folder_in_the_layout_of_beir(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus.jsonl", [{"_id": f"d{n}", "title": "", "text": f"text {n}"} for n in range(50)])
    write_jsonl(tmp_path / "queries.jsonl", [{"_id": f"q{n}", "text": f"query {n}"} for n in range(50)])
    (tmp_path / "qrels").mkdir()
    for name, numbers in (("train", range(30)), ("dev", range(30, 40)), ("test", range(40, 50))):
        lines = ["query-id\tcorpus-id\tscore", *(f"q{n}\td{n}\t{1 + n % 2}" for n in numbers)]
        (tmp_path / "qrels" / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    data, corpus = load(beir_folder=str(tmp_path))
    assert [len(rows) for rows in data.splits.values()] == [30, 10, 10] and len(corpus) == 50
    assert data.splits["test"][1]["reference"] == [{"document": "d41", "relevance": 2.0}]
    with (tmp_path / "qrels" / "test.tsv").open("a") as file:
        file.write("q99\td1\t1\nq1\td99\t1\n")
    said = refused(beir_folder=str(tmp_path))
    assert "test.tsv, row 11" in said and "'q99'" in said and "row 12" in said and "'d99'" in said
    (tmp_path / "queries.jsonl").unlink()
    assert "has no queries.jsonl" in refused(beir_folder=str(tmp_path))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"query": "", "document": "a"}, "row 1: an empty text"),
        ({"query": "a", "document": ""}, "row 1: an empty text"),
        ({"query": "a", "document": None}, "row 1: no document"),
        ({"query": "a", "document": 7}, "row 1: a text cell that holds int"),
        ({"query": ["a"], "document": "a"}, "row 1: a text cell that holds list"),
    ],
)
def test_rows_that_cannot_be_are_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    file = write_jsonl(tmp_path / "rows.jsonl", [row, *menus(30)])
    assert said in refused(train_file=str(file))


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([{"_id": "1", "text": "a"}, {"_id": "1", "text": "b"}], "row 2: an id that another document has"),
        ([{"_id": "1", "text": ""}], "row 1: an empty text"),
        ([{"_id": None, "text": "a"}], "row 1: no id"),
        ([{"id": "1", "text": "a"}], "no column '_id'"),
        ([{"_id": "1", "text": "a"}], "a document id that the corpus lacks, such as"),
    ],
)
def test_documents_that_cannot_be_are_named(tmp_path: Path, documents: list[dict[str, Any]], said: str) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", menus(30))
    corpus = write_jsonl(tmp_path / "corpus.jsonl", documents)
    assert said in refused(train_file=str(rows), corpus_file=str(corpus))


def test_a_missing_column_is_said_with_the_nearest_one(tmp_path: Path) -> None:
    file = str(write_jsonl(tmp_path / "rows.jsonl", menus(30)))
    assert "no column 'queri'" in refused(train_file=file, query_column="queri")
    assert "no column 'place'" in refused(train_file=file, group_column="place")


def test_what_makes_a_test_easy_is_counted(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", menus(100))
    quoting = {"query": "what is this rain bread drum", "document": "rain bread drum"}
    known = [{"query": f"something else {n}", "document": menus(100)[n]["document"]} for n in range(8)]
    others = [{"query": f"number {n}", "document": f"document number {n}"} for n in range(12)]
    test = write_jsonl(tmp_path / "test.jsonl", [quoting, *known, *others])
    findings = list(map(str, load(train_file=str(train), test_file=str(test))[0].findings))
    assert any("row 1" in one and "queries that quote their document" in one for one in findings)
    assert any("test.jsonl, rows" in one and "whose documents answer queries of" in one for one in findings)
    assert any("documents nearly equal to another" in one for one in findings)


PAGES = {
    "common": {
        "tar": {"s": "Archiving utility.", "e": [["Extract an archive", "tar xf"], ["List with tar", "tar tf"]]},
        "untar": {"s": "This command is an alias of `tar`.", "e": [["View it", "tldr tar"]]},
        "git-log": {"s": "Show commits.", "e": [["Show the last commit", "git log -1"], ["Display help", "git -h"]]},
        "git-show": {"s": "Show objects.", "e": [["Show the last commit", "git show"]]},
    },
    "linux": {"tar": {"s": "Archives on Linux.", "e": [["Extract an archive", "tar xf"]]}},
    "osx": {"say": {"s": "Text to speech.", "e": [["Display help", "say -h"], ["Read aloud", "say hello"]]}},
}


def put_wheels(monkeypatch: pytest.MonkeyPatch, **content: bytes) -> None:
    """Let the starters find wheels that hold this, by the names of the constants that name the files."""

    def fetched(_: Archive) -> bytes:
        wheel = io.BytesIO()
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in content.items():
                places = (getattr(module, name, "") for module in (starter_data, tldr_pages, wikipedia))
                archive.writestr(next(filter(None, places)), text)
        return wheel.getvalue()

    for module in (starter_data, tldr_pages, wikipedia):
        monkeypatch.setattr(module, "fetch", fetched)


def test_the_starters_queries_name_no_command_and_its_documents_hold_no_example(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_wheels(monkeypatch, CONTENT=gzip.compress(json.dumps(PAGES).encode()))
    corpus = Corpus()
    rows = starter_data.tldr_pages(corpus).splits["train"]
    found = sorted((row["query"], row["document"], row["group"]) for row in rows)
    assert found == [
        ("Extract an archive", "tar (common)", "tar"),
        ("Extract an archive", "tar (linux)", "tar"),
        ("Read aloud", "say", "say"),
        ("Show the last commit", "git-log", "git"),
        ("Show the last commit", "git-show", "git"),
    ]
    assert corpus.texts["git-log"] == "git-log: Show commits." and "untar" not in corpus and len(corpus) == 5


def test_articles_are_found_by_what_describes_no_other_and_questions_are_out_of_domain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    articles = [
        ("Kiwi", "The kiwi is a bird of New Zealand.", "Family of birds"),
        ("Duck", "A duck is a bird on the water.", "family of  birds"),
        ("Nameless", "It has an extract.", " "),
        ("Empty", " ", "Nothing at all"),
        *((f"Article {n}", f"Article number {n} is about that.", f"What number {n} is") for n in range(40)),
    ]
    summaries = {title: {"title": title, "extract": text, "description": said} for title, text, said in articles}
    asked = [{"question": f"is it {n}", "passage": f"Passage -- {n // 2}"} for n in range(160)]
    lines = "".join(json.dumps(record) + "\n" for record in asked)
    put_wheels(monkeypatch, SUMMARIES=json.dumps(summaries).encode(), BOOLQ=lines.encode())
    data, corpus = load(dataset="starter:wikipedia")
    assert set(every(data)) == {f"What number {n} is" for n in range(40)}
    assert every(data)["What number 7 is"]["reference"] == [{"document": "Article 7", "relevance": 1.0}]
    assert corpus.texts["Kiwi"] == articles[0][1] and "Nameless" in corpus and "Empty" not in corpus
    boolq = data.out_of_domain["boolq"]
    assert 4 <= len(boolq) <= 60 and len(boolq) == 2 * len({row["group"] for row in boolq}), "passages are groups"
    number, document = boolq[0]["query"].split()[-1], boolq[0]["reference"][0]["document"]
    assert corpus.texts[document] == f"Passage -- {int(number) // 2}"
    assert len(corpus) == 43 + len({row["group"] for row in boolq})
