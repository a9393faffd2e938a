"""The demo: its callbacks, what it answers over HTTP, and what hostile visitors get."""

import asyncio
import csv
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from apps.parts.answers import WRONG
from apps.parts.inputs import LIMITS
from apps.text_classification import LEAST_SHARE, Explained, TextDemo, build, points_table, shaded
from common.metrics.calibration import probabilities
from common.predictor import Predictor
from common.reporting.wording import plain
from common.run import Run
from common.system.files import read_json
from tests.apps.conftest import answered_again, fresh_corrections, rounding
from tests.warm import python


@pytest.fixture(scope="module")
def demo(finished_run: Run) -> TextDemo:
    return TextDemo(Predictor.load(finished_run.folder, precision="fp32"))


def call(url: str, endpoint: str, *data: Any, session: str = "") -> tuple[str, Any]:
    """(`complete` or `error`, what came back) of one request over plain HTTP."""
    started = httpx.post(
        f"{url}gradio_api/call/{endpoint}",
        content=json.dumps({"data": data, **({"session_hash": session} if session else {})}),
        headers={"content-type": "application/json"},
        timeout=30,
    )
    if started.status_code != 200:
        return "error", started.text
    lines = httpx.get(f"{url}gradio_api/call/{endpoint}/{started.json()['event_id']}", timeout=60).text.splitlines()
    place = max(number for number, line in enumerate(lines) if line.startswith("event:"))
    return lines[place].removeprefix("event: "), json.loads(lines[place + 1].removeprefix("data: "))


def test_the_demo_answers_the_whole_test_split_as_it_was_measured(demo: TextDemo, finished_run: Run) -> None:
    best = read_json(finished_run.results)["comparison"]["against"]
    answered, near = answered_again(demo, finished_run), rounding(finished_run)
    assert len(answered) == 60
    for answer, record in answered:
        measured, settings = record["prediction"], demo.task.settings
        logits = np.asarray([measured["details"]["logits"]])
        expected = probabilities(logits, settings["temperature"])[0]
        assert answer["label"] == measured["value"]
        assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=near)
        assert answer["confidence"] == pytest.approx(measured["confidence"], abs=near)
        if near == 1e-5 or abs(measured["confidence"] - settings["threshold"]) > near:
            assert answer["sure"] == measured.get("sure", True)
        assert answer["baseline"] == record["baselines"][best]["value"]


def test_the_named_endpoint_answers_over_http(served: gr.Blocks, demo: TextDemo) -> None:
    client = Client(served.local_url, verbose=False)
    answer = client.predict("the soup and bread today", api_name="/predict")
    assert answer["label"] == demo.predictor.predict(["the soup and bread today"])[0].value
    assert set(answer) == {"label", "confidence", "sure", "doubt", "probabilities", "baseline", "milliseconds"}
    names = set(client.view_api(return_format="dict")["named_endpoints"])
    assert names == {"/predict", "/explain", "/correct", "/answer_file"}


# Whatever refuses first: the gate or Gradio.
REFUSED = (400, 401, 403, 404)
SURROGATE = "\ud800"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no text yet"),
        (" \n\t ", "There is no text yet"),
        ("a" * (LIMITS.characters + 1), "The text has 10,001 characters, and 10,000 are read at most"),
        ("a\0b", "holds characters that are no text"),
        (SURROGATE, "holds characters that are no text"),
        (None, "Give one text"),
        (17, "Give one text"),
        (["a", "b"], "Give one text"),
        ({"path": "/etc/passwd"}, "Give one text"),
    ],
)
def test_bad_input_gets_a_sentence(served: gr.Blocks, text: Any, sentence: str) -> None:
    for endpoint in ("predict", "explain"):
        if endpoint == "explain" and not isinstance(text, str):
            continue  # a text box turns these into text before they arrive
        kind, said = call(served.local_url, endpoint, text)
        assert kind == "error"
        assert sentence in said["error"]
    assert "Traceback" not in str(said)


def test_what_looks_like_code_is_only_text(served: gr.Blocks) -> None:
    for text in (
        "<script>alert(1)</script>",
        "'; DROP TABLE x; --",
        "{{ 7 * 7 }}",
        "../../etc/passwd",
        "%s%n",
        "🦆" * 50,
        "a" * LIMITS.characters,
    ):
        kind, answer = call(served.local_url, "predict", text)
        assert kind == "complete", answer
    (because,) = call(served.local_url, "explain", "soup <script>alert(1)</script> & bread")[1]
    assert "<script>" not in because and "&lt;script&gt;alert(1)&lt;/script&gt;" in because


def test_no_file_of_the_machine_can_be_read(served: gr.Blocks, finished_run: Run) -> None:
    for path in (
        "/etc/passwd",
        str(finished_run.manifest),
        str(Path.cwd() / "pyproject.toml"),
        f"{Path.cwd()}/common/../pyproject.toml",
    ):
        assert httpx.get(f"{served.local_url}gradio_api/file={path}").status_code in (403, 404)
        kind, said = call(served.local_url, "answer_file", {"path": path, "meta": {"_type": "gradio.FileData"}}, "text")
        assert kind == "error"
        assert str(finished_run.folder) not in str(said) and "root:" not in str(said) and "Traceback" not in str(said)


def upload(tmp_path: Path, content: str | bytes, name: str = "many.csv") -> Any:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return handle_file(str(path))


def test_a_file_is_answered_row_by_row_and_holds_no_formula(served: gr.Blocks, demo: TextDemo, tmp_path: Path) -> None:
    rows = [["=1+1", "rain and wind"], ["@SUM(A1)", "a song and a drum"], ["-5", "+soup"], ["plain", "\tbread"]]
    lines = "id,text\n" + "".join(f'{a},"{b}"\n' for a, b in rows)
    client = Client(served.local_url, verbose=False)
    file, shown = client.predict(upload(tmp_path, lines), "", api_name="/answer_file")
    with Path(file["value"]).open(encoding="utf-8-sig", newline="") as opened:
        table = list(csv.reader(opened))
    assert table[0] == ["id", "text", "answer", "confidence", "sure"]
    assert [line[:2] for line in table[1:]] == [
        ["'=1+1", "rain and wind"],
        ["'@SUM(A1)", "a song and a drum"],
        ["-5", "'+soup"],
        ["plain", "'\tbread"],
    ]
    assert [line[2] for line in table[1:]] == [
        answer.value for answer in demo.predictor.predict([row[1] for row in rows])
    ]
    assert "rain and wind" in (shown if isinstance(shown, str) else shown["value"])


@pytest.mark.parametrize(
    ("content", "name", "column", "sentence"),
    [
        ("text\n", "many.csv", "", "no rows below its header"),
        ("", "many.csv", "", "Which column holds the texts"),
        ("a,b\n1,2\n", "many.csv", "", "Which column holds the texts"),
        ("txet,b\n1,2\n", "many.csv", "text", "There is no column 'text' (did you mean txet?)"),
        ("text,b\nx,1\ny\n", "many.csv", "", "Row 2 is not 2 cells like the header"),
        ("text\n" + "a" * 10_001 + "\n", "many.csv", "", "can be answered. The first one: The text has 10,001"),
        (",review\n0,good\n1,bad\n", "many.csv", "", "Which column holds the texts? The file has review"),
        ("review,review\ngood,bad\n", "many.csv", "", "two columns called 'review'"),
        ("text\n" + "x\n" * 1_001, "many.csv", "", "more than 1,000 rows"),
        (b"text\n\xff\xfe\xfa\n", "many.csv", "", "UTF-8"),
        ("text," + "a" * 300 + "\nx,1\n", "many.csv", "", "At most 100 columns"),
        ("text," + ",".join(map(str, range(200))) + "\nx" + ",1" * 200 + "\n", "many.csv", "", "At most 100 columns"),
        ("text\nx\n", "many.csv", "t" * 100_000, "At most 100 columns"),
        (
            '{"text": "x", "id": 1}\n{"text": "y", "key": 2}\n',
            "many.jsonl",
            "text",
            "Row 2 has a column that the first row has not ('key')",
        ),
        ("MZ", "many.exe", "", ""),
    ],
)
def test_bad_files_get_a_sentence_without_a_path(
    served: gr.Blocks, tmp_path: Path, content: str | bytes, name: str, column: str, sentence: str
) -> None:
    client = Client(served.local_url, verbose=False)
    with pytest.raises(AppError) as caught:
        client.predict(upload(tmp_path, content, name), column, api_name="/answer_file")
    assert sentence in str(caught.value)
    assert "/tmp" not in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_each_answer_stands_beside_its_own_row(served: gr.Blocks, tmp_path: Path) -> None:
    lines = '{"id": 1, "text": "soup"}\n{"text": "rain", "id": 2}\n{"text": "song"}\n'
    file, _ = Client(served.local_url, verbose=False).predict(
        upload(tmp_path, lines, "many.jsonl"), "", api_name="/answer_file"
    )
    with Path(file["value"]).open(encoding="utf-8-sig", newline="") as opened:
        assert [row[:2] for row in csv.reader(opened)] == [["id", "text"], ["1", "soup"], ["2", "rain"], ["", "song"]]


def test_a_huge_file_is_refused_while_it_arrives(served: gr.Blocks, tmp_path: Path) -> None:
    huge = tmp_path / "huge.csv"
    huge.write_bytes(b"text\n" + b"x\n" * LIMITS.file_bytes)
    with huge.open("rb") as file:
        answer = httpx.post(f"{served.local_url}gradio_api/upload", files={"files": ("huge.csv", file)}, timeout=30)
    assert answer.status_code == 413


def test_corrections_are_rows_to_train_on(served: gr.Blocks, finished_run: Run) -> None:
    from common.data import tables

    with fresh_corrections(finished_run) as file:
        assert call(served.local_url, "correct", "rain \n and wind", "music")[0] == "complete"
        assert call(served.local_url, "correct", "rain", "no such label")[0] == "error"
        assert call(served.local_url, "correct", "rain", None)[0] == "error"
        (row,) = [row for _, row in tables.rows(file)]
    assert row["text"] == "rain \n and wind" and row["label"] == "music"
    assert row["demo"]["answer"] in ("food", "music", "weather") and row["demo"]["corrected"] == "label"


def test_a_row_that_cannot_be_answered_says_why_and_keeps_no_other(served: gr.Blocks, tmp_path: Path) -> None:
    lines = f"id,text\n1,soup\n2,\n3,{'a' * 10_001}\n4,rain\n"
    file, _ = Client(served.local_url, verbose=False).predict(upload(tmp_path, lines), "", api_name="/answer_file")
    with Path(file["value"]).open(encoding="utf-8-sig", newline="") as opened:
        head, *rows = csv.reader(opened)
    assert head == ["id", "text", "answer", "confidence", "sure", "not answered because"]
    assert [bool(row[2]) for row in rows] == [True, False, False, True]
    assert [row[5][:20] for row in rows] == ["", "There is no text yet", "The text has 10,001 ", ""]


def test_what_the_words_add_is_the_answers_probability(demo: TextDemo) -> None:
    text = "the soup and the drum today"
    found, shown = asyncio.run(demo.explained(text)), asyncio.run(demo.explain(text))
    whole, nothing = demo.predictor.predict([text, " "])
    full, empty = (demo.task.probabilities(answer)[whole.value] for answer in (whole, nothing))
    assert "".join(found.pieces) == text and found.without == pytest.approx(empty)
    assert found.together == pytest.approx(full - empty)
    marked = re.findall(r'<mark class="(supports|opposes)" [^>]*title="([^ ]*) points">(.*?)</mark>', shown)
    named = re.findall(r'<tr><td><b>(.*?)</b></td><td class="n">(.*?)</td>', shown)
    assert marked and sorted(word for *_, word in marked) == sorted(name for name, _ in named)
    assert all((look == "supports") == (float(points) > 0) for look, points, _ in marked)
    points = [plain(cell) for cell in re.findall(r'<td class="n">(.*?)</td>', shown)]
    assert all(abs(float(cell)) >= 100 * LEAST_SHARE for cell in points[:-1])
    assert sum(map(float, points)) == pytest.approx(100 * (full - empty), abs=0.05 * len(points) + 0.1)
    assert "nothing to leave out" in asyncio.run(demo.explain("soup"))


def test_a_table_says_how_much_was_not_read(demo: TextDemo, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("text\nsoup\n" + "the soup and bread " * 90 + "\n" + "rain " * 400 + "\n")
    _, shown = asyncio.run(demo.answer_file(str(tmp_path / "many.csv"), ""))
    assert re.search(r"The model reads \d+ tokens: the last [\d,]+ characters of 2 texts were not read", shown)
    (tmp_path / "many.csv").write_text("text\nsoup\n")
    assert "not read" not in asyncio.run(demo.answer_file(str(tmp_path / "many.csv"), ""))[1]


def test_the_shades_and_the_table_of_words_are_text_alone(demo: TextDemo) -> None:
    whole = demo.predictor.predict(["soup"])[0]
    found = Explained(whole, ["<script> ", "b ", "c"], np.asarray([0.25, 0.0, -0.5]), 0.75, -0.2)
    rows = re.findall(r'<tr><td>(.*?)</td><td class="n">(.*?)</td>', plain(points_table(found)))
    assert rows == [("<b>c</b>", "-50.0"), ("<b>&lt;script&gt;</b>", "+25.0"), ("all other words together", "+5.0")]
    shades = re.findall(r'class="(\w+)" style="--weight: ([\d.]+)"', shaded(found))
    assert shades == [("supports", "0.50"), ("opposes", "1.00")]
    assert re.sub(r"</?mark[^>]*>", "", shaded(found)) == "&lt;script&gt; b c"


def test_what_the_model_does_not_read_is_said_and_not_explained(demo: TextDemo) -> None:
    text = "the soup and the drum today " * 60
    because = asyncio.run(demo.explain(text))
    shown = re.search(r'<p class="shaded">(.*?)</p>', because, re.DOTALL)
    assert shown and re.sub(r"<[^>]*>", "", shown[1]) == text
    assert '<span class="quiet">' in shown[1]
    assert "characters were not read" in asyncio.run(demo.ask(text))[0]
    assert "not read" not in asyncio.run(demo.ask("the soup"))[0]


def test_examples_are_answered_as_they_were_measured(demo: TextDemo) -> None:
    for example in demo.examples:
        text, answer, because = asyncio.run(demo.show_example(example))
        assert (text, because) == (example["input"], "")
        known = f"it says <b>{example['prediction']}</b>; the test set says <b>{example['reference']}</b>"
        right = f"the test set says <b>{example['reference']}</b>, too."
        unsure = known.replace("says", "leans towards", 1)
        assert (known in answer or unsure in answer) if example["kind"] == WRONG else right in answer


def test_errors_of_ours_reach_nobody(
    demo: TextDemo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("/secret/path TOKEN=1")

    monkeypatch.setattr(demo.queue, "answer", broken)
    with pytest.raises(gr.Error) as caught:
        asyncio.run(demo.predict("soup"))
    assert "secret" not in caught.value.message and "Something went wrong" in caught.value.message
    assert "secret" in caplog.text


def test_every_endpoint_goes_through_the_queue(served: gr.Blocks) -> None:
    for way in ("run/predict", "api/predict"):
        assert httpx.post(f"{served.local_url}gradio_api/{way}", json={"data": ["soup"]}).status_code in REFUSED


def test_the_server_fetches_nothing_for_a_visitor(served: gr.Blocks) -> None:
    """Gradio downloads the addresses in a request before any handler sees it."""
    address = {
        "path": "https://example.invalid/endless",
        "url": "https://example.invalid/endless",
        "meta": {"_type": "gradio.FileData"},
    }
    for endpoint, data in (("answer_file", [address, ""]), ("explain", [address]), ("predict", [address])):
        kind, said = call(served.local_url, endpoint, *data)
        assert kind == "error"
        assert "Give the file itself" in said["error"]


def test_a_huge_request_is_refused_before_it_is_parsed(served: gr.Blocks) -> None:
    huge = json.dumps({"data": ["a" * 1_000_000]}).encode()
    url = f"{served.local_url}gradio_api/call/predict"
    assert httpx.post(url, content=huge, headers={"content-type": "application/json"}).status_code == 413
    chunked = httpx.post(
        url, content=iter([huge[:500_000], huge[500_000:]]), headers={"content-type": "application/json"}
    )
    assert chunked.status_code in (400, 413)


@pytest.mark.slow
def test_thirty_two_clients_at_once(served: gr.Blocks, finished_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """No error; every answer is that of its own question."""
    client = Client(served.local_url, verbose=False)
    texts = [
        f"{food} and {other} number {n}"
        for n in range(32)
        for food, other in (("soup", "bread"), ("rain", "wind"), ("song", "drum"))
    ]
    seconds: list[float] = []
    lock = threading.Lock()

    def ask(text: str) -> Any:
        started = time.perf_counter()
        answer = client.predict(text, api_name="/predict")
        with lock:
            seconds.append(time.perf_counter() - started)
        return answer

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, texts))
    expected = Predictor.load(finished_run.folder, precision="fp32").predict(texts)
    assert [answer["label"] for answer in answers] == [answer.value for answer in expected]
    with capsys.disabled():
        print(f"\n32 clients, {len(texts)} requests: p95 {np.percentile(seconds, 95):.2f} s")
    assert np.percentile(seconds, 95) < 10


def test_a_predictor_without_a_run_has_a_demo_too(finished_run: Run) -> None:
    predictor = Predictor.load(finished_run.folder)
    predictor.folder = None
    blocks = build(predictor)
    assert "was not measured" in json.dumps(blocks.get_config_file())


def test_the_command_line_refuses_in_one_sentence() -> None:
    done = python("-m", "apps.text_classification", "--run", "nowhere")
    assert done.returncode == 2
    assert "holds no finished model" in done.stderr and len(done.stderr.splitlines()) == 1
