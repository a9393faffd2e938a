"""The demo of question answering: what it answers, what it marks, what hostile visitors get, what it learns from."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file

from apps.parts import server
from apps.question_answering import READ, QuestionDemo, build, marked
from common.cli import main
from common.data.corrections import kept_file, review
from common.predictor import Predictor
from common.reporting.space import write_space
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from common.task.contract import Prediction
from tests.apps.conftest import answered_again, fresh_corrections, rounding, serving
from tests.apps.test_text_classification import call
from tests.projects.question_answering.conftest import finished_question_run  # noqa: F401  (a fixture)
from tests.projects.semantic_search.conftest import finished_search_run  # noqa: F401  (a fixture)
from tests.warm import python

pytestmark = pytest.mark.slow

TEXT = "the rain is here and some bread"


@pytest.fixture(scope="module")
def demo(finished_question_run: Run) -> QuestionDemo:  # noqa: F811
    return QuestionDemo(Predictor.load(finished_question_run.folder, precision="fp32"))


@pytest.fixture(scope="module")
def served(finished_question_run: Run) -> Iterator[gr.Blocks]:  # noqa: F811
    with serving(build, finished_question_run) as blocks:
        yield blocks


def test_it_answers_the_whole_test_split_as_it_was_measured(
    demo: QuestionDemo,
    finished_question_run: Run,  # noqa: F811
) -> None:
    best = read_json(finished_question_run.results)["comparison"]["against"]
    near = rounding(finished_question_run)
    for answer, record in answered_again(demo, finished_question_run):
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


@pytest.mark.parametrize(("question", "text"), [("drum", TEXT), ("drum " * 40, "rain " * 900), ("a", "! " * 300)])
def test_what_an_answer_costs_is_known_before_the_model_is_asked(demo: QuestionDemo, question: str, text: str) -> None:
    asked = {"question": question, "context": text}
    lengths = demo.task.encode({name: [value] for name, value in asked.items()})["length"]
    special = len(lengths) * demo.tokenizer.num_special_tokens_to_add(pair=True)
    assert demo.cost(asked) == pytest.approx(sum(lengths) - special, rel=0.05)


def test_a_text_of_too_many_tokens_is_refused(served: gr.Blocks) -> None:
    kind, answer = call(served.local_url, "predict", "drum " * 200, "! " * 5_000)
    assert kind == "error" and re.search(r"has [\d,]+ tokens, and 16,000 are read at most", answer["error"])


def test_many_visitors_at_once(served: gr.Blocks) -> None:
    with ThreadPoolExecutor(32) as visitors:
        asked = visitors.map(lambda n: call(served.local_url, "predict", "drum drum", f"{TEXT} {n}"), range(64))
        assert all(kind == "complete" for kind, _ in asked)


def test_what_is_hardly_likely_is_not_shown_and_a_long_question_is_said_to_be_cut(demo: QuestionDemo) -> None:
    question = {"question": "is?", "context": TEXT}
    others = [{"text": "bread", "start": 26, "probability": 0.001}]
    none = Prediction("", 0.9, details={"others": others, "none": 0.9})
    assert ">bread</mark>" not in marked(TEXT, none) and not any(demo.notes_html(question, none))
    assert "its end was not read" in demo.notes_html({**question, "question": "is " * 300}, none)[1]


def test_the_page_opens_with_an_answer_that_stands_in_its_text(demo: QuestionDemo) -> None:
    assert "No answer in this text" not in demo.first_example()[2]


def test_a_whole_file_is_answered(served: gr.Blocks, tmp_path: Path) -> None:
    file = tmp_path / "questions.csv"
    file.write_text(f"question,context\ndrum drum,{TEXT}\n,{TEXT}\n=1+1,\n", encoding="utf-8")
    client = Client(served.local_url, verbose=False)
    download, table = client.predict(handle_file(file), api_name="/answer_file")
    assert "There is no text yet" in table
    answered = Path(download["value"] if isinstance(download, dict) else download).read_text(encoding="utf-8-sig")
    lines = answered.splitlines()
    assert lines[0].startswith("question,context,answer") and len(lines) == 4 and lines[3].startswith("'=1+1")
    assert lines[1].split(",")[2] == call(served.local_url, "predict", "drum drum", TEXT)[1][0]["answer"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("question\nwhat?\n", "no column 'context': give it 'question' and 'context'"),
        ("qestion,context\na,b\n", "no column 'question' .did you mean qestion"),
        ("", "no column .question.: give it"),
        ("question,context\n" + f"what?,{'a' * 9_000}\n" * 34, "300,000 are read at most"),
    ],
)
def test_a_file_that_cannot_be_answered_is_refused(demo: QuestionDemo, uploads: Path, content: str, said: str) -> None:
    (uploads / "questions.csv").write_text(content, encoding="utf-8")
    with pytest.raises(gr.Error, match=said):
        asyncio.run(demo.answer_file(str(uploads / "questions.csv")))


@pytest.fixture(scope="module")
def searching(finished_question_run: Run, finished_search_run: Run) -> QuestionDemo:  # noqa: F811
    """The demo that finds texts, too."""
    search = Predictor.load(finished_search_run.folder, precision="fp32")
    return QuestionDemo(Predictor.load(finished_question_run.folder, precision="fp32"), search=search)


def test_the_corpus_is_searched_and_what_is_found_is_read(searching: QuestionDemo) -> None:
    page = asyncio.run(searching.ask_corpus("drum drum"))[0]
    assert page.count("<li>") == READ == page.count('class="passage"')
    assert searching.search
    found = searching.search.task.passages(searching.search.predict(["drum drum"])[0])[:READ]
    read = [searching.predictor.predict([{"question": "drum drum", "context": text}])[0] for text, _ in found]
    assert [f"{score:.2f}" for _, score in found] == re.findall(r"found with (-?[\d.]+)<", page)
    assert [re.sub("<[^>]*>", "", one) for one in re.findall(r'tabindex="0">(.*?)</div>', page)] == [
        t for t, _ in found
    ]
    surest = max((one for one in read if one.value), key=lambda one: one.confidence or 0.0, default=None)
    label = re.sub("<[^>]*>", "", re.findall(r'class="label">(.*?)</p>', page)[0])
    assert label == ("No answer in these texts" if not surest else surest.value if surest.sure else "Not sure")
    assert ('answer unsure"' in page) == (not surest or not surest.sure) and "was not measured" in page


def test_a_corpus_that_answers_nothing_says_so(searching: QuestionDemo, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Prediction("", 0.9, details={"others": [], "none": 0.9})

    async def nothing(_: Any) -> Prediction:
        return none

    monkeypatch.setattr(searching, "prediction", nothing)
    page = asyncio.run(searching.ask_corpus("<script>is it?</script>"))[0]
    assert "No answer in these texts" in page and page.count("no answer, ") == READ and "<script>" not in page


@pytest.mark.parametrize("question", ["", " ", None, 17, "a\0b", "a" * 1_001])
def test_what_is_no_question_is_not_searched_for(searching: QuestionDemo, question: Any) -> None:
    with pytest.raises(gr.Error):
        asyncio.run(searching.ask_corpus(question))


def test_a_run_that_finds_no_texts_cannot_search(finished_question_run: Run) -> None:  # noqa: F811
    predictor = Predictor.load(finished_question_run.folder, precision="fp32")
    with pytest.raises(UserError, match="give --search a run that finds some"):
        build(predictor, search=predictor)


def test_the_command_line_names_the_run_that_searches(
    finished_search_run: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(server, "show", lambda *given: shown.append(given))
    monkeypatch.setattr(sys, "argv", ["demo", "some/run", "--search", str(finished_search_run.folder)])
    server.main(build, "question_answering.py", {"search": "finds texts"})
    assert shown[0][1] == Path("some/run") and shown[0][3] == {"search": finished_search_run.folder}


def test_a_space_holds_the_run_that_searches_too(
    finished_question_run: Run,  # noqa: F811
    finished_search_run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads, finds, space = finished_question_run.folder, finished_search_run.folder, tmp_path / "space"
    monkeypatch.setattr(sys, "argv", ["kit", "space", str(reads), str(space), "--search", str(finds)])
    main()
    held = {path.name for path in (space / "others/search").iterdir()}
    assert held == {"model", "config.yaml", "manifest.json", "results.json", "README.md"}
    asked = (
        "import app; print(app.demo.title); print([getattr(one, 'value', None) for one in app.demo.blocks.values()])"
    )
    done = python("-c", asked, cwd=space)
    assert done.returncode == 0, done.stderr
    assert "Ask the corpus" in done.stdout
    with pytest.raises(UserError, match="asks no further run: leave --search out"):
        write_space(finds, tmp_path / "another", others={"search": reads})


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
