"""A double of the Hugging Face Hub: a server on this machine that answers the requests that its libraries make.

It holds models and data sets in memory, some of them gated, renamed, or broken off in the middle of a file, and takes
uploads. The libraries read `HF_ENDPOINT` when they are imported, so they ask it from a process of their own.
"""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
TOKEN = "hf_" + "DoubleOfTheHub" * 2
Files = dict[str, bytes]


@dataclass
class Repository:
    """Commits by their sha, and the branches that point to them."""

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    breaks_off: bool = False  # in the middle of each file but the smallest

    def commit(self, files: Files, branch: str = "main") -> str:
        """Put these files on a branch, and return the commit's sha."""
        listed = sorted((name, hashlib.sha1(content).hexdigest()) for name, content in files.items())
        sha = hashlib.sha1(json.dumps([listed, len(self.commits)]).encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.branches[branch] = sha
        return sha

    def find(self, revision: str) -> str | None:
        sha = self.branches.get(revision, revision)
        return sha if sha in self.commits else None

    @property
    def newest(self) -> Files:
        return self.commits[self.branches["main"]]


class Hub:
    """The server, and what it holds: `repositories[kind, name]`, `moved[kind, old name] = new name`.

    `home` is the folder in which those who ask keep what they get.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.moved: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (Answer,), {"hub": self}))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, kind: str, name: str, files: Files | Path, **options: Any) -> Repository:
        """A repository of these files, or of those in a folder."""
        if isinstance(files, Path):
            found = sorted(path for path in files.rglob("*") if path.is_file())
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in found}
        repository = Repository(**options)
        repository.commit(files)
        self.repositories[kind, name] = repository
        return repository

    def environment(self, token: str | None = None) -> dict[str, str]:
        """What makes the libraries ask this server, with caches of their own."""
        found = {
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(self.home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
        }
        return {**found, "HF_TOKEN": token} if token else found


class Refused(Exception):
    """An answer other than 200, with the Hub's code for what is wrong."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class Answer(BaseHTTPRequestHandler):
    """One request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.split("/") if part]
        self.hub.asked.append(f"{self.command} {unquote(url.path)}")
        try:
            if parts[:1] == ["api"]:
                self._api(parts[1:], parse_qs(url.query), body)
            elif "resolve" in parts:
                self._resolve(parts)
            else:
                raise Refused(404, "EntryNotFound", "there is no such page")
        except Refused as error:
            self._send(error.status, json.dumps({"error": str(error)}).encode(), {"X-Error-Code": error.code})

    def _api(self, parts: list[str], query: dict[str, list[str]], body: bytes) -> None:
        match parts:
            case ["whoami-v2"]:
                self._signed_in()
                self._json({"name": "me", "type": "user", "auth": {"accessToken": {"role": "write"}}, "orgs": []})
            case ["validate-yaml"]:
                self._json({"errors": [], "warnings": []})
            case ["repos", "create"]:
                self._create(json.loads(body))
            case [kind, owner, name, *rest] if kind in KINDS:
                found = f"{owner}/{name}"
                if new := self.hub.moved.get((KINDS[kind], found)):
                    self._send(307, b"", {"Location": self.path.replace(f"{kind}/{found}", f"{kind}/{new}", 1)})
                    return
                self._of_repository(KINDS[kind], found, rest, query, body)
            case _:
                raise Refused(404, "NotFound", "there is no such call")

    def _of_repository(self, kind: str, name: str, rest: list[str], query: dict[str, list[str]], body: bytes) -> None:
        match rest:
            case []:
                self._json(self._described(kind, name, "main"))
            case ["revision", revision]:
                self._json(self._described(kind, name, revision))
            case ["tree", revision, *below]:
                files = self._files(kind, name, revision)[1]
                self._json(_listed(files, "/".join(below), query.get("recursive", ["false"])[0].lower() == "true"))
            case ["paths-info", revision]:
                files = self._files(kind, name, revision)[1]
                wanted = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
                everything = _listed(files, "", True)
                self._json([entry for entry in everything if entry["path"] in wanted])
            case ["preupload", _]:
                self._signed_in()
                names = [file["path"] for file in json.loads(body)["files"]]
                self._json(
                    {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in names]}
                )
            case ["commit", revision]:
                self._commit(kind, name, revision, body)
            case _:
                raise Refused(404, "NotFound", "there is no such call")

    def _create(self, asked: dict[str, Any]) -> None:
        self._signed_in()
        kind = asked.get("type") or "model"
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        address = f"{self.hub.address}/{'' if kind == 'model' else kind + 's/'}{name}"
        if (kind, name) in self.hub.repositories:
            self._send(409, json.dumps({"error": "it exists", "url": address}).encode())
            return
        if not name.startswith("me/"):
            raise Refused(403, "Forbidden", "you may not write there")
        if kind == "space" and asked.get("sdk") != "gradio":
            raise Refused(400, "BadRequest", "a Space needs an sdk")
        self.hub.add(kind, name, {".gitattributes": b""})
        self._json({"url": address, "name": name, "id": name})

    def _commit(self, kind: str, name: str, revision: str, body: bytes) -> None:
        self._signed_in()
        repository = self.hub.repositories[kind, name]
        files = dict(repository.newest)
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        sha = repository.commit(files, revision)
        self._json({"commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha, "success": True})

    def _signed_in(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "Unauthorized", "Invalid username or password.")

    def _repository(self, kind: str, name: str) -> Repository:
        if (kind, name) not in self.hub.repositories:
            raise Refused(404, "RepoNotFound", "Repository not found")
        return self.hub.repositories[kind, name]

    def _files(self, kind: str, name: str, revision: str, content: bool = True) -> tuple[str, Files]:
        repository = self._repository(kind, name)
        if content and repository.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "GatedRepo", f"Access to {kind} {name} is restricted. You must be authenticated.")
        sha = repository.find(revision)
        if sha is None:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repository.commits[sha]

    def _described(self, kind: str, name: str, revision: str) -> dict[str, Any]:
        sha, files = self._files(kind, name, revision, content=False)
        siblings = [{"rfilename": path} for path in files]
        gated = "auto" if self._repository(kind, name).gated else False
        flags: dict[str, Any] = {
            "private": False,
            "disabled": False,
            "gated": gated,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        return {"_id": "0", "id": name, "modelId": name, "sha": sha, "siblings": siblings, **flags}

    def _resolve(self, parts: list[str]) -> None:
        kind = KINDS.get(parts[0], "model")
        owner, name, _, revision, *path = parts[kind != "model" :]
        new = self.hub.moved.get((kind, f"{owner}/{name}"))
        if new:
            self._send(307, b"", {"Location": self.path.replace(f"{owner}/{name}", new, 1)})
            return
        sha, files = self._files(kind, f"{owner}/{name}", revision)
        file = "/".join(path)
        if file not in files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        content = files[file]
        head = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        status, start, end = 200, 0, len(content)
        if asked := self.headers.get("Range", "").removeprefix("bytes="):
            first, _, last = asked.partition("-")
            start, end = int(first), min(int(last) + 1, len(content)) if last else len(content)
            status, head["Content-Range"] = 206, f"bytes {start}-{end - 1}/{len(content)}"
        broken = self._repository(kind, f"{owner}/{name}").breaks_off and len(content) > 10_000
        self._send(status, content[start:end], head, sent=(end - start) // 2 if broken else None)

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, head: dict[str, str] | None = None, sent: int | None = None) -> None:
        """Answer; `sent` bytes of the body only, where the connection shall break."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(head or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])
            self.close_connection = sent is not None


def _listed(files: Files, below: str, recursive: bool) -> list[dict[str, Any]]:
    """The files and folders below a folder, as the Hub lists them."""
    prefix = f"{below}/" if below else ""
    found: dict[str, dict[str, Any]] = {}
    for path, content in files.items():
        if not path.startswith(prefix):
            continue
        steps = path.removeprefix(prefix).split("/")
        for depth in range(1, len(steps)):
            folder = prefix + "/".join(steps[:depth])
            if recursive or depth == 1:
                found[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
        if recursive or len(steps) == 1:
            oid = hashlib.sha1(content).hexdigest()
            found[path] = {"type": "file", "path": path, "oid": oid, "size": len(content)}
    if below and not found:
        raise Refused(404, "EntryNotFound", f"{below} does not exist")
    return list(found.values())
