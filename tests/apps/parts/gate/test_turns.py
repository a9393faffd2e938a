"""One visitor who asks for much leaves turns, answers and connections to others."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from apps.parts import calls, gate
from apps.parts.server import Demo
from tests.apps.parts.gate.page import JSON, let, post, wait_for


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
