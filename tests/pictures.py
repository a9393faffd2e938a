"""The pictures of the repository's README, from a real run and real pages, in one command:

    python -m tests.pictures runs/text_classification/starter --log make-run.log

`--log` names what `make run` printed when it made that run; without it the log of the last time is drawn again. Beside
the pictures stands shown.json: what the pages were when they were taken, and which numbers they show. A test holds it
against the pages and the numbers of today (tests/test_pictures.py).
"""

import argparse
import ast
import base64
import contextlib
import hashlib
import html
import io
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image

from common.reporting import terminal
from common.reporting.card import render_card
from common.reporting.picture import describe, draw
from common.reporting.report import render_report
from common.run import Run, published
from common.system.errors import UserError, exit_with_sentence
from common.system.files import read_json, whole_folder, write_json
from tests.common.reporting import synthetic
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / ".github" / "pictures"
SHOWN, LOG = "shown.json", "make-run.log"
# What the demo's page is made of, beside the evidence that the report has, too.
PARTS = ("answers", "classifier", "demo", "evidence", "look", "texts")
DEMO = [REPOSITORY / "apps" / f"{name}.py" for name in ("text_classification", *(f"parts/{part}" for part in PARTS))]
LARGEST = 2_000_000  # bytes of a picture
# Seconds of the recording: of a step, of the table at the end, of a page.
STEP, RESULT, PAGE = 0.9, 5.0, 4.0


# What is shown


def pages() -> dict[str, str]:
    """{page: sum of what it shows} of an invented run: another word, mark or colour changes it, a comment does not."""
    with tempfile.TemporaryDirectory() as folder:
        run = synthetic.write_run(Path(folder) / "tiny", synthetic.classifier())
        drawn = {"report": without_comments(render_report(run)), "card": render_card(run), "terminal": _printed(run)}
    styles = [file.read_text(encoding="utf-8") for file in sorted((REPOSITORY / "apps").rglob("*.css"))]
    drawn["demo"] = without_comments("".join([*map(page_parts, DEMO), *styles]))
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in drawn.items()}


def without_comments(page: str) -> str:
    """A page without the comments of HTML, CSS and JavaScript, and without the sums of its scripts."""
    page = re.sub(r"<!--.*?-->|/\*.*?\*/|'sha256-[^']*'", "", page, flags=re.DOTALL)
    page = re.sub(r"^\s*//.*$", "", page, flags=re.MULTILINE)
    return re.sub(r"\s+", " ", page).strip()


def page_parts(file: Path) -> str:
    """The texts, numbers and components in a module that draws a page, in their order: no names, no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings are expressions
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in silent:
            found.append(repr(node.value))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gr":
            found.append(node.attr)
    return "\n".join(found)


def _printed(run: Run) -> str:
    """What the terminal shows at the end of a run."""
    written, size = io.StringIO(), {"_width": 80, "_height": 25}
    with patch.multiple(terminal.console, **size), contextlib.redirect_stdout(written):
        terminal.print_results(run)
    return written.getvalue().replace(str(run.folder), "")


# What the pictures are made of


def uri(picture: Image.Image) -> str:
    """A picture as an address that needs no request."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


PAPER = """<!doctype html><meta charset="utf-8"><style>
:root { color-scheme: light dark; --ground: light-dark(#ffffff, #0d1117); --ink: light-dark(#1f2328, #e6edf3);
  --line: light-dark(#d1d9e0, #3d444d); --bar: light-dark(#f6f8fa, #161b22); --muted: light-dark(#59636e, #9198a1);
  --good: light-dark(#1a7f37, #3fb950); --bad: light-dark(#bc4c00, #f0883e); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  overflow: hidden; }
.window { border: 1px solid var(--line); border-radius: 12px; overflow: hidden; background: var(--ground);
  display: flex; flex-direction: column; }
.title { background: var(--bar); border-bottom: 1px solid var(--line); padding: 9px 16px; font-size: 15px;
  color: var(--muted); }
.window img { width: 100%; display: block; }
.wide { display: grid; grid-template-columns: 1fr 1fr; gap: 24px; height: 100vh; }
.whole { height: 100vh; }
pre { flex: 1; min-height: 0; overflow: hidden; margin: 0; padding: 18px 24px; white-space: pre-wrap;
  font: 17px/1.5 "DejaVu Sans Mono", ui-monospace, monospace; }
pre b { font-weight: 700; } pre .better { color: var(--good); } pre .worse { color: var(--bad); }
pre .said { color: var(--muted); }
article { max-width: 60rem; margin: 0 auto; padding: 24px 32px; }
article h1, article h2 { border-bottom: 1px solid var(--line); padding-bottom: .3em; }
article img { max-width: 100%; } article a { color: light-dark(#0969da, #4493f8); }
article table { border-collapse: collapse; }
article td, article th { border: 1px solid var(--line); padding: 6px 13px; }
</style>"""


def window(title: str, content: str, look: str = "") -> str:
    return f'<div class="window {look}"><div class="title">{html.escape(title)}</div>{content}</div>'


def shot(picture: Image.Image) -> str:
    return f'<img alt="" src="{uri(picture)}">'


def card_page(run: Run) -> str:
    """The model card as a page, with its pictures in it."""
    from markdown_it import MarkdownIt

    text = render_card(run).split("\n---\n", 1)[1]
    drawn = base64.b64encode(draw(published(run)[0])).decode()
    body = MarkdownIt("commonmark").enable("table").render(text)
    return f"{PAPER}<article>{body.replace(run.picture.name, f'data:image/png;base64,{drawn}', 1)}</article>"


def frames(log: str) -> Iterator[tuple[str, float]]:
    """The terminal while `make run` works, as HTML, and for how many seconds it looks so."""
    lines = ["<b>$ make run</b>"]
    yield "\n".join(lines), STEP
    for line in log.splitlines():
        if re.match(r"\[\d/\d\]", line) and len(lines) > 1:
            yield "\n".join(lines), STEP
        lines.append(_colored(line))
    yield "\n".join(lines), RESULT


def _colored(line: str) -> str:
    """A line of the log; what is better or worse than a baseline in the colours of the report."""
    line = html.escape(line)
    if re.match(r"\[\d/\d\]", line):
        return f"<b>{line}</b>"
    line = re.sub(r"(\+\d\S* \(\+\S*\))$", r'<span class="better">\1</span>', line)
    return re.sub(r"(-\d\S* \(-\S*\.\.-\S*\))$", r'<span class="worse">\1</span>', line)


def badge(left: str, right: str) -> str:
    """A small SVG sign, as READMEs begin with."""
    widths = [8 * len(text) + 14 for text in (left, right)]
    middles = [widths[0] / 2, widths[0] + widths[1] / 2]
    texts = "".join(
        f'<text x="{x}" y="14" textLength="{8 * len(text) - 6}">{html.escape(text)}</text>'
        for x, text in zip(middles, (left, right), strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sum(widths)}" height="20" role="img" '
        f'aria-label="{html.escape(left)}: {html.escape(right)}"><rect width="{sum(widths)}" height="20" rx="4" '
        f'fill="#2563eb"/><path d="M4 0h{widths[0] - 4}v20H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z" fill="#4b5563"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f"{texts}</g></svg>\n"
    )


def badges() -> dict[str, tuple[str, str]]:
    """What pyproject.toml says, by the names of the signs."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "python": ("python", project["requires-python"].replace(">=", "≥ ")),
        "licence": ("licence", project["license"]),
    }


# Taking them


class Studio:
    """A browser that takes pictures in one theme and keeps them in a folder."""

    def __init__(self, browser: Any, theme: str, target: Path):
        self.browser, self.theme, self.target = browser, theme, target

    @contextlib.contextmanager
    def page(self, address: str, width: int, height: int) -> Iterator[Any]:
        page = self.browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme=self.theme,
            device_scale_factor=2,
            reduced_motion="reduce",
        )
        page.goto(address)
        yield page
        page.close()

    def drawn(self, body: str, width: int, height: int) -> Image.Image:
        """A picture of a piece of HTML on PAPER."""
        with self.page("about:blank", width, height) as page:
            page.set_content(PAPER + body)
            return seen(page)

    def keep(self, name: str, picture: Image.Image, width: int) -> None:
        """Save a picture, so many pixels wide."""
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
        picture.save(self.target / f"{name}-{self.theme}.webp", quality=84, method=6)

    def report(self, file: Path) -> Image.Image:
        """The report's first screen; its rows and its curve are kept."""
        with self.page(file.as_uri(), 880, 980) as page:
            page.wait_for_timeout(500)
            first = seen(page)
            for name, selector, above in (("errors", ".browser form", 16), ("unsure", ".coverage", 150)):
                self.keep(name, part(page, page.locator(selector).first, above), 900)
        return first

    def demo(self, address: str) -> Image.Image:
        """The demo with an answer that it is not sure of; a known failure and its reasons are kept."""
        with self.page(f"{address}?__theme={self.theme}", 880, 980) as page:
            asked(page, "Hardly sure")
            page.evaluate("scrollTo(0, 0)")
            unsure = seen(page)
            asked(page, "Known failure")
            page.get_by_role("button", name="Why this answer?").click()
            page.locator(".why mark").first.wait_for(timeout=60_000)
            page.wait_for_timeout(800)
            self.keep("failure", part(page, page.locator(".truth").first, 12), 900)
        return unsure

    def recording(self, log: str, shots: dict[str, Image.Image]) -> None:
        """The terminal, then the pages, as a GIF; its last frame of the terminal is kept alone, too."""
        taken = []
        for said, seconds in frames(log):
            scrolled = '<script>document.querySelector("pre").scrollTop = 1e6</script>'
            taken.append((self.drawn(window("terminal", f"<pre>{said}</pre>{scrolled}", "whole"), 1200, 750), seconds))
        self.keep("recording-still", taken[-1][0], 1200)
        for title, picture in shots.items():
            ground = f"rgb{picture.getpixel((2, 2))}"
            centred = f'<div style="padding: 0 110px; background: {ground}">{shot(picture)}</div>'
            whole = window(title, centred, "whole")
            taken.append((self.drawn(whole, 1200, 750), PAGE))
        images = [one.resize((1200, 750), Image.Resampling.LANCZOS) for one, _ in taken]
        drawn = [one.quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE) for one in images]
        lengths = [round(1000 * seconds) for _, seconds in taken]
        file = self.target / f"recording-{self.theme}.gif"
        drawn[0].save(file, save_all=True, append_images=drawn[1:], duration=lengths, loop=0, optimize=True)


def seen(page: Any, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot(**options))).convert("RGB")


def part(page: Any, place: Any, above: int) -> Image.Image:
    """The part of the page that begins so many pixels above an element."""
    page.set_viewport_size({"width": 880, "height": 640})
    top = page.evaluate("element => element.getBoundingClientRect().top + scrollY", place.element_handle())
    page.evaluate("top => scrollTo(0, top)", max(0, top - above))
    page.wait_for_timeout(400)
    return seen(page)


def asked(page: Any, kind: str) -> None:
    """Click the demo's first example of a kind, and wait for its answer."""
    button = page.locator(".examples button", has_text=kind).first
    button.wait_for(timeout=60_000)
    button.click()
    page.locator(".truth").first.wait_for(timeout=60_000)
    page.wait_for_timeout(1_500)


def take(run: Run, log: str, target: Path, browser: Any, demo: str) -> None:
    """All pictures of a run; `demo` is the address of its demo."""
    (target / LOG).write_text(log, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        report, card = Path(folder) / "report.html", Path(folder) / "card.html"
        report.write_text(render_report(run), encoding="utf-8")
        card.write_text(card_page(run), encoding="utf-8")
        for theme in ("light", "dark"):
            studio = Studio(browser, theme, target)
            shots = {"report.html": studio.report(report), "the demo: make demo": studio.demo(demo)}
            both = "".join(window(title, shot(picture)) for title, picture in shots.items())
            studio.keep("wide", studio.drawn(f'<div class="wide">{both}</div>', 1600, 920), 1600)
            with studio.page(card.as_uri(), 880, 640) as page:
                studio.keep("card", seen(page), 900)
            studio.recording(log, shots)
    for name, (left, right) in badges().items():
        (target / f"{name}.svg").write_text(badge(left, right), encoding="utf-8")
    write_json(target / SHOWN, {"pages": pages(), "numbers": describe(published(run)[0])})
    for file in target.iterdir():
        if file.stat().st_size > LARGEST:
            raise UserError(
                f"{file.name} has {file.stat().st_size:,} bytes: at most {LARGEST:,} are shown in a README."
            )


def read_log(file: Path) -> str:
    """What `make run` printed, without colours.

    Raises UserError where it is missing, or names a folder of this machine.
    """
    if not file.exists():
        raise UserError(f"there is no log {file}: keep what `make run` prints (`make run | tee make-run.log`).")
    log = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\|[^\n]*\r(?!\n)", "", file.read_text(encoding="utf-8"))
    if found := re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/\S*", log):
        raise UserError(
            f"{file} names {found[0]}, a folder of this machine: run `make run` in the repository's folder."
        )
    return log


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the pictures of README.md from a finished run.")
    parser.add_argument("run", type=Path, help="folder of a run of text_classification")
    parser.add_argument(
        "--log", type=Path, default=FOLDER / LOG, help="what `make run` printed (default: the last one)"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go (default: %(default)s)")
    arguments = parser.parse_args()

    from playwright.sync_api import sync_playwright

    from apps.parts.server import launch
    from apps.text_classification import build
    from common.predictor import Predictor

    run, log = Run(arguments.run.resolve()), read_log(arguments.log)
    if not run.results.exists() or read_json(run.results)["project"] != "text_classification":
        raise UserError(f"{arguments.run} is no finished run of text_classification: `make run` makes one.")
    blocks = build(Predictor.load(run.folder))
    launch(blocks, prevent_thread_lock=True, quiet=True)
    chromium = os.environ.get("KIT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, whole_folder(arguments.folder) as draft:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        take(run, log, draft, browser, str(blocks.local_url))
        browser.close()
    blocks.close()
    print(f"{len(list(arguments.folder.iterdir()))} files in {arguments.folder}")


if __name__ == "__main__":
    exit_with_sentence(main)
