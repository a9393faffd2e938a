"""The demo of a search: what it finds, what it shows, what hostile visitors get, and what it learns from."""

import asyncio
import gc
import gzip
import json
import re
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file

from apps.semantic_search import OwnDocuments, SearchDemo, build, underlined
from common.data.corrections import kept_file, review
from common.predictor import Predictor
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from tests.apps.conftest import answered_again, fresh_corrections, rounding, serving
from tests.apps.test_text_classification import call
from tests.projects.semantic_search.conftest import finished_search_run  # noqa: F401  (a fixture)
from tests.projects.semantic_search.rows import document, menus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(finished_search_run: Run) -> SearchDemo:  # noqa: F811
    return SearchDemo(Predictor.load(finished_search_run.folder, precision="fp32"))


@pytest.fixture(scope="module")
def served(finished_search_run: Run) -> Iterator[gr.Blocks]:  # noqa: F811
    with serving(build, finished_search_run) as blocks:
        yield blocks


def test_it_answers_the_whole_test_split_as_it_was_measured(demo: SearchDemo, finished_search_run: Run) -> None:  # noqa: F811
    best = read_json(finished_search_run.results)["comparison"]["against"]
    near = rounding(finished_search_run)
    for answer, record in answered_again(demo, finished_search_run):
        scores = [one["score"] for one in answer["documents"]]
        assert scores == pytest.approx(record["prediction"]["details"]["scores"], abs=near)
        if near == 1e-5:
            assert [one["id"] for one in answer["documents"]] == record["prediction"]["value"]
        assert len(answer["baseline"]) <= 10
        if best in ("bm25", "tfidf"):
            assert answer["baseline"] == record["baselines"][best]["value"]


def test_words_of_the_query_are_underlined_and_nothing_else_is_code() -> None:
    shown = underlined("The <b>rains</b> & a soup", {"rain", "the"})
    assert shown == "The &lt;b&gt;<b>rains</b>&lt;/b&gt; &amp; a soup"


def test_both_lists_stand_beside_each_other_with_scores(demo: SearchDemo) -> None:
    row = menus()[3]
    page = asyncio.run(demo.ask(row["query"]))[0]
    assert page.count('class="found') == 2 and "best baseline" in page
    first = re.sub(r"<[^>]*>", "", page.split('class="found first">')[1].split("</li>")[0])
    assert row["document"] in first and re.match(r"0\.\d\d", first)


def test_each_word_is_left_out_to_see_what_it_does(demo: SearchDemo) -> None:
    row = menus()[3]
    page = asyncio.run(demo.because(row["query"]))
    assert page.count("<mark") == len(row["query"].split())
    assert "one by one" in asyncio.run(demo.because("rain")) and "one by one" in asyncio.run(demo.because("rain " * 40))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no text yet"),
        ("a" * 10_001, "10,000 are read at most"),
        ("a\0b", "no text"),
        (17, "Give one text"),
        (["a"], "Give one text"),
    ],
)
def test_bad_input_gets_a_sentence(served: gr.Blocks, text: Any, said: str) -> None:
    kind, answer = call(served.local_url, "predict", text)
    assert kind == "error" and said in answer["error"] and "Traceback" not in str(answer)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\U0001f986" * 50, "‮rain", "rain " * 400, "é́" * 20, "$x$ **b** [SEP]"]
)
def test_what_looks_like_code_is_only_text(served: gr.Blocks, text: str) -> None:
    kind, answer = call(served.local_url, "predict", text)
    assert kind == "complete" and len(answer[0]["documents"]) == 10, answer


def test_many_visitors_at_once(served: gr.Blocks) -> None:
    with ThreadPoolExecutor(32) as visitors:
        answers = list(visitors.map(lambda n: call(served.local_url, "predict", f"the rain is here {n}"), range(64)))
    assert all(kind == "complete" for kind, _ in answers)


def test_many_pages_at_once(demo: SearchDemo) -> None:
    async def ask() -> list[tuple[str, str]]:
        return await asyncio.gather(*(demo.ask(f"the rain is here {n} " + "soup " * n) for n in range(96)))

    pages = [page for page, _ in asyncio.run(ask())]
    assert ["were not read" in page for page in pages] == [n > 57 for n in range(96)], "62 tokens are read"


def test_a_whole_file_is_answered(served: gr.Blocks, tmp_path: Any) -> None:
    file = tmp_path / "queries.csv"
    file.write_text("query\nthe rain is here\n=1+1 soup\n", encoding="utf-8")
    download, table = Client(served.local_url, verbose=False).predict(
        handle_file(file), "query", api_name="/answer_file"
    )
    assert "the rain is here" in table
    answered = open(download["value"] if isinstance(download, dict) else download, encoding="utf-8").read()  # noqa: PTH123, SIM115
    assert "'=1+1 soup" in answered
    assert any(f'""{row["document"]}""' in answered for row in menus()), "no ids, but texts"


@pytest.mark.parametrize(
    ("given", "said"), [("", "Write how"), (None, "Write how"), ("no such", "No document"), ("r", "documents begin")]
)
def test_a_correction_that_cannot_be_is_refused(demo: SearchDemo, given: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        demo.checked_reference(given, "the rain and soup")


def read(demo: SearchDemo, file: Path, content: str, column: str = "") -> tuple[OwnDocuments, str, Any]:
    """What the demo makes of a visitor's file."""
    file.write_text(content, encoding="utf-8")
    return asyncio.run(demo.read_documents({"path": str(file)}, column))


def test_documents_of_ones_own_are_searched_by_both_and_then_forgotten(demo: SearchDemo, uploads: Path) -> None:
    rows = menus()
    texts = [rows[3]["document"], rows[4]["document"], "<b>nothing</b> of that kind", rows[3]["document"]]
    content = "".join(json.dumps({"text": text}) + "\n" for text in [*texts, " "])
    documents, said, back = read(demo, uploads / "own.jsonl", content)
    assert not (uploads / "own.jsonl").exists(), "the file does not stay"
    assert "<b>3</b> documents" in said and "left out: 1. The first one: There is no text yet" in said
    assert documents.index.texts == texts[:3] and back.visible
    query = rows[3]["query"]
    corpus, own = (asyncio.run(demo.ask(*given))[0] for given in ((query, None), (query, documents)))
    assert "In your 3 documents" in own and "BM25 (stemmed) finds" in own and own.count('class="found') == 2
    assert "In your" not in corpus and corpus.split("</ol>")[0] != own.split("</ol>")[0]
    as_measured = demo.predictor.predict([query])[0]
    number = as_measured.value.index(next(one for one in as_measured.value if demo.task.text_of(one) == texts[0]))
    answer = asyncio.run(demo.prediction(demo.as_input((query, documents))))
    scores = dict(zip(answer.value, answer.details["scores"], strict=True))
    assert scores["1"] == pytest.approx(as_measured.details["scores"][number], abs=0.01)  # the index may be of bf16
    shown = asyncio.run(demo.ask("nothing", documents))[0]
    assert "&lt;b&gt;<b>nothing</b>&lt;/b&gt;" in shown and "<b>nothing</b> of" not in shown
    assert texts[0].split()[0] in asyncio.run(demo.because(demo.as_input((query, documents))))
    del documents, answer
    gc.collect()
    assert not demo.kept_documents


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("own.csv", "", "no header|empty|has no"),
        ("own.csv", "text\n", "no rows"),
        ("own.csv", "text\n \n", "no rows|There is no text yet"),
        ("own.csv", "one,two\na,b\n", "Which column holds the texts"),
        ("own.txt", "text\na\n", "This kind of file cannot be read"),
        ("own.jsonl", '{"text": "a"}\n' * 1_001, "more than 1,000 rows"),
        ("own.csv", "text\n" + "".join(f"{'a' * 9_999}{n}\n" for n in range(100, 202)), "read at most"),
        ("own.csv", f"text\n{'a' * 10_001}\n", "10,000 are read at most"),
    ],
)
def test_documents_that_cannot_be_searched_are_refused(
    demo: SearchDemo, uploads: Path, name: str, content: str, said: str
) -> None:
    with pytest.raises(gr.Error, match=said) as error:
        read(demo, uploads / name, content)
    assert str(uploads) not in str(error.value) and not (uploads / name).exists()


def test_documents_are_taken_from_uploads_alone_and_from_so_many_visitors(
    demo: SearchDemo, uploads: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    with pytest.raises(gr.Error, match="There is no file yet"):
        read(demo, elsewhere, "text\nsecret\n")
    assert elsewhere.exists()
    for given in (None, 17, {"path": None}, {"path": str(uploads)}):
        with pytest.raises(gr.Error, match="There is no file yet"):
            asyncio.run(demo.read_documents(given, None))
    monkeypatch.setattr("apps.semantic_search.OWN_VISITORS", 2)
    monkeypatch.setattr(demo, "kept_documents", weakref.WeakSet())
    mine, *_ = read(demo, uploads / "own.csv", "text\nrain\n")
    with pytest.raises(gr.Error, match="try again in an hour"):
        read(demo, uploads / "own.csv", "text\nrain\n")
    monkeypatch.setattr("apps.parts.visitors.visitor", lambda: "192.0.2.1")
    another, *_ = read(demo, uploads / "own.csv", "text\nrain\n")
    monkeypatch.setattr("apps.parts.visitors.visitor", lambda: "192.0.2.2")
    with pytest.raises(gr.Error, match="try again in an hour"):
        read(demo, uploads / "own.csv", "text\nrain\n")
    assert set(demo.kept_documents) == {mine, another}


ZIPPED = gzip.compress(b"text\n" + b"rain " * 2_000_000)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("own.csv", ZIPPED, "is no UTF-8: save the file"),
        ("own.csv.gz", ZIPPED, "This kind of file cannot be read"),
        ("own.csv", "text\nrain\n".encode("utf-16"), "is no UTF-8: save the file"),
        ("own.csv", b"text\nr\0in\n", "No row of 'text' can be answered"),
        ("own.csv", b"text,b\nrain,a\0\n", "characters that are no text"),
        ("own.jsonl", b'{"text": "\\ud800"}\n', "No row of 'text' can be answered"),
        ("own.jsonl", b'{"text": ' + b"[" * 100_000 + b"\n", "nested too deeply"),
        ("own.jsonl", b'{"text": ["rain"]}\n{"text": {"a": 1}}\n', "No row of 'text' can be answered"),
        ("own.csv", b"text\n" + b"r\n" * 100_000, "more than 1,000 rows"),
        ("own.csv", b"text\n" + b"rain " * 1_900_000, "No row of 'text' can be answered"),
        ("<img src=x onerror=alert(1)>.csv", b"a,b\n1,2\n", "Which column holds the texts"),
        ("own.csv", b'text\n"rain\n', "never closed"),
    ],
)
def test_hostile_files_of_documents_get_a_sentence(served: gr.Blocks, name: str, content: bytes, said: str) -> None:
    kind, answer = own_documents(served.local_url, name, content)
    assert kind == "error" and said in answer["error"], answer
    assert not re.search(r"/tmp|<|Traceback", answer["error"]) and len(answer["error"]) < 600


def own_documents(url: str, name: str, content: bytes, session: str = "") -> tuple[str, Any]:
    """What is answered to a file of documents, over plain HTTP."""
    (path,) = httpx.post(f"{url}gradio_api/upload", files={"files": (name, content)}, timeout=30).json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    return call(url, "read_documents", file, "", session=session)


def test_documents_of_ones_own_are_nobody_elses(served: gr.Blocks) -> None:
    url, rows = served.local_url, menus()
    texts = [rows[3]["document"], '=HYPERLINK("https://evil.example")', "<script>alert(1)</script> **b** $x$"]
    content = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    kind, answer = own_documents(url, "own.jsonl", content, session="mine")
    assert kind == "complete" and "<b>3</b> documents" in answer[-2]
    kind, answer = call(url, "search_documents", rows[3]["query"], session="mine")
    found = answer[0]
    assert kind == "complete" and {one["text"] for one in found["documents"]} == set(texts), "as they were given"
    assert [one["score"] for one in found["documents"]] == sorted(
        (o["score"] for o in found["documents"]), reverse=True
    )
    assert found["bm25"][0]["text"] == texts[0]
    for session in ("", "another"):
        kind, answer = call(url, "search_documents", rows[3]["query"], session=session)
        assert kind == "error" and "no documents of your own in this session" in answer["error"]
    assert len(call(url, "predict", rows[3]["query"], session="mine")[1][0]["documents"]) == 10
    for query in ("", "a" * 10_001, "a\0b"):
        assert call(url, "search_documents", query, session="mine")[0] == "error"


def test_files_that_come_together_count_as_much_as_those_that_are_kept(
    demo: SearchDemo, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.semantic_search.OWN_VISITORS", 6)
    monkeypatch.setattr(demo, "kept_documents", weakref.WeakSet())
    for number in range(8):
        (uploads / f"{number}.csv").write_text("text\nrain\n", encoding="utf-8")

    async def all_at_once() -> list[Any]:
        given = ({"path": str(uploads / f"{number}.csv")} for number in range(8))
        return await asyncio.gather(*(demo.read_documents(one, "") for one in given), return_exceptions=True)

    refused = [isinstance(one, gr.Error) for one in asyncio.run(all_at_once())]
    assert sum(refused) == 5 and not demo.reading


def test_documents_without_a_word_are_searched_too(demo: SearchDemo, uploads: Path) -> None:
    documents, said, _ = read(demo, uploads / "own.csv", "text\n\U0001f986\n")
    assert "your <b>1</b> document." in said
    assert "no document has these words" in asyncio.run(demo.ask("rain", documents))[0]


def test_the_end_of_a_query_that_is_not_read_is_said(demo: SearchDemo) -> None:
    assert "were not read" not in asyncio.run(demo.ask("rain and soup"))[0]
    assert "the last" in asyncio.run(demo.ask("rain " * 400))[0]


def test_a_correction_flows_back_into_training(demo: SearchDemo, finished_search_run: Run) -> None:  # noqa: F811
    with fresh_corrections(finished_search_run) as file:
        asyncio.run(demo.correct("something for a storm", document(3, 1, 2).upper()))
        review(file, keep=["all"], drop=[])
        kept = kept_file(file)
        task_class, config = type(demo.predictor.task), demo.predictor.task.config
        before = task_class(config).data().splits["train"]
        train = task_class(replace(config, extra_train_file=str(kept))).data().splits["train"]
        assert train["query"][len(before) :] == ["something for a storm"]
        assert len(train[len(before)]["reference"]) == 1
