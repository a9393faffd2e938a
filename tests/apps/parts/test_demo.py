"""A demo of an invented task that is no classification: the score of an essay, a number without a confidence."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from apps.parts.demo import Demo
from apps.parts.inputs import checked_text
from apps.parts.server import launch
from apps.parts.texts import TextQuestions
from common.reporting.card import write_pages
from common.run import Run
from common.system.errors import UserError
from common.task.contract import Prediction
from tests.common.reporting.synthetic import regression, write_run

ESSAY = {"question": "Why?", "essay": "Because of the <b>weather</b>."}


class EssayDemo(Demo):
    """All that a project has to say: what is asked, how it is checked, and what a right answer is."""

    arguments: ClassVar[dict[str, Any]] = {"question": str, "essay": str}
    reference: ClassVar[str] = "score"

    async def checked(self, given: Any) -> dict[str, str]:
        return {name: checked_text(text) for name, text in given.items()}

    def question_boxes(self) -> list[Any]:
        return [gr.Textbox(label="The question"), gr.Textbox(label="The essay")]

    def reference_box(self) -> gr.Number:
        return gr.Number(label="The right score")

    def checked_reference(self, given: Any, question: Any) -> float:
        if not isinstance(given, int | float) or not 0 <= given <= 10:
            raise UserError("Give the right score first: a number from 0 to 10.")
        return float(given)


class Mean:
    """The baseline: always the mean."""

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction(5.5) for _ in inputs]


@dataclass
class EssayTask:
    """As much of a Task as a demo asks for."""

    title: str = "Essay scoring"
    settings: dict[str, Any] = field(default_factory=dict)
    config: Any = None

    def load_baseline(self, folder: Path) -> Mean:
        return Mean()

    def in_words(self, value: Any, given: Any) -> Any:
        return value


class Scorer:
    """A Predictor without a model: the score is a tenth of the essay's length."""

    def __init__(self, folder: Path | None = None):
        self.task, self.folder = EssayTask(), folder

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction(len(one if isinstance(one, str) else one["essay"]) / 10) for one in inputs]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    example = {"kind": "right", "id": "test:1", "input": ESSAY, "reference": 3.0, "prediction": 3.0}
    run = write_run(tmp_path_factory.mktemp("essays") / "tiny", {**regression(), "examples_to_try": [example]})
    run.baseline.mkdir()
    write_pages(run)
    return run


@pytest.fixture(scope="module")
def page(run: Run) -> Iterator[gr.Blocks]:
    blocks = EssayDemo.build(Scorer(run.folder), corrections=True)  # type: ignore[arg-type]
    launch(blocks, prevent_thread_lock=True, quiet=True)
    yield blocks
    blocks.close()


def tabs(blocks: gr.Blocks) -> list[str]:
    return [block.label for block in blocks.blocks.values() if isinstance(block, gr.Tab) and block.visible]


def is_shown_button(block: Any) -> bool:
    return isinstance(block, gr.Button) and bool(block.visible)


def test_other_programs_get_the_number_beside_the_baselines(page: gr.Blocks) -> None:
    client = Client(page.local_url, verbose=False)
    answer = client.predict(**ESSAY, api_name="/predict")
    assert answer.pop("milliseconds") >= 0
    assert answer == {"value": 3.0, "confidence": None, "sure": True, "baseline": 5.5}
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/predict", "/correct"}


def test_a_visitor_gets_the_number_beside_the_baselines(run: Run) -> None:
    answer, because = asyncio.run(EssayDemo(Scorer(run.folder)).ask(*ESSAY.values()))  # type: ignore[arg-type]
    assert '<p class="label">3</p>' in answer and "Sure of it" not in answer and "unsure" not in answer
    assert "always the mean of the training rows) says: <b>5.5</b>" in answer
    assert because == ""
    with pytest.raises(gr.Error, match="There is no text yet"):
        asyncio.run(EssayDemo(Scorer()).ask("Why?", ""))  # type: ignore[arg-type]


def test_its_page_has_the_tabs_that_it_fills(page: gr.Blocks) -> None:
    assert tabs(page) == ["Try it", "Evidence", "About"]
    said = json.dumps(page.get_config_file())
    assert "has a mean absolute error of 1.42 (1.31 to 1.53, lower is better)" in said
    assert "Right: question: Why?, essay: Because" in said
    assert "Why this answer?" not in [block.value for block in page.blocks.values() if is_shown_button(block)]
    assert "it says that it is not sure" not in said


def test_it_opens_with_an_example_and_its_answer(page: gr.Blocks) -> None:
    values = [getattr(block, "value", None) for block in page.blocks.values()]
    assert ESSAY["question"] in values and ESSAY["essay"] in values
    (answer,) = [value for value in values if isinstance(value, str) and "answer" in value and "truth" in value]
    assert "Right: the test set says <b>3</b>, too." in answer


def test_a_click_on_an_example_answers_and_says_the_truth(run: Run) -> None:
    demo = EssayDemo(Scorer(run.folder))  # type: ignore[arg-type]
    question, essay, answer, because = asyncio.run(demo.show_example(demo.examples[0]))
    assert (question, essay, because) == (*ESSAY.values(), "")
    assert '<p class="label">3</p>' in answer and "Right: the test set says <b>3</b>, too." in answer


def test_a_predictor_without_a_run_has_a_demo_too() -> None:
    assert "was not measured" in json.dumps(EssayDemo.build(Scorer()).get_config_file())  # type: ignore[arg-type]


def test_a_correction_is_a_row_to_train_on(page: gr.Blocks, run: Run) -> None:
    client = Client(page.local_url, verbose=False)
    assert "it is kept" in client.predict(**ESSAY, score=7, api_name="/correct")
    with pytest.raises(AppError, match="a number from 0 to 10"):
        client.predict(**ESSAY, score=11, api_name="/correct")
    (line,) = (run.folder / "corrections.jsonl").read_text().splitlines()
    row = json.loads(line)
    notes = row.pop("demo")
    assert row == {**ESSAY, "score": 7.0}
    assert notes["corrected"] == "score" and notes["answer"] == 3.0 and notes.keys() >= {"time", "visitor"}


def test_corrections_are_off_unless_they_are_asked_for(run: Run) -> None:
    config = EssayDemo.build(Scorer(run.folder)).get_config_file()  # type: ignore[arg-type]
    assert "Is the answer wrong?" not in json.dumps(config)
    assert "correct" not in [function["api_name"] for function in config["dependencies"]]


class TitleDemo(TextQuestions):
    """Questions are texts, answers are texts or numbers: nothing is left to say."""


def test_questions_that_are_texts_come_with_a_file_of_them(tmp_path: Path) -> None:
    demo = TitleDemo(Scorer())  # type: ignore[arg-type]
    assert tabs(demo.blocks()) == ["Try it", "Evidence", "Many at once", "About"]
    (tmp_path / "many.csv").write_text("id,text\n1,0123456789\n2,01234\n")
    file, shown = asyncio.run(demo.answer_file(str(tmp_path / "many.csv"), "text"))
    assert Path(file.value["path"] if isinstance(file.value, dict) else file.value).read_text("utf-8-sig").split() == [
        "id,text,answer",
        "1,0123456789,1.0",
        "2,01234,0.5",
    ]
    assert "<td>0.5</td>" in shown


class Slow(Scorer):
    """A model that takes two milliseconds a text."""

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        time.sleep(0.002 * len(inputs))
        return super().predict(inputs)


@pytest.mark.slow
def test_whole_files_of_some_keep_nobody_else_waiting(tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("text\n" + "".join(f"text {number}\n" for number in range(900)))
    blocks = TitleDemo.build(Slow())  # type: ignore[arg-type]
    launch(blocks, prevent_thread_lock=True, quiet=True)
    try:
        clients = [Client(blocks.local_url, verbose=False) for _ in range(5)]
        with ThreadPoolExecutor(4) as pool:
            files = [
                pool.submit(client.predict, handle_file(tmp_path / "many.csv"), "text", api_name="/answer_file")
                for client in clients[:4]
            ]
            time.sleep(1)  # all of them are at work
            waited = []
            while not any(file.done() for file in files):
                started = time.perf_counter()
                assert clients[4].predict("0123456789", api_name="/predict")["value"] == 1.0
                waited.append(time.perf_counter() - started)
            assert all(file.result() for file in files)
    finally:
        blocks.close()
    assert len(waited) >= 5 and np.percentile(waited, 95) < 2
