"""The demo of question answering: what it answers, what it marks, what hostile visitors get, what it learns from."""

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from apps.question_answering import QuestionDemo, build, marked
from common.data.corrections import kept_file, review
from common.predictor import Predictor
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from common.task.contract import Prediction
from tests.apps.conftest import fresh_corrections, rounding
from tests.apps.test_text_classification import call
from tests.projects.question_answering.conftest import finished_question_run  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

TEXT = "the rain is here and some bread"


@pytest.fixture(scope="module")
def demo(finished_question_run: Run) -> QuestionDemo:  # noqa: F811
    return QuestionDemo(Predictor.load(finished_question_run.folder, precision="fp32"))


@pytest.fixture(scope="module")
def served(finished_question_run: Run) -> Iterator[gr.Blocks]:  # noqa: F811
    from apps.parts.server import launch

    blocks = build(Predictor.load(finished_question_run.folder, precision="fp32"), corrections=True)
    launch(blocks, prevent_thread_lock=True, quiet=True)
    yield blocks
    blocks.close()


def test_it_answers_the_whole_test_split_as_it_was_measured(
    demo: QuestionDemo,
    finished_question_run: Run,  # noqa: F811
) -> None:
    records = [json.loads(line) for line in finished_question_run.predictions.read_text(encoding="utf-8").splitlines()]
    best = read_json(finished_question_run.results)["comparison"]["against"]

    async def ask() -> list[Any]:
        return await asyncio.gather(*(demo.predict(*record["input"].values()) for record in records))

    near = rounding(finished_question_run)
    for answer, record in zip(asyncio.run(ask()), records, strict=True):
        measured = record["prediction"]
        if measured["details"]["gap"] > near:
            assert answer["answer"] == measured["value"]
            assert answer["start"] == measured["details"].get("start")
            assert answer["confidence"] == pytest.approx(measured["confidence"], abs=near)
        assert answer["baseline"] == record["baselines"][best]["value"]


def test_the_answer_is_marked_where_it_stands_and_the_next_ones_are_dashed() -> None:
    others = [{"text": "bread", "start": 26, "probability": 0.1}, {"text": "the", "start": 0, "probability": 0.05}]
    shown = marked(TEXT, Prediction("rain", 0.8, details={"start": 4, "others": others, "none": 0.05}))
    assert re.findall(r'<mark class="(\w+)">(.*?)</mark>', shown) == [
        ("next", "the"),
        ("best", "rain"),
        ("next", "bread"),
    ]
    assert re.sub(r"<[^>]*>", "", shown) == TEXT
    hostile = "<b>rain</b> & soup"
    shown = marked(hostile, Prediction("rain", 0.8, details={"start": 3, "others": []}))
    assert "&lt;b&gt;<mark" in shown and "&amp;" in shown and "<b>" not in shown


def test_no_answer_is_said_in_amber(demo: QuestionDemo) -> None:
    question = {"question": "is?", "context": TEXT}
    others = [{"text": "bread", "start": 26, "probability": 0.1}]
    none = Prediction("", 0.9, details={"others": others, "none": 0.9})
    page = demo.answer_html(question, none, None, 1.0)
    assert "No answer in this text" in page and 'answer unsure"' in page and ">bread</mark>" in page
    found = Prediction("rain", 0.9, details={"start": 4, "others": [], "none": 0.1})
    assert 'answer unsure"' not in demo.answer_html(question, found, None, 1.0)
    assert "Not sure" in demo.answer_html(question, replace(found, sure=False), None, 1.0)


def test_the_best_baseline_answers_beside_it(demo: QuestionDemo) -> None:
    page = asyncio.run(demo.ask("drum drum", TEXT))[0]
    assert "The best baseline" in page and "passage" in page


@pytest.mark.parametrize(
    ("question", "text", "said"),
    [
        ("", TEXT, "There is no question yet"),
        ("what?", "  ", "There is no text yet"),
        ("what?", "a" * 10_001, "10,000 are read at most"),
        ("a" * 1_001, TEXT, "1,000 are read at most"),
        ("a\0b", TEXT, "no text"),
        ("what?", "a\0b", "no text"),
        (17, TEXT, "Give one text"),
        ("what?", ["a"], "Give one text"),
    ],
)
def test_bad_input_gets_a_sentence(served: gr.Blocks, question: Any, text: Any, said: str) -> None:
    kind, answer = call(served.local_url, "predict", question, text)
    assert kind == "error" and said in answer["error"] and "Traceback" not in str(answer)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\U0001f986" * 50, "‮rain", "rain " * 400, "é́" * 20, "$x$ **b** [SEP] [CLS]"]
)
def test_what_looks_like_code_is_only_text(served: gr.Blocks, text: str) -> None:
    for question, context in ((text[:900], TEXT), ("drum drum", text)):
        kind, answer = call(served.local_url, "predict", question, context)
        assert kind == "complete", answer
        found = answer[0]
        if found["answer"]:
            assert context[found["start"] :].startswith(found["answer"])
        prediction = Prediction(found["answer"], 1.0, details={"start": found["start"], "others": found["others"]})
        assert "<script>" not in marked(context, prediction)


def test_many_visitors_at_once(served: gr.Blocks) -> None:
    with ThreadPoolExecutor(32) as visitors:
        asked = visitors.map(lambda n: call(served.local_url, "predict", "drum drum", f"{TEXT} {n}"), range(64))
        assert all(kind == "complete" for kind, _ in asked)


@pytest.mark.parametrize(("given", "said"), [("snow", "does not stand in the text"), (None, "Copy the right answer")])
def test_a_correction_that_cannot_be_is_refused(demo: QuestionDemo, given: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        demo.checked_reference(given, {"question": "is?", "context": TEXT})


def test_a_correction_flows_back_into_training(demo: QuestionDemo, finished_question_run: Run) -> None:  # noqa: F811
    with fresh_corrections(finished_question_run) as file:
        asyncio.run(demo.correct("drum drum", "rain was very some soup", "rain"))
        asyncio.run(demo.correct("piano piano", "nothing of that kind", ""))
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert [row["answers"] for row in rows] == [[{"text": "rain", "start": 0}], []]
        review(file, keep=["all"], drop=[])
        task_class, config = type(demo.predictor.task), demo.predictor.task.config
        before = task_class(config).data().splits["train"]
        train = task_class(replace(config, extra_train_file=str(kept_file(file)))).data().splits["train"]
        assert train["context"][len(before) :] == ["rain was very some soup", "nothing of that kind"]
        assert train["reference"][len(before)] == rows[0]["answers"]
