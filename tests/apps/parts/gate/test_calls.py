"""Calls that Gradio would fail at get a sentence, and those of the page's own functions an answer."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gradio_client import Client

from apps.parts.inputs import LIMITS
from tests.apps.parts.gate.page import JSON, post

# What is the number of no function.
NUMBERS: list[Any] = [99, -1, None, "1", 1.5, True, [1], {}]


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
