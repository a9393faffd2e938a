"""The server of a demo, and the command line that starts it.

What holds for every visitor, and is tried by tests on a real server:

- What is not on the gate's list is not there; Gradio fetches nothing from an address that a visitor gives.
- A request that is too large, too slow, or one of too many of its address is refused with a sentence.
- Errors are sentences. None names a file outside of the demo's own folder of uploads; paths in that folder, whose
  names nobody can guess, are what Gradio calls a file by, and the page holds those of its examples.
- What a visitor sent or got is gone after an hour and a quarter, and when the demo ends by Ctrl-C or SIGTERM;
  corrections, where they are kept, stay.
- With a login, nothing but the page that asks for it is there before.

What does not hold: many addresses together can keep a demo busy, and a process that is killed (SIGKILL) leaves its
folder. Connections are not encrypted, except through a Space or `--share`, whose servers can read them.
"""

import argparse
import asyncio
import contextlib
import getpass
import html
import io
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.http_server import INITIAL_PORT_VALUE, LOCALHOST_NAME, TRY_NUM_PORTS
from gradio.routes import App, ORJSONResponse, templates
from jinja2 import BaseLoader
from starlette.responses import Response

from apps.parts import connections
from apps.parts.answers import cut
from apps.parts.gate import Gate
from apps.parts.inputs import LIMITS, NO_TEXT
from apps.parts.link import ICON, ICON_ADDRESS, PICTURE_ADDRESS, Link, OwnTags, link_of
from apps.parts.look import CSS, CSS_FILES, theme
from apps.parts.uploads import SWEEP, FilesOnly
from common.predictor import Predictor
from common.run import find_run, latest, understood
from common.system.errors import Interrupted, UserError, exit_with_sentence

logger = logging.getLogger("apps")

# Sessions that Gradio remembers, each of which takes some hundred kilobytes.
SESSIONS = 500
# Characters of a password for a demo that others than this machine reach.
PASSWORD = 12
PASSWORD_VARIABLE = "KIT_DEMO_PASSWORD"


async def _refuse_download(url: str, cache_dir: str) -> str:
    """In place of Gradio's own: the server fetches nothing from an address that a visitor gives."""
    raise gr.Error("Give the file itself, not an address.", print_exception=False)


def _in_words(error: BaseException | None, show_error: bool) -> dict[str, Any]:
    """In place of Gradio's own, which says nothing about most inputs that it cannot read before a handler sees them."""
    if not isinstance(error, gr.Error):
        error = gr.Error("This input cannot be read: give it as the page or its API describes it.")
    elif error.print_exception:  # not of a handler: it may repeat the input, as HTML
        error = gr.Error(html.escape(NO_TEXT.sub("\ufffd", cut(str(error.message), 300)), quote=False))
    return dict(gr.utils.error_payload(error, show_error))


def _in_a_line() -> None:
    """In place of the traceback for each input that Gradio cannot read; handlers write their own (`guarded`)."""
    logger.warning("a request failed outside of a handler: %.200r", str(sys.exception()))


REPLACED = (
    (gr.processing_utils, "async_ssrf_protected_download", _refuse_download),
    (gr.route_utils, "GradioMultiPartParser", FilesOnly),
    (gr.queueing, "error_payload", _in_words),
    (gr.queueing, "traceback", types.SimpleNamespace(print_exc=_in_a_line)),
    (templates.env, "loader", OwnTags(templates.env.loader or BaseLoader())),
)


class Demo(App):
    """Gradio's application behind the gate, which looks after its memory and its folder."""

    def __init__(self, host: str):
        super().__init__(default_response_class=ORJSONResponse, openapi_url=None)
        self.on_space = gr.utils.get_space() is not None
        self.hosts = None if self.on_space else own_names(host)
        self.gate: Gate | None = None
        self.link = Link("")
        self.add_api_route(ICON_ADDRESS, self._icon)  # before Gradio's own
        self.add_api_route(PICTURE_ADDRESS, self._picture)

    async def _icon(self) -> Response:
        return Response(ICON, media_type="image/svg+xml")

    async def _picture(self) -> Response:
        """What a shared link shows."""
        if self.link.picture is None:
            return ORJSONResponse({"detail": "There is no picture of this result."}, 404)
        return Response(self.link.picture, media_type="image/png")

    def build_middleware_stack(self) -> Any:
        space = os.environ.get("SPACE_HOST", "") if self.on_space else ""
        public = f"https://{space}" if space else os.environ.get("GRADIO_ROOT_PATH", "")
        self.gate = Gate(super().build_middleware_stack(), self, self.hosts, public, self.on_space)
        return self.gate

    @contextlib.asynccontextmanager
    async def tended(self, _: App) -> AsyncIterator[None]:
        """Tidy up while the server runs."""
        task = asyncio.create_task(self._tend())
        yield
        task.cancel()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self.tidy()
            except Exception:
                logger.exception("tidying up failed")

    async def tidy(self) -> None:
        """Forget answers that nobody fetches, and remove old files, except those of the examples."""
        assert self.gate
        self.gate.calls.forget()
        blocks = self.get_blocks()
        needed = {str(file) for block in blocks.blocks.values() for file in getattr(block, "keep_in_cache", ())}
        await asyncio.to_thread(self.gate.uploads.sweep, needed)
        gr.routes.file_upload_statuses = gr.route_utils.FileUploadProgress()
        for files in blocks.temp_file_sets:
            files.intersection_update([file for file in files if Path(file).exists()])


def own_names(host: str) -> frozenset[str]:
    """What the host may be called in a request, besides the address that its connection arrives at."""
    names = {host.strip("[]").lower(), "localhost"}
    return frozenset(names | ({"127.0.0.1", "::1"} if loopback(host) else {socket.gethostname().lower()}))


def loopback(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def launch(blocks: gr.Blocks, prevent_thread_lock: bool = False, **options: Any) -> Any:
    """Start the server with the gate, the limits, the look and nothing that leaves the machine."""
    # Without api_open=False there is a way round the queue and its limits.
    blocks.queue(max_size=LIMITS.waiting, default_concurrency_limit=LIMITS.together, api_open=False)
    for module, name, ours in REPLACED:
        getattr(module, name)  # another version of Gradio may have it elsewhere
        setattr(module, name, ours)
    app = Demo(options.get("server_name") or LOCALHOST_NAME)
    app.link = link_of(blocks)
    defaults = {
        "theme": theme(),
        "css": "".join(file.read_text(encoding="utf-8") for file in CSS_FILES) + CSS,
        "max_file_size": LIMITS.file_bytes,
        "footer_links": ["api"],
        "show_error": False,
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
        "state_session_capacity": SESSIONS,
        "app_kwargs": {"lifespan": app.tended},
    }
    result = blocks.launch(**{**defaults, **options, "prevent_thread_lock": True, "_app": app})
    config: Any = blocks.server.config  # uvicorn reads these for each connection
    config.http_protocol_class = connections.Impatient
    config.limit_concurrency = connections.CONNECTIONS
    config.timeout_graceful_shutdown = 1
    if blocks.share_url and app.gate:
        app.gate.public = blocks.share_url
    if not prevent_thread_lock:
        blocks.block_thread()
    return result


def show(
    build: Callable[..., gr.Blocks], run: Path, arguments: argparse.Namespace, others: dict[str, Path] | None = None
) -> None:
    """Serve a run's demo until Ctrl-C, which may ask the models of `others`, too.  Raises what `serve` does."""
    corrections = arguments.corrections or not others_come_in(arguments)

    def built() -> gr.Blocks:
        asked = {name: Predictor.load(other) for name, other in (others or {}).items()}
        predictor = Predictor.load(run)
        with understood(run):
            return build(predictor, corrections=corrections, **asked)

    serve(built, arguments, f"run {run}")


def others_come_in(arguments: argparse.Namespace) -> bool:
    """Whether more than this machine reaches the demo."""
    return bool(arguments.share) or not loopback(arguments.host)


def serve(build: Callable[[], gr.Blocks], arguments: argparse.Namespace, shown: str) -> None:
    """Serve a demo until Ctrl-C or SIGTERM.

    Raises UserError where others may come in without a login, or it cannot listen; before the demo is built.
    """
    from common.system.progress import quiet_libraries

    auth = _checked_auth(arguments)
    port = _free_port(arguments.host, arguments.port)
    quiet_libraries()
    with _ended_by_sigterm():
        blocks = build()
        try:
            _start(blocks, arguments, auth, port)
            address = str(blocks.share_url or blocks.local_url).rstrip("/")
            print(f"showing {shown} at {address}; Ctrl-C stops it", flush=True)
            threading.Event().wait()
        finally:
            blocks.close(verbose=False)


def _start(blocks: gr.Blocks, arguments: argparse.Namespace, auth: tuple[str, str] | None, port: int) -> None:
    """Launch without Gradio's own lines.  Raises UserError where it cannot listen, or has no public address."""
    where = {"server_name": arguments.host, "server_port": port, "share": arguments.share, "auth": auth}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            launch(blocks, prevent_thread_lock=True, quiet=True, **where)
    except OSError as error:
        raise _deaf(arguments.host, port, error) from error
    if arguments.share and not blocks.share_url:
        what = "the public link could not be made, because no server of Gradio's gave one"
        raise UserError(f"{what}: check the network, or leave --share out.")


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """End like Ctrl-C does on SIGTERM, so that what visitors left is removed."""

    def end(*_: Any) -> None:
        raise Interrupted("stopped by SIGTERM.", 128 + signal.SIGTERM)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread: nobody can send us a signal
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _checked_auth(arguments: argparse.Namespace) -> tuple[str, str] | None:
    """Name and password that visitors need; a warning where the demo is shared.  Raises UserError."""
    public = others_come_in(arguments)
    if public and not arguments.auth:
        who = "everybody on the internet" if arguments.share else "every machine that can reach this one"
        raise UserError(f"{who} could come in: say who may with --auth NAME, and you are asked for a password.")
    if not arguments.auth:
        return None
    if ":" in arguments.auth:
        raise UserError(
            "--auth takes the name alone, because every program on this machine can read a command line: "
            f"the password is asked for, or comes from the variable {PASSWORD_VARIABLE}."
        )
    password = os.environ.get(PASSWORD_VARIABLE) or _asked_password(arguments.auth)
    if public and len(password) < PASSWORD:
        raise UserError(f"the password needs at least {PASSWORD} characters, because others can guess at it.")
    if arguments.share:
        print(
            "Warning: everybody with the address and the password can use this computer's time for a week, "
            "through a server of Gradio.",
            file=sys.stderr,
        )
    return arguments.auth, password


def _asked_password(name: str) -> str:
    """The password from the terminal.  Raises UserError where there is none, of either."""
    password = getpass.getpass(f"Password for {name}: ") if sys.stdin and sys.stdin.isatty() else ""
    if not password:
        raise UserError(f"--auth needs a password: put it into the variable {PASSWORD_VARIABLE}.")
    return password


def _free_port(host: str, port: int | None) -> int:
    """The port to listen at.  Raises UserError where it is none or taken, or the host is no address of this machine."""
    if port is not None and not 0 < port < 65_536:
        raise UserError(f"--port {port} is none: give one from 1 to 65535.")
    _bind(host, 0)
    if port is not None:
        _bind(host, port)
        return port
    for candidate in range(INITIAL_PORT_VALUE, INITIAL_PORT_VALUE + TRY_NUM_PORTS):
        with contextlib.suppress(UserError):
            _bind(host, candidate)
            return candidate
    raise UserError(f"the ports from {INITIAL_PORT_VALUE} on are all taken: give another --port.")


def _bind(host: str, port: int) -> None:
    """Raise UserError where nothing can listen there."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind((host, port))
    except OSError as error:
        raise _deaf(host, port, error) from error


def _deaf(host: str, port: int, error: OSError) -> UserError:
    if port:
        return UserError(f"port {port} of {host} cannot be had ({error.strerror or error}): give another --port.")
    return UserError(f"the demo cannot listen at {host} ({error.strerror or error}): give another --host.")


def command_line(name: str) -> argparse.ArgumentParser:
    """The options of `kit demo` and `python -m apps.NAME`: where it listens, and who may come in."""
    program = sys.argv[0] if sys.argv[0].startswith("kit ") else f"python -m apps.{name}"
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: this machine only); others need --auth"
    )
    parser.add_argument("--port", type=int, help=f"default: the first free one from {INITIAL_PORT_VALUE} up")
    parser.add_argument("--share", action="store_true", help="a public address for a week; needs --auth")
    parser.add_argument(
        "--auth",
        metavar="NAME",
        help=f"ask visitors for this name and a password, from {PASSWORD_VARIABLE} or asked for",
    )
    return parser


def main(build: Callable[..., gr.Blocks], file: str, others: dict[str, str] | None = None) -> None:
    """The command line of the demo of a project, which is called like its `file`.

    `others` are options that name further runs, and what each is for: `build` is given their Predictors.
    """
    project = Path(file).stem

    def run() -> None:
        parser = command_line(project)
        parser.add_argument("run", nargs="?", type=Path, help="a run's folder; default: the project's latest")
        parser.add_argument("--run", type=Path, dest="named", help=argparse.SUPPRESS)
        parser.add_argument(
            "--corrections",
            action="store_true",
            help="keep what visitors correct, for `kit corrections` (without --host and --share that is so anyway)",
        )
        for name, purpose in (others or {}).items():
            parser.add_argument(f"--{name}", metavar="RUN", help=purpose)
        arguments = parser.parse_args()
        given = {name: find_run(named) for name in others or () if (named := getattr(arguments, name))}
        show(build, arguments.run or arguments.named or latest(project), arguments, given)

    exit_with_sentence(run)
