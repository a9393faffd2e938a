"""The demo of entities: what it answers, what it shows, what hostile visitors get, and what it learns from."""

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file

from apps.parts.answers import probability
from apps.token_classification import EntityDemo, build, chances
from common.data.corrections import kept_file, review
from common.predictor import Predictor
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from common.task.contract import Prediction
from tests.apps.conftest import answered_again, fresh_corrections, rounding, serving
from tests.apps.test_text_classification import call
from tests.projects.token_classification.conftest import finished_entity_run  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(finished_entity_run: Run) -> EntityDemo:  # noqa: F811
    return EntityDemo(Predictor.load(finished_entity_run.folder, precision="fp32"))


@pytest.fixture(scope="module")
def served(finished_entity_run: Run) -> Iterator[gr.Blocks]:  # noqa: F811
    with serving(build, finished_entity_run) as blocks:
        yield blocks


def test_it_answers_the_whole_test_split_as_it_was_measured(demo: EntityDemo, finished_entity_run: Run) -> None:  # noqa: F811
    best = read_json(finished_entity_run.results)["comparison"]["against"]
    near = rounding(finished_entity_run)
    for answer, record in answered_again(demo, finished_entity_run):
        measured = record["prediction"]
        found = [{key: entity[key] for key in ("start", "end", "label")} for entity in answer["entities"]]
        if near == 1e-5 or measured["details"]["margin"] > near:
            assert found == measured["value"]
            confidences = [entity["confidence"] for entity in answer["entities"]]
            assert confidences == pytest.approx(measured["details"]["confidences"], abs=near)
        assert answer["baseline"] == record["baselines"][best]["value"]


def test_names_are_marked_with_type_and_confidence_and_unsure_ones_are_dashed(demo: EntityDemo) -> None:
    text = "the <b>rain</b> & soup"
    entities = [{"start": 7, "end": 11, "label": "weather"}, {"start": 18, "end": 22, "label": "food"}]
    shown = demo.marked(text, entities, [1.0, 0.0])
    assert re.findall(r"<mark (\w+)", shown) == ["style", "class"]
    assert "&lt;b&gt;<mark" in shown and "&amp; <mark" in shown
    assert re.findall(r"<small .*?>(.*?)</small>", shown) == ["weather", "food"]
    assert re.sub(r"<small.*?</small>|<[^>]*>", "", shown) == "the &lt;b&gt;rain&lt;/b&gt; &amp; soup"
    listed = chances(text, Prediction(entities, details={"confidences": [1.0, 0.0]}))
    assert f"<b>rain</b> {probability(1.0)}" in listed and f"<b>soup</b> {probability(0.0)}" in listed
    assert chances(text, Prediction([], details={"confidences": []})) == ""


def test_the_type_of_a_mark_inside_a_word_stands_after_the_word(demo: EntityDemo) -> None:
    inside = {"start": 0, "end": 4, "label": "weather"}
    assert ">rain</mark>bow<small" in demo.marked("rainbow soup", [inside])
    after = {"start": 4, "end": 7, "label": "food"}
    shown = demo.marked("rainbow soup", [inside, after])
    assert re.sub(r"<small.*?</small>|<[^>]*>", "", shown) == "rainbow soup" and ">bow</mark><small" in shown


def test_the_best_baseline_answers_beside_it(demo: EntityDemo) -> None:
    page = asyncio.run(demo.ask("the rain is here and bread"))[0]
    assert page.count('class="entities"') == 2 and "The best baseline" in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no text yet"),
        ("a" * 10_001, "10,000 are read at most"),
        ("a\0b", "no text"),
        (17, "Give one text"),
    ],
)
def test_bad_input_gets_a_sentence(served: gr.Blocks, text: Any, said: str) -> None:
    kind, answer = call(served.local_url, "predict", text)
    assert kind == "error" and said in answer["error"] and "Traceback" not in str(answer)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\U0001f986" * 50, "‮rain", "rain " * 400, "é́" * 20, "$x$ **b**"]
)
def test_what_looks_like_code_is_only_text(served: gr.Blocks, demo: EntityDemo, text: str) -> None:
    kind, answer = call(served.local_url, "predict", text)
    assert kind == "complete", answer
    assert "<script>" not in demo.marked(text, answer[0]["entities"])


def test_many_visitors_at_once(served: gr.Blocks) -> None:
    with ThreadPoolExecutor(32) as visitors:
        answers = list(visitors.map(lambda n: call(served.local_url, "predict", f"the rain is here {n}"), range(64)))
    assert all(kind == "complete" for kind, _ in answers)


def test_a_whole_file_is_answered(served: gr.Blocks, tmp_path: Any) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\nthe rain is here\n=1+1 soup\n", encoding="utf-8")
    download, table = Client(served.local_url, verbose=False).predict(
        handle_file(file), "text", api_name="/answer_file"
    )
    assert "weather" in table
    answered = open(download["value"] if isinstance(download, dict) else download, encoding="utf-8").read()  # noqa: PTH123, SIM115
    assert "'=1+1 soup" in answered and '""label"": ""weather""' in answered


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("rain", "a colon and one of"),
        ("rain: music", "a colon and one of"),
        ("snow: weather", "not in the rest of the text"),
        ("soup: food\nrain: weather", "not in the rest of the text"),
        (": weather", "not in the rest of the text"),
        (None, "as lines of words"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(demo: EntityDemo, given: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        demo.checked_reference(given, "the rain and soup")


def test_a_correction_flows_back_into_training(demo: EntityDemo, finished_entity_run: Run) -> None:  # noqa: F811
    from dataclasses import replace

    with fresh_corrections(finished_entity_run) as file:
        asyncio.run(demo.correct("the rain was very soup", "rain: weather\nsoup: food"))
        asyncio.run(demo.correct("nothing of that kind", ""))
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert [row["spans"] for row in rows] == [
            [{"start": 4, "end": 8, "label": "weather"}, {"start": 18, "end": 22, "label": "food"}],
            [],
        ]
        review(file, keep=["all"], drop=[])
        kept = kept_file(file)
        task_class = type(demo.predictor.task)
        config = demo.predictor.task.config
        before = task_class(config).data().splits["train"]
        train = task_class(replace(config, extra_train_file=str(kept))).data().splits["train"]
        assert train["text"][len(before) :] == ["the rain was very soup", "nothing of that kind"]
        assert train["reference"][len(before)] == rows[0]["spans"]
