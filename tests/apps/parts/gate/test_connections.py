"""Slow clients, and those that hold many connections."""

import contextlib
import socket
import time
from pathlib import Path

import httpx
import pytest

from apps.parts import calls, connections
from tests.apps.parts.gate.page import post


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
