"""What every demo shares: its limits, its look, the tabs of evidence, and how it is put on the network.

Gradio enforces the limits of its components in the browser only; whoever asks the server directly meets the
checks here. No visitor sees a traceback, the environment, or a path but that of their own upload: `guarded` turns
every error into a sentence.
"""

import argparse
import asyncio
import contextlib
import functools
import hashlib
import html
import json
import logging
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import gradio as gr
from gradio.route_utils import API_PREFIX
from pydantic import model_validator
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from common.errors import UserError, exit_with_sentence
from common.predictor import Prediction, Predictor
from common.report import NAMES, data_uri, evidence, percent, sentence
from common.run import Run, latest, read_json

logger = logging.getLogger("apps")

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for.

    Attributes:
        characters: of one text.
        rows, columns, column_characters: of one file, and of a column's name.
        file_bytes: of one upload.
        pixels: of one picture.
        stretch: of one picture, its longer side divided by its shorter one.
        pictures: in one request.
        seconds: that one request may take.
        file_seconds: that a whole file may take.
        waiting: requests in Gradio's queue; more are told to come back.
        together: requests that are worked on at the same time.
        corrections_bytes: of the file that collects corrections.
        pictures_bytes: of the pictures that are kept beside it.
    """

    characters: int = 2_000
    rows: int = 1_000
    columns: int = 100
    column_characters: int = 200
    file_bytes: int = 10_000_000
    pixels: int = 25_000_000
    stretch: int = 50
    pictures: int = 100
    seconds: float = 20.0
    file_seconds: float = 100.0
    waiting: int = 200
    together: int = 64
    corrections_bytes: int = 5_000_000
    pictures_bytes: int = 200_000_000


LIMITS = Limits()

CSS_FILE = Path(__file__).resolve().parent.parent / "common" / "report.css"
CSS = """
.gradio-container { width: 100%; max-width: 68rem !important; margin: 0 auto !important; }
.answer { font-size: 1.05rem; line-height: 1.5; min-height: 8.5rem; padding: .9rem 1.1rem; border: 1px solid var(--border-color-primary); border-radius: 8px; }
.answer .label { font-size: 1.6rem; font-weight: 600; margin: 0 0 .2rem; overflow-wrap: anywhere; }
.answer p { margin: .25rem 0; }
.answer .bars { display: grid; grid-template-columns: fit-content(45%) 1fr max-content; gap: .2rem .8rem; align-items: center; font-size: .95rem; }
.answer .bars span { overflow-wrap: anywhere; }
.answer .track { height: .55rem; background: var(--border-color-primary); border-radius: 4px; }
.answer .track i { display: block; height: 100%; background: #2563eb; border-radius: 4px; }
.answer .bars .value { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
button[role="tab"].selected { color: var(--primary-700); }
.dark button[role="tab"].selected { color: var(--primary-300); }
.picture img { width: 100% !important; height: 100% !important; object-fit: contain; }
.quiet { opacity: .85; font-size: .92rem; }
.dark .marked .text { color: #fff !important; }
.prose pre, .prose pre code { white-space: pre-wrap !important; overflow-wrap: anywhere; }
.prose table { display: block; overflow-x: auto; }
.prose th, .prose td { overflow-wrap: normal; word-break: normal; }
footer a, footer button { text-decoration: underline; }
"""


def theme() -> gr.themes.Base:
    """Gradio's own look with fonts that every system has: nothing is fetched from elsewhere."""
    return gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        # White on these reaches the contrast of 4.5 that WCAG 2.2 asks for.
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
    )


@contextlib.asynccontextmanager
async def answering(seconds: float) -> AsyncIterator[None]:
    """What `guarded` does for a handler, for a part of one: those that stream have to be guarded piece by piece."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except TimeoutError:
        raise gr.Error("This took too long, because many are asking: try again in a minute.", print_exception=False) from None
    except Exception:
        logger.exception("a request failed")
        raise gr.Error("Something went wrong on this side. It is in the owner's log; try another input.", print_exception=False) from None


def guarded(seconds: float) -> Callable[[Handler], Handler]:
    """Turn whatever goes wrong in a handler, or takes longer than `seconds`, into a sentence; the log gets the rest."""

    def guard(function: Handler) -> Handler:
        @functools.wraps(function)
        async def handler(*arguments: Any, **options: Any) -> Any:
            async with answering(seconds):
                return await function(*arguments, **options)

        return cast("Handler", handler)

    return guard


def checked_text(value: Any, limits: Limits = LIMITS) -> str:
    """The visitor's text.  Raises UserError with one sentence where it is none, is empty, or is too long."""
    if not isinstance(value, str):
        raise UserError("Give one text: words between quotation marks, not a list, a number or nothing.")
    if not value.strip():
        raise UserError("There is no text yet: type or paste one first.")
    if len(value) > limits.characters:
        raise UserError(f"The text has {len(value):,} characters, and {limits.characters:,} are read at most: shorten it.")
    if "\0" in value or re.search(r"[\ud800-\udfff]", value):
        raise UserError("The text holds characters that are no text (such as NUL): remove them.")
    return value


def uploaded(value: Any) -> str | None:
    """The path of a visitor's upload that Gradio hands over as it came (`preprocess=False`); None where it is none.

    Gradio would open a picture first, with every parser that Pillow has, and it lets a path pass that comes without `meta`.
    """
    path = value.get("path") if isinstance(value, dict) else value
    try:
        if isinstance(path, str) and Path(path).resolve().is_relative_to(Path(gr.utils.get_upload_folder()).resolve()):
            return path
    except (OSError, ValueError):
        pass  # too long for a path, or with a NUL
    return None


def or_nothing(model: Any) -> Any:
    """The data model of a component, but what is no such data counts as nothing, for which the handlers have a sentence.

    Gradio would refuse it before a handler sees it, in words about its own classes or in none.
    """

    class OrNothing(model):  # type: ignore[misc]
        @model_validator(mode="wrap")
        @classmethod
        def _try(cls, value: Any, validate: Callable[[Any], Any]) -> Any:
            try:
                return validate(value)
            except ValueError:
                return None

    return OrNothing


def checked_file(path: Any, kinds: tuple[str, ...], missing: str = "There is no file yet: choose one first.", limits: Limits = LIMITS) -> Path:
    """The visitor's upload.  Raises UserError where it is missing, too large, or of another kind."""
    if not isinstance(path, str) or not Path(path).is_file():
        raise UserError(missing)
    file = Path(path)
    if file.suffix.lower() not in kinds:
        raise UserError(f"This kind of file cannot be read: give one that ends in {', '.join(kinds)}.")
    if file.stat().st_size > limits.file_bytes:
        raise UserError(f"The file has {file.stat().st_size:,} bytes, and {limits.file_bytes:,} are read at most: give a part of it.")
    return file


def fresh_folder(parent: Path) -> Path:
    """An empty folder for one visitor's file; those of an hour ago are removed."""
    for old in parent.iterdir():
        if old.stat().st_mtime < time.time() - 3_600:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=parent))


def neutralised(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe before `=`, `+`, `-`, `@`, tab or return.

    Also after a semicolon or tab, which are the separator of some. Plain numbers stay as they are.
    (OWASP, "CSV Injection")
    """
    cell = re.sub(r"([;\t]\s*)(?=[=+@-])", r"\1'", cell)
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠") and not re.fullmatch(r"[+-]?\d+(\.\d+)?", cell):  # noqa: RUF001
        return "'" + cell
    return cell


def header(predictor: Predictor) -> None:
    """The title, and the result in one sentence."""
    gr.Markdown(f"# {predictor.task.title}")
    if predictor.folder:
        results = read_json(Run(predictor.folder).results)
        gr.Markdown(f"Run `{results['run']}`. {sentence(results)}")


def share(value: float) -> str:
    """A probability in per cent that never claims certainty."""
    return "over 99.9 %" if value > 0.999 else "under 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def answer_html(prediction: Prediction, baseline: tuple[str, str] | None, milliseconds: float, shown: int = 5) -> str:
    """An answer as HTML: the label or "not sure", the bars of the likeliest labels, the baseline, the time.

    `baseline` is (name, label) of the best simpler method.
    """
    escape = html.escape
    likeliest = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:shown]
    if prediction.sure:
        said = f'<p class="label">{escape(prediction.label)}</p><p>Sure of it: {share(prediction.confidence)}</p>'
    else:
        said = f'<p class="label">Not sure</p><p>Perhaps {escape(prediction.label)}, with {share(prediction.confidence)}: a person should look.</p>'
    bars = "".join(
        f'<span>{escape(label)}</span><div class="track"><i style="width: {100 * value:.1f}%"></i></div><span class="value">{share(value)}</span>'
        for label, value in likeliest
    )
    simpler = f"<p>The best simpler method ({escape(NAMES.get(baseline[0], baseline[0]))}) says: {escape(baseline[1])}</p>" if baseline else ""
    return f'<div class="answer">{said}<div class="bars">{bars}</div><div class="quiet">{simpler}<p>Answered in {milliseconds:.0f} ms.</p></div></div>'


def evidence_tab(predictor: Predictor) -> None:
    """How good is it?  The report, rendered from results.json."""
    if predictor.folder:
        gr.HTML(f'<div class="report">{evidence(Run(predictor.folder))}</div>')
    else:
        gr.Markdown("This model was not measured: it has no run.")


def about_tab(predictor: Predictor) -> None:
    """The model card, without its metadata."""
    if predictor.folder:
        run = Run(predictor.folder)
        card = run.card.read_text(encoding="utf-8")
        for file in run.inputs.glob("*.png"):  # the page is not in the run's folder
            card = card.replace(f"](inputs/{file.name})", f"]({data_uri(file)})")
        text = re.sub(r"\A---\n.*?\n---\n\s*# [^\n]*\n", "", card, flags=re.DOTALL)
        gr.Markdown(text.replace("```python", "```"))  # the highlighter's colours are too pale to read
    else:
        gr.Markdown("This model has no card: it has no run.")


def sure_of(predictor: Predictor) -> str:
    """What "not sure" means here, in one sentence with the numbers of the test set."""
    if not predictor.folder:
        return f"Below a confidence of {share(predictor.threshold)} it says that it is not sure."
    selective = read_json(Run(predictor.folder).results)["selective"]
    if selective["threshold"] >= 1:
        return "It never says that it is sure: no part of its answers on the validation split was clearly more reliable than the rest."
    return (
        f"Below a confidence of {share(selective['threshold'])}, chosen on the validation split, it says that it is not sure. "
        f"On the test set it was sure of {share(selective['coverage'])} of the rows and got {percent(selective['accuracy'])} of those right."
    )


class Corrections:
    """Corrections of visitors, one JSON object a line, in the columns that the run was trained on."""

    def __init__(self, file: Path, limits: Limits = LIMITS):
        self.file, self.limits, self.lock = file, limits, threading.Lock()
        self.pictures = file.with_suffix("")  # a folder beside it

    def check_room(self) -> None:
        """Raise UserError where the file, or the folder of pictures beside it, is full."""
        pictures = sum(file.stat().st_size for file in self.pictures.glob("*"))
        if pictures > self.limits.pictures_bytes or (self.file.exists() and self.file.stat().st_size > self.limits.corrections_bytes):
            raise UserError("The file of corrections is full: the owner has to empty it first.")

    def keep_picture(self, file: Path) -> str:
        """Copy a picture's file as it is; its path from the folder of the corrections, so that both can be moved together.

        The very bytes: only so is it known again if it is one of those that are tested on.
        """
        content = file.read_bytes()
        kept = self.pictures / f"{hashlib.sha256(content).hexdigest()[:16]}{file.suffix.lower()}"
        try:
            self.pictures.mkdir(exist_ok=True)
            kept.write_bytes(content)
        except OSError:
            logger.exception("a picture could not be kept")
            raise UserError("Corrections cannot be kept here: the demo may not write to its folder.") from None
        return kept.relative_to(self.file.parent).as_posix()

    def add(self, row: dict[str, str]) -> None:
        """Append a row.  Raises UserError where the file is full or cannot be written."""
        line = json.dumps(row).encode() + b"\n"
        with self.lock:
            try:
                with self.file.open("ab") as file:
                    size = file.tell()
                    if size + len(line) > self.limits.corrections_bytes:
                        raise UserError("The file of corrections is full: the owner has to empty it first.")
                    try:
                        file.write(line)
                        file.flush()
                    except OSError:
                        file.truncate(size)  # half a line would spoil the next one
                        raise
            except OSError:
                logger.exception("a correction could not be written")
                raise UserError("Corrections cannot be kept here: the demo may not write to its folder.") from None


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
    from common.fit import quiet_libraries

    auth = None
    if arguments.auth:
        name, colon, password = arguments.auth.partition(":")
        if not (name and colon and password):
            raise UserError("--auth needs a name and a password with a colon between them: --auth me:secret.")
        auth = (name, password)
    if arguments.share and not auth:
        raise UserError("--share puts the demo on the public internet for a week: say who may come in with --auth NAME:PASSWORD.")
    if arguments.share:
        print("Warning: everybody with the address and the password can use this computer's time for a week, through a server of Gradio.", file=sys.stderr)
    if arguments.port is not None and not 0 < arguments.port < 65_536:
        raise UserError(f"--port {arguments.port} is none: give one from 1 to 65535.")
    try:
        with socket.socket() as probe:  # Gradio would try a hundred ports at an address that is not this machine's
            probe.bind((arguments.host, 0))
    except OSError as error:
        raise UserError(f"the demo cannot listen at {arguments.host} ({error}): give another --host.") from error
    quiet_libraries()
    blocks = build()
    try:
        launch(blocks, share=arguments.share, auth=auth, server_name=arguments.host, server_port=arguments.port)
    except OSError as error:
        raise UserError(f"the demo cannot listen at {arguments.host} ({error}): give another --port or --host.") from error


def command_line(name: str) -> argparse.ArgumentParser:
    """The options of `python -m apps.NAME`: where it listens, and who may come in."""
    from common.cli import demo_options

    parser = argparse.ArgumentParser(prog=f"python -m apps.{name}", allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    demo_options(parser)
    return parser


def main(build: Callable[[Predictor], gr.Blocks], project: str) -> None:
    """The command line of one project's demo: `python -m apps.PROJECT --run RUN`."""

    def run() -> None:
        parser = command_line(project)
        parser.add_argument("--run", type=Path, help="default: the project's latest")
        arguments = parser.parse_args()
        show(build, arguments.run or latest(project), arguments)

    exit_with_sentence(run)
