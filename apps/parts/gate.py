"""The gate between visitors and Gradio: what is on its list may pass, and everything else gets a sentence.

It stands before Gradio's own middleware, so that nothing there answers for it. A route that a new version of Gradio
adds stays closed: a test compares the list with Gradio's own.
"""

import asyncio
import collections
import re
import weakref
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from gradio.route_utils import API_PREFIX
from gradio.routes import App
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import compile_path

from apps.parts import visitors
from apps.parts.calls import BODY, CALL, JOIN, NAMED, RUN, SESSION, SESSION_NAME, Calls, counted, replayed, whole_body
from apps.parts.guard import Refused
from apps.parts.login import PAGE, Logins
from apps.parts.uploads import Uploads

# The routes that the page and gradio_client use, as Gradio writes them.
PAGE_ROUTES = {
    ("GET", "HEAD"): ("/",),
    ("GET",): (
        *(
            "/config",
            "/config/",
            "/theme.css",
            "/favicon.ico",
            "/picture.png",
            "/manifest.json",
            "/robots.txt",
            "/logout",
        ),
        *("/assets/{path:path}", "/static/{path:path}", "/svelte/{path:path}"),
    ),
    ("POST",): ("/login", "/login/"),
}
API_ROUTES = {
    ("GET", "HEAD"): ("/file={path_or_url:path}",),
    ("GET",): (
        *("/info", "/info/", "/app_id", "/app_id/", "/theme.css", "/startup-events", "/heartbeat/{session_hash}"),
        *("/queue/data", "/call/{api_name}/{event_id}", "/call/v2/{api_name}/{event_id}"),
    ),
    ("POST",): (
        "/queue/join",
        "/run/{api_name}",
        "/call/{api_name}",
        "/call/v2/{api_name}",
        "/cancel",
        "/reset",
        "/reset/",
    ),
}
UPLOAD, PROGRESS = f"{API_PREFIX}/upload", f"{API_PREFIX}/upload_progress"
FILE = f"{API_PREFIX}/file={{path_or_url:path}}"
HEARTBEAT, DATA = f"{API_PREFIX}/heartbeat/{{session_hash}}", f"{API_PREFIX}/queue/data"
ANSWERS = tuple(f"{API_PREFIX}/call/{version}{{api_name}}/{{event_id}}" for version in ("", "v2/"))
CALLS = (JOIN, RUN, CALL, NAMED)
LOGIN, LOGOUT = ("/login", "/login/"), "/logout"
# What may be asked without a login; Gradio itself asks for the last one when it starts.
OPEN = frozenset({"/", *LOGIN, f"{API_PREFIX}/startup-events"})

# What makes a page take files, where it is an input.
FILES = (gr.Audio, gr.File, gr.Image, gr.UploadButton, gr.Video)

# Characters of a path with its query: the name of a file is the longest part of any.
LONGEST = 4_000
# Requests of one address at the same time, with those that keep a page in touch.
TOGETHER = 120
# Those of them that are worked on at the same time: whoever asks much waits for the own requests, and others do not.
AT_WORK = 6
# Seconds until an address hears that it has asked too much.
TOO_MUCH_SECONDS = 1.0
# Seconds that a visitor may take for a piece of an answer.
ANSWER_SECONDS = 60.0

# What would make Gradio repeat a request's headers, or take another address for its own.
DROPPED = (b"range", b"x-gradio-server", b"x-forwarded-")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
# The page of a Space is in a frame of the Hub.
FRAMES = " https://huggingface.co https://*.hf.space"


def routes(uploads: bool) -> dict[str, tuple[str, ...]]:
    """{route: its methods} of what may pass; the two of uploads only where a page takes files."""
    found = {path: methods for methods, paths in PAGE_ROUTES.items() for path in paths}
    found |= {f"{API_PREFIX}{path}": methods for methods, paths in API_ROUTES.items() for path in paths}
    return found | ({UPLOAD: ("POST",), PROGRESS: ("GET",)} if uploads else {})


# A host and a port, as browsers write them.
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?", re.ASCII)


class Gate:
    """ASGI middleware around a demo.

    Attributes:
        hosts: the names and addresses that a request may be for; None where the proxy of a Space decides.
        public: the address that visitors use, where it is not the one that the server listens at.
        on_space: whether the proxy of Hugging Face stands before it.
    """

    def __init__(self, inner: Any, app: App, hosts: frozenset[str] | None, public: str = "", on_space: bool = False):
        self.inner, self.app, self.hosts, self.public, self.on_space = inner, app, hosts, public, on_space
        blocks = app.get_blocks()
        inputs = (block for function in blocks.fns.values() for block in function.inputs)
        takes_files = any(isinstance(block, FILES) for block in inputs)
        self.table = [(compile_path(path)[0], path, methods) for path, methods in routes(takes_files).items()]
        self.calls = Calls(blocks)
        self.uploads = Uploads(app.uploaded_file_dir)
        self.logins = Logins()
        self.together: collections.Counter[str] = collections.Counter()
        self.at_work: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            send = self.bound(send)
            try:
                await self.let_in(scope, receive, send)
            except Refused as refused:
                if refused.status == 429:
                    await asyncio.sleep(TOO_MUCH_SECONDS)
                await JSONResponse({"detail": str(refused)}, refused.status)(scope, receive, send)
            except Exception as error:
                # Whoever asked is gone, or takes no answer, or its session ended meanwhile: nothing is wrong here.
                gone = isinstance(error, ClientDisconnect | ConnectionError | TimeoutError)
                if not gone and not isinstance(error.__cause__, HTTPException):
                    raise

    async def let_in(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request to Gradio.  Raises Refused."""
        headers = Headers(scope=scope)
        address = visitors.address((scope["client"] or ("",))[0], headers)
        self.check_host(scope, headers)
        route, values = self.route(scope)
        known = self.logged_in(headers)
        if not known and route not in OPEN:
            raise Refused(401, "Log in first.")
        scope = {**scope, "client": (address, 0), "headers": self.own_headers(scope["headers"], headers)}
        with counted(self.together, address, TOGETHER, "There are too many requests from your address: wait a little."):
            if route == UPLOAD:
                async with self.uploads.room(headers, address):
                    await self.inner(scope, receive, send)
            elif route in (HEARTBEAT, PROGRESS, DATA, *ANSWERS):  # these last
                if route in (DATA, *ANSWERS):
                    session = QueryParams(scope["query_string"]).get("session_hash")
                    self.calls.check_waiting(session if route == DATA else None, values.get("event_id"))
                await self.inner(scope, receive, send)
            else:
                body = b""
                if scope["method"] == "POST":
                    body = await whole_body(receive, headers, self.calls.largest if route in CALLS else BODY)
                    receive = replayed(body, receive)
                if route in CALLS:
                    self.calls.check(route, values.get("api_name"), headers, body)
                async with self.at_work.setdefault(address, asyncio.Semaphore(AT_WORK)):
                    await self.answer(route, address, scope, receive, send)

    async def answer(self, route: str, address: str, scope: Any, receive: Any, send: Any) -> None:
        """Let Gradio answer a request that does not last.  Raises Refused."""
        headers = Headers(scope=scope)
        if route == "/" and not self.logged_in(headers):
            await HTMLResponse(PAGE)(scope, receive, send)
        elif route in LOGIN:
            await self.log_in(address, scope, receive, send)
        elif route in CALLS:
            with self.calls.turn(address):
                await self.inner(scope, receive, send)
        else:
            if route == LOGOUT:
                scope = self.log_out(scope, headers)
            await self.inner(scope, receive, send)

    def check_host(self, scope: Any, headers: Headers) -> None:
        """Refuse what is meant for another host (DNS rebinding), and what a page of another site asks for."""
        host, public = headers.get("host", "").lower(), urlsplit(self.public)
        ours = {public.hostname, str((scope["server"] or ("",))[0])} - {None, ""}
        if self.hosts is not None and hostname(host) not in self.hosts | ours:
            raise Refused(403, "This demo does not answer to that host's name: GRADIO_ROOT_PATH may name its address.")
        origin = headers.get("origin")
        if origin is not None and netloc(origin) not in {host, public.netloc} - {""}:
            raise Refused(403, "A page of another site may not ask this demo.")

    def route(self, scope: Any) -> tuple[str, Mapping[str, str]]:
        """The route on the list that a request is for, and the values in its path."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if len(path) + len(scope["query_string"]) > LONGEST:
            raise Refused(414, "The request's address is too long.")
        for pattern, route, methods in self.table:
            if (match := pattern.fullmatch(path)) and scope["method"] in methods:
                values = match.groupdict()
                if route == FILE and not values["path_or_url"].startswith("/"):
                    break  # an address, which Gradio would fetch
                if route in (UPLOAD, PROGRESS) and len(scope["query_string"]) > 2 * SESSION:
                    break  # Gradio remembers its name
                if route == HEARTBEAT and not SESSION_NAME.fullmatch(values["session_hash"]):
                    break
                return route, values
        raise Refused(404, "There is nothing here.")

    def own_headers(self, raw: list[tuple[bytes, bytes]], headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers as Gradio may see them; those about the public address are ours."""
        kept = [(name, value) for name, value in raw if not name.startswith(DROPPED) or name == b"x-forwarded-for"]
        public = urlsplit(self.public)
        if public.netloc and (self.on_space or hostname(headers.get("host", "")) == public.hostname):
            kept += [(b"x-forwarded-host", public.netloc.encode()), (b"x-forwarded-proto", public.scheme.encode())]
        return kept

    def logged_in(self, headers: Headers) -> bool:
        """Whether a request comes from somebody who gave the password, or none is asked for."""
        cookies = cookie_parser(headers.get("cookie", ""))
        return self.app.auth is None or any(value in self.app.tokens for value in cookies.values())

    async def log_in(self, address: str, scope: Any, receive: Any, send: Any) -> None:
        """Let Gradio look at name and password, unless this address guessed wrong too often just now."""
        if wait := self.logins.wait(address):
            raise Refused(429, f"Too many wrong logins: wait {wait:.0f} seconds.")

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.logins.note(address, right=message["status"] < 400)
            await send(message)

        # Many guesses at once would all be looked at before the first of them is known to be wrong.
        with counted(self.logins.trying, address, 1, "Somebody logs in from your address just now: try again."):
            await self.inner(scope, receive, noted)

    def log_out(self, scope: Any, headers: Headers) -> Any:
        """Forget this visitor alone; Gradio would log out everybody of the same name, which all may have."""
        for value in cookie_parser(headers.get("cookie", "")).values():
            self.app.tokens.pop(value, None)
        return {**scope, "query_string": b"all_session=false"}

    def bound(self, send: Any) -> Any:
        """The answer with the headers that bind a browser; whoever does not take it in time is dropped."""
        policy = POLICY + (FRAMES if self.on_space else "")

        async def bound(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in {name for name in headers if name.startswith("access-control-")}:
                    del headers[name]
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                if not self.on_space:
                    message["headers"] = [strict_cookie(name, value) for name, value in message["headers"]]
            async with asyncio.timeout(ANSWER_SECONDS):
                await send(message)

        return bound


def strict_cookie(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header of an answer; a cookie in it is not sent with what other sites ask for."""
    return name, value.replace(b"SameSite=none", b"SameSite=lax") if name == b"set-cookie" else value


def hostname(host: str) -> str:
    """The name in a Host header, without the port; empty for what no browser writes."""
    match = HOST.fullmatch(host.lower())
    return match[1].strip("[]") if match else ""


def netloc(origin: str) -> str:
    """The host and port of an Origin header; `null` has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
