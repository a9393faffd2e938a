"""The server of a demo, the requests it refuses, and the command line that starts it."""

import argparse
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.route_utils import API_PREFIX
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from apps.parts.inputs import LIMITS
from apps.parts.look import CSS, CSS_FILE, theme
from common.predictor import Predictor
from common.run import latest
from common.system.errors import UserError, exit_with_sentence


async def _refuse_download(url: str, cache_dir: str) -> str:
    """In place of Gradio's own: the server fetches nothing from an address that a visitor gives."""
    raise gr.Error("Give the file itself, not an address.", print_exception=False)


class BodyLimit:
    """Refuses requests, other than uploads, with a larger body than any input needs: they are parsed as a whole."""

    LARGEST = 256 * 1024
    UPLOAD = f"{API_PREFIX}/upload"  # no other: an endpoint may be called "upload", too

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) == self.UPLOAD:
            await self.app(scope, receive, send)
            return
        size = 0

        async def limited() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.LARGEST:
                raise HTTPException(413, "the request is too large")
            return message

        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if not stated.isdigit() or int(stated) > self.LARGEST:
            await PlainTextResponse("the request is too large", 413)(scope, receive, send)
            return
        await self.app(scope, limited, send)


def launch(blocks: gr.Blocks, **options: Any) -> Any:
    """Start the server with the limits, the look and nothing that leaves the machine."""
    # Without api_open=False there is a way round the queue and its limits.
    blocks.queue(max_size=LIMITS.waiting, default_concurrency_limit=LIMITS.together, api_open=False)
    gr.processing_utils.async_ssrf_protected_download = _refuse_download
    defaults = {
        "theme": theme(),
        "css": CSS + CSS_FILE.read_text(encoding="utf-8"),
        "max_file_size": LIMITS.file_bytes,
        "footer_links": ["api", "settings"],
        "show_error": False,
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
        "app_kwargs": {"middleware": [Middleware(BodyLimit)]},
    }
    return blocks.launch(**{**defaults, **options})


def show(build: Callable[[Predictor], gr.Blocks], run: Path, arguments: argparse.Namespace) -> None:
    """Serve a run's demo until Ctrl-C.  Raises what `serve` does."""
    serve(lambda: build(Predictor.load(run)), arguments)


def serve(build: Callable[[], gr.Blocks], arguments: argparse.Namespace) -> None:
    """Serve a demo until Ctrl-C.  Raises UserError for `--share` without `--auth`, and where it cannot listen."""
    from common.system.progress import quiet_libraries

    auth = _checked_auth(arguments)
    _check_address(arguments)
    quiet_libraries()
    blocks = build()
    try:
        launch(blocks, share=arguments.share, auth=auth, server_name=arguments.host, server_port=arguments.port)
    except OSError as error:
        raise UserError(
            f"the demo cannot listen at {arguments.host} ({error}): give another --port or --host."
        ) from error


def _checked_auth(arguments: argparse.Namespace) -> tuple[str, str] | None:
    """Name and password that visitors need; a warning where the demo is shared."""
    auth = None
    if arguments.auth:
        name, colon, password = arguments.auth.partition(":")
        if not (name and colon and password):
            raise UserError("--auth needs a name and a password with a colon between them: --auth me:secret.")
        auth = (name, password)
    if arguments.share and not auth:
        raise UserError(
            "--share puts the demo on the public internet for a week: say who may come in with --auth NAME:PASSWORD."
        )
    if arguments.share:
        print(
            "Warning: everybody with the address and the password can use this computer's time for a week, "
            "through a server of Gradio.",
            file=sys.stderr,
        )
    return auth


def _check_address(arguments: argparse.Namespace) -> None:
    """Raise UserError where the port is none, or the host is not an address of this machine."""
    if arguments.port is not None and not 0 < arguments.port < 65_536:
        raise UserError(f"--port {arguments.port} is none: give one from 1 to 65535.")
    try:
        with socket.socket() as probe:  # Gradio would try a hundred ports at an address that is not this machine's
            probe.bind((arguments.host, 0))
    except OSError as error:
        raise UserError(f"the demo cannot listen at {arguments.host} ({error}): give another --host.") from error


def command_line(name: str) -> argparse.ArgumentParser:
    """The options of `kit demo` and `python -m apps.NAME`: where it listens, and who may come in."""
    program = sys.argv[0] if sys.argv[0].startswith("kit ") else f"python -m apps.{name}"
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 up")
    parser.add_argument("--share", action="store_true", help="a public address for a week; needs --auth")
    parser.add_argument("--auth", metavar="NAME:PASSWORD", help="ask visitors for these")
    return parser


def main(build: Callable[[Predictor], gr.Blocks], file: str) -> None:
    """The command line of the demo of a project, which is called like its `file`."""
    project = Path(file).stem

    def run() -> None:
        parser = command_line(project)
        parser.add_argument("run", nargs="?", type=Path, help="a run's folder; default: the project's latest")
        parser.add_argument("--run", type=Path, dest="named", help=argparse.SUPPRESS)
        arguments = parser.parse_args()
        show(build, arguments.run or arguments.named or latest(project), arguments)

    exit_with_sentence(run)
