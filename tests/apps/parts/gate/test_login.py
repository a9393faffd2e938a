"""Before the login there is nothing, and whoever guesses has to wait."""

import re
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx
import pytest
from gradio_client import Client

from apps.parts import gate, login
from tests.apps.parts.gate.page import wait_for


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
