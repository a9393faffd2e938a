"""The demo of summarization: what it says, what it marks in the text, what hostile visitors get."""

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from apps.summarization import NOTICE, SummaryDemo, build, marked
from common.predictor import Predictor
from common.run import Run
from common.system.errors import UserError
from common.task.contract import Prediction
from tests.apps.conftest import answered_again, fresh_corrections, rounding, serving
from tests.apps.test_text_classification import call
from tests.projects.summarization.conftest import finished_abstract, finished_extract  # noqa: F401  (fixtures)
from tests.projects.summarization.rows import documents

pytestmark = pytest.mark.slow
TEXT = "The rain is here. A drum and a song."


@pytest.fixture(scope="module")
def chooses(finished_extract: Run) -> SummaryDemo:  # noqa: F811
    return SummaryDemo(Predictor.load(finished_extract.folder, precision="fp32"))


@pytest.fixture(scope="module")
def writes(finished_abstract: Run) -> SummaryDemo:  # noqa: F811
    return SummaryDemo(Predictor.load(finished_abstract.folder, precision="fp32"))


@pytest.fixture(scope="module")
def writes_as_measured(finished_abstract: Run) -> SummaryDemo:  # noqa: F811
    """The same in the precision that it was measured in: its words are nearly equally likely."""
    return SummaryDemo(Predictor.load(finished_abstract.folder))


@pytest.fixture(scope="module")
def served(finished_abstract: Run) -> Iterator[gr.Blocks]:  # noqa: F811
    with serving(build, finished_abstract) as blocks:
        yield blocks


@pytest.mark.parametrize(
    ("which", "run"), [("chooses", "finished_extract"), ("writes_as_measured", "finished_abstract")]
)
def test_it_answers_the_whole_test_split_as_it_was_measured(
    which: str, run: str, request: pytest.FixtureRequest
) -> None:
    demo, folder = request.getfixturevalue(which), request.getfixturevalue(run)
    near, same = rounding(folder) / 5, 0
    for answer, record in answered_again(demo, folder):
        measured = record["prediction"]
        if measured["details"]["gap"] > near:
            same += 1
            assert answer["summary"] == measured["value"]
            assert answer["sources"] == measured["details"]["sources"]
            assert answer["unsupported"] == measured["details"]["unsupported"]
        assert answer["baseline"] == record["baselines"]["lead_1"]["value"]
    assert same > 10


def test_what_is_marked_stands_where_it_says_and_nothing_is_interpreted() -> None:
    assert marked("a <b> c", [[2, 5], [0, 1], [2, 5]], "best") == (
        '<mark class="best">a</mark> <mark class="best">&lt;b&gt;</mark> c'
    )
    assert re.sub(r"<[^>]*>", "", marked(TEXT, [[0, 17], [5, 20]], "best")) == TEXT


def test_a_chosen_sentence_is_marked_in_its_text_beside_the_beginning(chooses: SummaryDemo) -> None:
    document = documents(1, seed=7)[0]["document"]
    page = asyncio.run(chooses.ask(document))[0]
    found = chooses.predictor.predict([document])[0]
    assert f'<mark class="best">{found.value}</mark>' in page and NOTICE not in page
    assert "The beginning (the first sentence) says" in page and "The marked sentence has" in page


def test_what_is_unsupported_is_in_amber_and_named_and_hostile_text_is_text(writes: SummaryDemo) -> None:
    hostile = "<img src=x onerror=alert(1)> **b** The rain."
    said = "<script>In Paris 1999</script>"
    odd = [[said.index(word), said.index(word) + len(word)] for word in ("Paris", "1999")]
    details = {"stopped": False, "tokens": 24, "gap": 0.1, "sources": [[0, 10], None], "unsupported": odd}
    page = writes.answer_html(hostile, Prediction(said, details=details), ("The beginning", Prediction(hostile)), 1.0)
    assert "<img" not in page and "<script>" not in page and NOTICE in page
    assert '<mark class="odd">Paris</mark> <mark class="odd">1999</mark>' in page
    assert "look them up: <b>Paris</b>, <b>1999</b>." in page and "broken off after 24 tokens" in page
    assert "told &#x27;Be brief.&#x27;" in page


def test_a_long_text_is_said_to_be_read_in_part(writes: SummaryDemo) -> None:
    page = asyncio.run(writes.ask("rain " * 400 + "."))[0]
    left_out = re.search(r"The middle of the text was not read: ([\d,]+) tokens", page)
    assert left_out and int(left_out[1].replace(",", "")) > 100
    assert "was not read" not in asyncio.run(writes.ask("The rain."))[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "There is no text yet"), ("a" * 10_001, "10,000 are read at most"), (7, "text"), (None, "text")],
)
def test_what_cannot_be_asked_is_met_with_a_sentence(chooses: SummaryDemo, text: Any, said: str) -> None:
    with pytest.raises((gr.Error, UserError), match=said):
        asyncio.run(chooses.predict(text))


@pytest.mark.parametrize("text", ["…", "\u202etxt", "a\u2028b\u2029c", "[[[[", "}{" * 3_000, "1. 2. 3.", "😀" * 900])
def test_any_text_is_answered(chooses: SummaryDemo, writes: SummaryDemo, text: str) -> None:
    for demo in (chooses, writes):
        answer = asyncio.run(demo.predict(text))
        assert all(span is None or text[slice(*span)] for span in answer["sources"])
    assert answer["baseline"]


def test_examples_say_what_people_wrote(chooses: SummaryDemo) -> None:
    kinds = {example["kind"] for example in chooses.examples}
    assert kinds <= {"right", "known failure"} and "right" in kinds
    assert chooses.example_label(chooses.examples[-1]).split(":")[0] in (
        "Close to what people wrote",
        "Far from what people wrote",
    )
    shown = asyncio.run(chooses.show_example(chooses.examples[0]))
    assert "People wrote: <b>" in shown[1]


def test_a_summary_grows_and_ends_as_it_would_have_been_given_at_once(
    writes: SummaryDemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.parts.streams.STEP", 0.001)
    document = documents(1)[0]["document"]

    async def pages() -> list[str]:
        return [page async for page, _ in writes.stream(document, SimpleNamespace(session_hash="one"))]

    *growing, last = asyncio.run(pages())
    assert growing and all("Writing" in page and NOTICE in page for page in growing)
    assert last.partition("Answered in")[0] == asyncio.run(writes.ask(document))[0].partition("Answered in")[0]
    assert writes.writer.listener is None and not writes.running


def test_eight_visitors_at_once_get_what_each_would_alone(served: gr.Blocks, writes: SummaryDemo) -> None:
    asked = [row["document"] for row in documents(8, seed=6)]
    with ThreadPoolExecutor(8) as visitors:
        found = list(visitors.map(lambda document: call(served.local_url, "predict", document), asked))
    alone = writes.predictor.predict(asked)
    assert [data[0]["summary"] for _, data in found] == [one.value for one in alone]


def test_a_correction_is_a_row_of_the_next_training(served: gr.Blocks, finished_abstract: Run) -> None:  # noqa: F811
    with fresh_corrections(finished_abstract) as file:
        assert "it is kept" in call(served.local_url, "correct", TEXT, "rain and drums")[1][0]
        row = json.loads(file.read_text(encoding="utf-8"))
        assert (row["document"], row["summary"]) == (TEXT, "rain and drums")
