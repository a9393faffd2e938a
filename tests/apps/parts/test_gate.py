"""The gate in front of Gradio, on a real server: what passes, and what gets a sentence instead."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file

from apps.parts import calls, connections, gate, login, server, uploads
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS
from apps.parts.server import Demo, launch
from common.system.errors import UserError
from tests.apps.foundations.conftest import serving
from tests.apps.pictures import png

JSON = {"content-type": "application/json"}
# What Gradio serves and no demo needs; a route in neither list is new, and somebody has to decide.
CLOSED = {
    *("/monitoring", "/monitoring/summary", "/monitoring/{key}", "/pwa_icon", "/pwa_icon/{size}"),
    *("/gradio_api/deep_link", "/gradio_api/user", "/gradio_api/user/", "/gradio_api/login_check"),
    *("/gradio_api/login_check/", "/gradio_api/token", "/gradio_api/token/", "/gradio_api/dev/reload"),
    *("/gradio_api/runs", "/gradio_api/runs/", "/gradio_api/openapi.json"),
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
    *("/gradio_api/proxy={url_path:path}", "/gradio_api/file/{path:path}", "/gradio_api/process_recording"),
    *("/gradio_api/stream/{event_id}", "/gradio_api/stream/{event_id}/close"),
    *(
        f"/gradio_api/stream/{{session_hash}}/{{run}}/{{component_id}}/{rest}"
        for rest in ("playlist.m3u8", "{segment_id}.{ext}", "playlist-file")
    ),
    *("/gradio_api/run/{api_name}/", "/gradio_api/api/{api_name}", "/gradio_api/api/{api_name}/"),
    *("/gradio_api/call/{api_name}/", "/gradio_api/call/v2/{api_name}/", "/gradio_api/queue/status"),
    *("/gradio_api/component_server", "/gradio_api/component_server/"),
    *(f"/gradio_api/{vibe}{end}" for vibe in ("vibe-edit", "undo-vibe-edit", "vibe-code") for end in ("", "/")),
    *("/gradio_api/vibe-starter-queries", "/gradio_api/vibe-starter-queries/"),
}


# What is the number of no function.
NUMBERS: list[Any] = [99, -1, None, "1", 1.5, True, [1], {}]


@guarded(20)
async def slow(text: str) -> str:
    """Answers when it is asked to, by a file that appears."""
    while not Path(text).exists():
        await asyncio.sleep(0.02)
    return "done"


@guarded(20)
async def refuse(text: str) -> str:
    raise UserError(f"There is no column {text}.")


@guarded(20)
async def measure(text: str) -> int:
    return len(text)


def page(example: Path | None = None) -> gr.Blocks:
    """A page with a text and files."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        text, file, number, said = gr.Textbox(label="A text"), gr.File(label="A file"), gr.Number(), gr.Textbox()
        gr.Button("Refuse").click(refuse, text, said, api_name="refuse")
        text.submit(measure, text, number, api_name="measure")
        text.change(slow, text, said, api_name="slow", show_progress="hidden")
        file.upload(lambda file: Path(file).name, file, said, api_name="name")
        gr.Button("Alone").click(None, js="() => 1")
        gr.Dropdown(["a"]).change(measure, gr.Dropdown(["a", "b"]), number, api_name="choose")
        if example:
            gr.Examples([[str(example)]], [gr.Image(type="filepath")])
    return blocks


@pytest.fixture(scope="module")
def blocks(
    tmp_path_factory: pytest.TempPathFactory, served: gr.Blocks, served_images: gr.Blocks
) -> Iterator[gr.Blocks]:
    """A toy page; the demos, which other files of tests use, too, are started before its folder of uploads is set."""
    folder = tmp_path_factory.mktemp("visitors")
    (folder / "example.png").write_bytes(png())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        blocks = page(folder / "example.png")
        launch(blocks, prevent_thread_lock=True, quiet=True)
        yield blocks
        blocks.close()


@pytest.fixture(scope="module")
def url(blocks: gr.Blocks) -> str:
    return str(blocks.local_url)


@pytest.fixture
def folder(blocks: gr.Blocks) -> Path:
    """The folder of uploads."""
    return Path(blocks.app.uploaded_file_dir)


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks too much is told so at once."""
    monkeypatch.setattr(gate, "TOO_MUCH_SECONDS", 0.0)


def let(blocks: gr.Blocks) -> gate.Gate:
    assert isinstance(blocks.app, Demo) and blocks.app.gate
    return blocks.app.gate


def post(url: str, route: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{url}gradio_api/{route}", content=json.dumps(body), headers=JSON, timeout=30)


def upload(url: str, name: str = "a.txt", content: bytes = b"abc") -> str:
    (path,) = httpx.post(f"{url}gradio_api/upload", files={"files": (name, content)}, timeout=30).json()
    return str(path)


def wait_for(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# Routes


def routes_of(routes: Any) -> Iterator[tuple[str, set[str]]]:
    """(path, methods) of an application's routes, with those of routers in it."""
    for route in routes:
        if inner := getattr(route, "original_router", None):
            yield from routes_of(inner.routes)
        else:
            yield route.path, set(route.methods)


def test_every_route_of_gradio_is_on_one_list(blocks: gr.Blocks) -> None:
    theirs = dict.fromkeys((path for path, _ in routes_of(blocks.app.routes)), None)
    new = theirs.keys() - gate.routes(uploads=True).keys() - CLOSED
    assert not new, f"Gradio has new routes, which the gate keeps closed: open or close them here: {sorted(new)}"
    assert gate.routes(uploads=True).keys() <= theirs.keys(), "the gate opens what Gradio does not have"


def closed_anyway(url: str, routes: Any) -> list[str]:
    """Which of the routes answer with something else than the gate's 404."""
    answering = []
    for path, methods in routes:
        filled = re.sub(r"\{(\w+)(:path)?\}", "client" if "environment" in path else "a", path)
        for method in methods:
            answer = httpx.request(method, f"{url.rstrip('/')}{filled}", timeout=20)
            if answer.status_code != 404 or (
                method != "HEAD" and answer.json() != {"detail": "There is nothing here."}
            ):
                answering.append(f"{method} {path}: {answer.status_code}")
    return answering


def test_what_no_demo_needs_is_not_there(blocks: gr.Blocks, url: str) -> None:
    assert closed_anyway(url, [one for one in routes_of(blocks.app.routes) if one[0] in CLOSED]) == []


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["served", "served_images"])
def test_of_a_demo_neither(request: pytest.FixtureRequest, fixture: str) -> None:
    demo = request.getfixturevalue(fixture)
    routes = [one for one in routes_of(demo.app.routes) if one[0] not in gate.routes(uploads=True)]
    assert len(routes) > 30 and closed_anyway(str(demo.local_url), routes) == []


def test_a_page_without_files_takes_none(tmp_path: Path) -> None:
    with serving(tmp_path) as lessons:
        more = {f"/gradio_api/{name}" for name in ("upload", "upload_progress")}
        routes = [one for one in routes_of(lessons.app.routes) if one[0] in CLOSED | more]
        assert closed_anyway(str(lessons.local_url), routes) == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_there(url: str, method: str) -> None:
    for path in ("", "config", "gradio_api/queue/join", "gradio_api/upload"):
        assert httpx.request(method, f"{url}{path}").status_code == 404


@pytest.mark.parametrize("scheme", ["http://", "HTTPS://", "%68ttp://", "http%3A%2F%2F", " http://", "ftp://", ""])
def test_no_address_is_fetched(url: str, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.2)
        address = f"127.0.0.1:{stranger.getsockname()[1]}/x.png"
        assert httpx.get(f"{url}gradio_api/file={scheme}{address}").status_code == 404
        with pytest.raises(TimeoutError):
            stranger.accept()


def test_a_file_is_whole_and_repeats_no_header(url: str) -> None:
    file = upload(url, content=b"0123456789")
    answer = httpx.get(f"{url}gradio_api/file={file}", headers={"range": "bytes=0-0", "cookie": "key=secret"})
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert "secret" not in str(answer.headers)


def test_a_long_address_is_refused(url: str) -> None:
    assert httpx.get(f"{url}?{'a' * 5_000}").status_code == 414
    assert httpx.get(f"{url}gradio_api/heartbeat/{'a' * 65}").status_code == 404


# Hosts


def test_nobody_else_says_where_the_page_is(url: str) -> None:
    lies = {f"x-forwarded-{what}": "evil.example" for what in ("host", "proto", "prefix", "server")}
    for path in ("gradio_api/info", "config", ""):
        assert "evil.example" not in httpx.get(f"{url}{path}", headers={**lies, "x-gradio-server": "evil.example"}).text
        assert "evil.example" not in httpx.get(f"{url}{path}").text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "6.6.6.6", "", "[::", "localhost.evil.example"])
def test_another_host_is_not_answered(url: str, host: str) -> None:
    answer = httpx.get(f"{url}config", headers={"host": host})
    assert answer.status_code in (400, 403) and "evil" not in answer.text


@pytest.mark.parametrize("more", ['"><script>', "/evil.example", "?evil", "#evil", ":evil", "\\evil"])
def test_a_host_is_a_name_and_a_port(url: str, more: str) -> None:
    for host in (f"127.0.0.1:7860{more}", f"127.0.0.1{more}", f"{more}@127.0.0.1"):
        assert httpx.get(f"{url}config", headers={"host": host}).status_code in (400, 403)


def test_localhost_is_this_host(url: str) -> None:
    assert httpx.get(f"{url.replace('127.0.0.1', 'localhost')}config").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", "file://"])
def test_a_page_of_another_site_cannot_ask(url: str, origin: str) -> None:
    for method, path in (("GET", "config"), ("POST", "gradio_api/upload"), ("POST", "gradio_api/queue/join")):
        answer = httpx.request(method, f"{url}{path}", headers={"origin": origin})
        assert answer.status_code == 403 and answer.json()["detail"].startswith("A page of another site")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    asked = {"origin": origin, "access-control-request-method": "POST"}
    answer = httpx.options(f"{url}gradio_api/queue/join", headers=asked)
    assert answer.status_code == 403 and not [name for name in answer.headers if name.startswith("access-control")]


def test_its_own_page_can_ask(url: str) -> None:
    answer = httpx.get(f"{url}config", headers={"origin": url.rstrip("/")})
    assert answer.status_code == 200 and not [name for name in answer.headers if name.startswith("access-control")]


def test_browsers_are_bound(url: str) -> None:
    for path in ("", "config", "gradio_api/token"):
        headers = httpx.get(f"{url}{path}").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "form-action 'self'" in headers["content-security-policy"]
        assert "img-src 'self' data: blob:;" in headers["content-security-policy"]


def test_an_address_of_its_own_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy of the owner's."""
    monkeypatch.setenv("GRADIO_ROOT_PATH", "https://demo.example")
    blocks = page()
    launch(blocks, prevent_thread_lock=True, quiet=True)
    try:
        answer = httpx.get(f"{blocks.local_url}config", headers={"host": "demo.example"})
        assert answer.json()["root"] == "https://demo.example"
        assert httpx.get(f"{blocks.local_url}config", headers={"host": "evil.example"}).status_code == 403
    finally:
        blocks.close()


# Calls


@pytest.mark.parametrize(
    ("route", "body", "sentence"),
    [
        ("call/nothing", {"data": ["a"]}, "There is no such endpoint; there are /refuse, /measure"),
        ("call/v2/nothing", {"text": "a"}, "There is no such endpoint"),
        ("call/v2/measure", {"words": "a"}, "This endpoint takes text"),
        ("call/v2/measure", {}, "This endpoint takes text"),
        ("call/measure", {"data": []}, "takes a list of 1 inputs as `data`, and 0 came"),
        ("call/measure", {"data": ["a", "b"]}, "and 2 came"),
        ("call/measure", {"data": "a"}, "and none came"),
        ("call/measure", {}, "and none came"),
        ("call/measure", {"data": ["a"], "session_hash": "a" * 65}, "a text of 1 to 64 characters"),
        ("queue/join", {"data": ["a"], "fn_index": 1}, "a text of 1 to 64 characters"),
        ("queue/join", {"data": ["a"], "fn_index": 1, "session_hash": "a" * 100_000}, "a text of 1 to 64 characters"),
        ("queue/join", {"data": ["a"], "fn_index": 1, "session_hash": ["a"]}, "a text of 1 to 64 characters"),
        *(
            ("call/measure", {"data": ["a"], "session_hash": odd}, "letters, digits")
            for odd in ("\ud800", "a\n", "../a")
        ),
        ("queue/join", {"data": ["a"], "fn_index": 4, "session_hash": "a"}, "There is no function of this number"),
        *(
            (route, {"data": ["a"], "fn_index": odd, "session_hash": "a"}, "There is no function of this number")
            for route in ("queue/join", "run/predict")
            for odd in NUMBERS
        ),
    ],
)
def test_what_gradio_would_fail_at_gets_a_sentence(url: str, route: str, body: dict[str, Any], sentence: str) -> None:
    answer = post(url, route, **body)
    assert answer.status_code == 400 and sentence in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"3", b'"a"', b"null", b"\xff", b"[" * 60_000, b'{"a":' * 10_000])
def test_what_is_no_call_gets_a_sentence(url: str, body: bytes) -> None:
    for route in ("call/measure", "call/v2/measure", "queue/join"):
        answer = httpx.post(f"{url}gradio_api/{route}", content=body, headers=JSON)
        assert answer.status_code == 400 and "JSON" in answer.json()["detail"]


@pytest.mark.parametrize("odd", [{"path": 3}, {"path": "/etc/passwd"}, "a", 3, [[]]])
def test_what_gradio_cannot_read_gets_a_sentence_too(url: str, odd: Any) -> None:
    event = post(url, "call/name", data=[odd]).json()["event_id"]
    said = httpx.get(f"{url}gradio_api/call/name/{event}", timeout=20).text
    assert "event: error" in said and "This input cannot be read" in said
    assert "/etc" not in said and "Traceback" not in said


def test_what_gradio_cannot_read_is_one_line_in_the_log(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, odd in (("name", {"path": "/etc/passwd"}), ("choose", "<b>" + "a" * 1_000), ("choose", "\ud800")):
        event = post(url, f"call/{name}", data=[odd]).json()["event_id"]
        said = httpx.get(f"{url}gradio_api/call/{name}/{event}", timeout=20).text
        assert "event: error" in said and len(said) < 600 and "<b>" not in said
    assert capfd.readouterr().err.count("Traceback") == 0
    assert [len(message.splitlines()) for message in caplog.messages] == [1, 1, 1]


@pytest.mark.parametrize("kind", ["", "text/plain", "text/xml", "multipart/form-data; boundary=x", "application/jsonp"])
def test_what_is_not_sent_as_json_gets_a_sentence(url: str, kind: str) -> None:
    for route in ("call/measure", "call/v2/measure", "queue/join"):
        headers = {"content-type": kind} if kind else {}
        answer = httpx.post(f"{url}gradio_api/{route}", content=b'{"data": ["a"]}', headers=headers)
        assert answer.status_code == 415 and "application/json" in answer.json()["detail"]


def test_an_answer_that_is_not_there_gets_a_sentence(url: str) -> None:
    event = post(url, "call/measure", data=["a"]).json()["event_id"]
    assert "[1]" in httpx.get(f"{url}gradio_api/call/measure/{event}").text
    assert post(url, "call/measure", data=["another call, which forgets what is fetched"]).status_code == 200
    for path in (f"call/measure/{event}", "call/v2/measure/guessed", "queue/data?session_hash=guessed", "queue/data"):
        answer = httpx.get(f"{url}gradio_api/{path}", timeout=20)
        assert answer.status_code == 404 and "There is no answer to wait for" in answer.json()["detail"]


def test_there_is_no_way_round_the_queue(url: str) -> None:
    for name in ("predict", "measure"):
        assert post(url, f"run/{name}", data=["a"], fn_index=1, session_hash="a").status_code == 404


def test_names_and_numbers_are_answered(url: str) -> None:
    client = Client(url, verbose=False)
    assert client.predict("abc", api_name="/measure") == 3
    event = post(url, "call/v2/measure", text="abcd").json()["event_id"]
    assert "[4]" in httpx.get(f"{url}gradio_api/call/measure/{event}").text


def test_the_largest_request_holds_the_longest_text_however_it_is_written(url: str) -> None:
    longest = json.dumps({"data": ["😀" * LIMITS.characters]})
    assert len(longest) > 12 * LIMITS.characters
    assert httpx.post(f"{url}gradio_api/call/measure", content=longest, headers=JSON).status_code == 200
    for route in ("call/measure", "call/v2/measure", "queue/join", "run/predict", "cancel"):
        answer = post(url, route, data=["a" * 200_000], fn_index=1, session_hash="a")
        assert (answer.status_code, answer.json()["detail"]) == (413, "The request is too large."), route


def test_a_request_without_a_length_is_counted(url: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield from itertools.repeat(b"a" * 10_000, 100)

    answer = httpx.post(f"{url}gradio_api/call/measure", content=pieces(), headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (413, "The request is too large.")
    answer = httpx.post(f"{url}gradio_api/upload", content=pieces(), headers={"content-type": "multipart/form-data"})
    assert answer.status_code == 411


def test_one_visitor_leaves_turns_to_others(blocks: gr.Blocks, url: str, tmp_path: Path) -> None:
    """Each address has so many; uvicorn believes this machine's header about it."""
    go = str(tmp_path / "go")

    def ask(visitor: str) -> int:
        headers = {**JSON, "x-forwarded-for": visitor}
        body = json.dumps({"data": [go]})
        return httpx.post(f"{url}gradio_api/call/slow", content=body, headers=headers).status_code

    try:
        said = [ask("192.0.2.1") for _ in range(calls.WAITING + 10)]
        assert said == [200] * calls.WAITING + [429] * 10
        assert ask("192.0.2.2") == 200
    finally:
        Path(go).touch()
    wait_for(lambda: not blocks._queue.event_ids_to_events)
    assert ask("192.0.2.1") == 200


def test_a_request_that_is_finished_is_no_longer_counted(blocks: gr.Blocks, url: str) -> None:
    """Whatever its session is called: Gradio's statistics failed at some names, and kept what came after them."""
    for _ in range(3):
        assert post(url, "call/measure", data=["a"], session_hash="a.b_c=d+e-f").status_code == 200
    wait_for(lambda: not blocks._queue.event_ids_to_events)
    assert len(blocks._queue.event_analytics) <= 1 and not blocks._queue.cached_event_analytics_summary["functions"]


def test_what_is_asked_too_much_is_answered_slowly(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "WAITING", 0)
    monkeypatch.setattr(gate, "TOO_MUCH_SECONDS", 0.5)
    started = time.monotonic()
    assert post(url, "call/measure", data=["a"]).status_code == 429
    assert time.monotonic() - started > 0.5


def test_others_wait_for_few_requests_of_one_visitor(
    blocks: gr.Blocks, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever one asks for, no more than so many are worked on; somebody else's is not behind the rest."""
    at_once: list[int] = []
    inner = let(blocks).inner

    async def slowly(scope: Any, receive: Any, send: Any) -> None:
        if (scope["client"] or ("",))[0] == "192.0.2.4":
            running.append(1)
            at_once.append(len(running))
            await asyncio.sleep(0.2)
            running.pop()
        await inner(scope, receive, send)

    running: list[int] = []
    monkeypatch.setattr(let(blocks), "inner", slowly)
    with ThreadPoolExecutor(30) as threads:
        many = [threads.submit(httpx.get, f"{url}config", headers={"x-forwarded-for": "192.0.2.4"}) for _ in range(30)]
        wait_for(lambda: len(running) == gate.AT_WORK)
        assert httpx.get(f"{url}config").status_code == 200
        assert not all(one.done() for one in many)
        assert {one.result().status_code for one in many} == {200}
    assert max(at_once) == gate.AT_WORK and not let(blocks).at_work


def test_what_one_visitor_asks_pushes_no_answer_of_another_out(blocks: gr.Blocks, url: str) -> None:
    """Gradio remembers so many sessions, whosever they are: those that were fetched are dropped, others are few."""
    kept = post(url, "call/measure", data=["mine"]).json()["event_id"]
    sessions = blocks._queue.pending_messages_per_session
    for _ in range(5):
        event = post(url, "call/measure", data=["a"]).json()["event_id"]
        assert "[1]" in httpx.get(f"{url}gradio_api/call/measure/{event}").text
    assert post(url, "call/measure", data=["a"]).status_code == 200
    assert kept in sessions and event not in sessions
    assert "[4]" in httpx.get(f"{url}gradio_api/call/measure/{kept}").text


def test_answers_that_nobody_fetches_are_few_and_forgotten(
    blocks: gr.Blocks, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "UNFETCHED", 10)
    body = {"data": ["a"], "fn_index": 1, "session_hash": "lazy"}
    for _ in range(2):  # of other tests
        assert isinstance(blocks.app, Demo)
        asyncio.run(blocks.app.tidy())
    said = []
    for _ in range(calls.UNFETCHED + 1):
        said.append(post(url, "queue/join", **body).status_code)
        wait_for(lambda: not blocks._queue.event_ids_to_events)
    assert said == [200] * calls.UNFETCHED + [429]
    assert "lazy" in blocks._queue.pending_event_ids_session
    for _ in range(2):
        assert isinstance(blocks.app, Demo)
        asyncio.run(blocks.app.tidy())
    assert "lazy" not in blocks._queue.pending_event_ids_session
    assert "lazy" not in blocks._queue.pending_messages_per_session
    assert post(url, "queue/join", **body).status_code == 200


def test_one_address_has_so_many_connections(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "TOGETHER", 3)
    with httpx.Client(headers={"x-forwarded-for": "192.0.2.3"}) as client:
        held = [client.stream("GET", f"{url}gradio_api/heartbeat/a{number}") for number in range(3)]
        answers = [stream.__enter__() for stream in held]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert client.get(f"{url}config").status_code == 429
        assert httpx.get(f"{url}config").status_code == 200
        for stream in held:
            stream.__exit__(None, None, None)
        wait_for(lambda: client.get(f"{url}config").status_code == 200)


# Uploads


def test_files_are_taken_and_answered(url: str, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("a,b\n")
    assert Client(url, verbose=False).predict(handle_file(str(tmp_path / "names.csv")), api_name="/name") == "names.csv"


@pytest.mark.parametrize("field", ["data", "name", "name of a file"])
def test_an_upload_is_files_and_nothing_else(url: str, folder: Path, field: str) -> None:
    before = sorted(folder.rglob("*"))
    parts: dict[str, Any] = {"files": {"files": ("a.txt", b"never seen before")}}
    parts["files" if field == "name of a file" else "data"] = (
        {"other": ("b.txt", b"x")} if field == "name of a file" else {field: "a" * 1_000_000}
    )
    answer = httpx.post(f"{url}gradio_api/upload", **parts)
    assert answer.status_code == 400 and "files, and nothing else" in answer.text.replace("`", "").replace(
        "called ", ""
    )
    assert sorted(folder.rglob("*")) == before


def test_an_upload_has_so_many_bytes_and_files(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [("files", (f"{number}.txt", b"a")) for number in range(101)]
    assert httpx.post(f"{url}gradio_api/upload", files=files).status_code == 400
    monkeypatch.setattr(uploads, "UPLOAD", 50_000)
    files = [("files", (f"{number}.txt", b"a" * 20_000)) for number in range(3)]
    answer = httpx.post(f"{url}gradio_api/upload", files=files)
    assert answer.status_code == 413 and "send fewer files" in answer.json()["detail"]


def test_one_visitor_leaves_room_to_others(blocks: gr.Blocks, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was sent, is still to come, or takes blocks of the disk for next to nothing."""
    monkeypatch.setattr(uploads, "SHARE", 200_000 / uploads.FOLDER)
    host, port = url.removeprefix("http://").rstrip("/").split(":")

    def send(visitor: str, size: int = 100, files: int = 1) -> int:
        parts = [("files", (f"{visitor}{number}.txt", b"a" * size)) for number in range(files)]
        headers = {"x-forwarded-for": visitor}
        return httpx.post(f"{url}gradio_api/upload", files=parts, headers=headers).status_code

    assert [send("192.0.2.11", 90_000) for _ in range(3)] == [200, 200, 429]
    assert [send("192.0.2.12", 1, files=50) for _ in range(2)] == [200, 429]
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.13\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"{head}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 199900\r\n\r\n".encode()
        )
        wait_for(lambda: let(blocks).uploads.arriving)
        assert send("192.0.2.13") == 429 and send("192.0.2.14") == 200
    wait_for(lambda: not let(blocks).uploads.arriving)
    assert send("192.0.2.13") == 200


def test_an_upload_that_does_not_end_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_SECONDS", 0.3)
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 90000\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x".encode())
        connection.settimeout(5)
        answer = connection.recv(1_000) + connection.recv(1_000)
    assert b" 408 " in answer and b"The upload took too long" in answer


def test_names_of_uploads_are_short_and_forgotten(blocks: gr.Blocks, url: str, folder: Path) -> None:
    assert httpx.get(f"{url}gradio_api/upload_progress?upload_id={'a' * 200}").status_code == 404
    for name, status in (("a" * 200, 404), ("short", 200)):
        answer = httpx.post(f"{url}gradio_api/upload?upload_id={name}", files={"files": ("f.txt", name.encode())})
        assert answer.status_code == status
    (file,) = answer.json()
    known: Any = gr.routes
    assert "short" in known.file_upload_statuses._statuses and file in blocks.upload_file_set
    Path(file).unlink()
    assert isinstance(blocks.app, Demo)
    asyncio.run(blocks.app.tidy())
    assert not known.file_upload_statuses._statuses and file not in blocks.upload_file_set


def test_an_upload_states_its_length_and_keeps_to_it(url: str, folder: Path) -> None:
    """What comes in chunks may be of any length, whatever is stated beside it."""
    before = sorted(folder.rglob("*"))
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    body = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nlong\r\n--x--\r\n'
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode())
        assert connection.recv(1_000).startswith(b"HTTP/1.1 411")
    assert sorted(folder.rglob("*")) == before


def test_a_folder_that_is_full_takes_no_more(blocks: gr.Blocks, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "BELIEVED", 0.0)
    monkeypatch.setattr(uploads, "SHARE", float("inf"))
    size = let(blocks).uploads.size()
    monkeypatch.setattr(uploads, "FOLDER", size + 30_000)
    said = [
        httpx.post(f"{url}gradio_api/upload", files={"files": ("a.txt", bytes([number]) * 20_000)}).status_code
        for number in range(3)
    ]
    assert said == [200, 507, 507]


def test_an_upload_that_breaks_off_leaves_nothing(url: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 90000\r\n"
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n{part}{'a' * 50_000}".encode())
        wait_for(lambda: sorted(folder.rglob("*")) != before)
    wait_for(lambda: sorted(folder.rglob("*")) == before)
    assert "Traceback" not in capfd.readouterr().err


def test_old_files_go_whether_gradio_knows_them_or_not(blocks: gr.Blocks, url: str, folder: Path) -> None:
    """The examples stay, and so does what is new."""
    example = next(folder.rglob("example.png"))
    known, unknown, answers = Path(upload(url, content=b"old")), folder / "tmp123", folder / "answers-x"
    new = Path(upload(url, content=b"new"))
    unknown.write_text("old")
    answers.mkdir()
    assert isinstance(blocks.app, Demo)
    for old in ((example, known, unknown, answers), (known.parent, answers)):  # a folder is as old as its last change
        for path in old:
            os.utime(path, (0, 0))
        asyncio.run(blocks.app.tidy())
    assert [path.exists() for path in (example, new, answers)] == [True] * 3
    assert [path.exists() for path in (known, unknown, known.parent)] == [False] * 3


def test_it_is_tidied_up_while_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server, "SWEEP", 0.05)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    blocks = page()
    launch(blocks, prevent_thread_lock=True, quiet=True)
    try:
        file = Path(upload(str(blocks.local_url)))
        os.utime(file, (0, 0))
        wait_for(lambda: not file.exists())
    finally:
        blocks.close()


# Slow clients


def closes(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(1_000) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: "])
def test_a_head_that_does_not_end_is_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as connection:
        if beginning:
            connection.sendall(beginning)
        assert closes(connection, 5)


def test_a_body_that_does_not_end_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BODY_SECONDS", 0.3)
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /gradio_api/queue/join HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{"
        connection.sendall(head.encode())
        connection.settimeout(5)
        assert b" 408 " in connection.recv(1_000)


def test_one_address_has_not_all_connections(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it may be a proxy's on this machine."""
    monkeypatch.setattr(connections, "OF_ADDRESS", 3)
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with contextlib.ExitStack() as held:
        for own, closed in (
            ("127.0.0.2", [False] * 3 + [True] * 2),
            ("127.0.0.3", [False]),
            ("127.0.0.1", [False] * 5),
        ):
            opened = [socket.create_connection((host, int(port)), source_address=(own, 0)) for _ in closed]
            assert [closes(held.enter_context(one), 0.3) for one in opened] == closed


def test_a_long_answer_is_not_cut_off(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    event = post(url, "call/slow", data=[str(tmp_path / "go")]).json()["event_id"]
    with httpx.stream("GET", f"{url}gradio_api/call/slow/{event}", timeout=20) as answer:
        time.sleep(0.5)
        (tmp_path / "go").touch()
        assert "done" in answer.read().decode()


# Logins


@pytest.fixture(scope="module")
def private() -> Iterator[gr.Blocks]:
    blocks = page()
    launch(blocks, prevent_thread_lock=True, quiet=True, auth=("me", "a long password"))
    yield blocks
    blocks.close()


def try_login(url: str, password: str, visitor: str = "192.0.2.9") -> httpx.Response:
    data = {"username": "me", "password": password}
    return httpx.post(f"{url}login", data=data, headers={"x-forwarded-for": visitor})


def test_before_the_login_there_is_nothing(private: gr.Blocks) -> None:
    url = str(private.local_url)
    shown = httpx.get(url).text
    assert "Password" in shown and "measure" not in shown and "A text" not in shown
    for path in gate.routes(uploads=True).keys() - gate.OPEN:
        method = gate.routes(uploads=True)[path][0]
        answer = httpx.request(method, f"{url.rstrip('/')}{re.sub(r'{[^}]*}', '/a' if 'file=' in path else 'a', path)}")
        assert (answer.status_code, answer.json()) == (401, {"detail": "Log in first."}), path


def test_with_the_password_all_is_there(private: gr.Blocks) -> None:
    url = str(private.local_url)
    assert Client(url, verbose=False, auth=("me", "a long password")).predict("abc", api_name="/measure") == 3
    answer = try_login(url, "a long password")
    assert answer.status_code == 200
    cookies = [value.lower() for value in answer.headers.get_list("set-cookie")]
    assert cookies and all("samesite=lax" in cookie and "httponly" in cookie for cookie in cookies)


def test_whoever_logs_out_leaves_others_in(private: gr.Blocks) -> None:
    """All may have the same name."""
    with httpx.Client(base_url=str(private.local_url)) as one, httpx.Client(base_url=str(private.local_url)) as other:
        for client in (one, other):
            assert client.post("login", data={"username": "me", "password": "a long password"}).status_code == 200
            assert client.get("config").status_code == 200
        mine = dict(one.cookies)
        assert one.get("logout?all_session=true").status_code == 302
        assert other.get("config").status_code == 200
        assert httpx.get(f"{private.local_url}config", cookies=mine).status_code == 401


def test_a_browser_logs_in(private: gr.Blocks, browser: Any) -> None:
    visit = browser.new_page()
    visit.goto(private.local_url)
    for password, seen in (("wrong", "Incorrect credentials."), ("a long password", "Refuse")):
        visit.get_by_label("Name").fill("me")
        visit.get_by_label("Password").fill(password)
        visit.get_by_role("button", name="Log in").click()
        visit.get_by_text(seen).first.wait_for()
    visit.close()


def test_guesses_have_to_wait_and_others_need_not(
    private: gr.Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = str(private.local_url)
    said = [try_login(url, f"guess {number}").status_code for number in range(login.FREE + 2)]
    assert said == [400] * login.FREE + [429] * 2
    assert "wrong login number 5 from 192.0.2.9" in caplog.text
    assert try_login(url, "a long password").status_code == 429
    assert try_login(url, "a long password", visitor="192.0.2.10").status_code == 200
    wait_for(lambda: try_login(url, "a long password").status_code == 200)


def test_guesses_at_once_are_looked_at_one_by_one(private: gr.Blocks) -> None:
    url = str(private.local_url)
    with ThreadPoolExecutor(30) as threads:
        said = list(threads.map(lambda n: try_login(url, f"guess {n}", visitor="192.0.2.77").status_code, range(60)))
    assert said.count(400) <= login.FREE and said.count(429) >= 60 - login.FREE


def test_each_wrong_login_doubles_the_wait() -> None:
    logins = login.Logins()
    for _ in range(login.FREE + 3):
        logins.note("here", right=False)
    assert 7 < logins.wait("here") <= 8 and logins.wait("there") == 0
    for _ in range(20):
        logins.note("here", right=False)
    assert logins.wait("here") <= login.LONGEST
    logins.note("here", right=True)
    assert logins.wait("here") == 0
    for number in range(login.ADDRESSES + 5):
        logins.note(str(number), right=False)
    assert len(logins.wrong) == login.ADDRESSES


# A browser


def test_an_error_shows_no_html_of_a_visitor(url: str, browser: Any) -> None:
    visit = browser.new_page()
    wrong: list[str] = []
    visit.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    visit.on("pageerror", lambda error: wrong.append(str(error)))
    visit.goto(url)
    hostile = "<a href=https://evil.example>in</a><img src=https://evil.example/x.png>[a](https://evil.example)"
    visit.get_by_label("A text").first.fill(hostile)
    visit.get_by_role("button", name="Refuse").click()
    toast = visit.get_by_test_id("toast-text")
    toast.wait_for()
    assert toast.locator("a, img").count() == 0
    assert hostile in toast.inner_text()
    visit.close()
    assert wrong == []
