"""Files that visitors send: how many, how large, how long they stay."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file

from apps.parts import server, uploads
from apps.parts.server import Demo, launch
from tests.apps.parts.gate.page import let, page, upload, wait_for


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
