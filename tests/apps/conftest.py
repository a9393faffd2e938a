"""A served demo of the finished run, and a browser."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import gradio as gr

    from apps.parts.demo import Demo
    from common.run import Run


@contextmanager
def serving(build: "Callable[..., gr.Blocks]", run: "Run", **others: Any) -> Iterator["gr.Blocks"]:
    """The demo of a run, listening at its `local_url`."""
    from apps.parts.server import launch
    from common.predictor import Predictor

    blocks = build(Predictor.load(run.folder, precision="fp32"), corrections=True, **others)
    launch(blocks, prevent_thread_lock=True, quiet=True)
    try:
        yield blocks
    finally:
        blocks.close()


def answered_again(demo: "Demo", run: "Run") -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of each row of the test split what `/predict` answers, all asked at once, and its record in predictions.jsonl."""
    records = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if record["set"] == "test"]
    inputs = [demo.as_values(demo.example_input(record)) for record in records]

    async def ask() -> list[dict[str, Any]]:
        return await asyncio.gather(*(demo.predict(*given) for given in inputs))

    return list(zip(asyncio.run(ask()), records, strict=True))


@pytest.fixture(scope="session")
def served(finished_run: "Run") -> Iterator["gr.Blocks"]:
    """The demo, listening at `served.local_url`."""
    from apps.text_classification import build

    with serving(build, finished_run) as blocks:
        yield blocks


@pytest.fixture(scope="session")
def served_images(finished_image_run: "Run") -> Iterator["gr.Blocks"]:
    """The demo of pictures, listening at `served_images.local_url`."""
    from apps.image_classification import build

    with serving(build, finished_image_run) as blocks:
        yield blocks


@contextmanager
def fresh_corrections(run: "Run") -> Iterator[Path]:
    """The file that the demo of `run` keeps corrections in.

    Afterwards the run, which other tests share, is as it was.
    """
    file = run.folder / "corrections.jsonl"
    assert not file.exists()
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        file.with_name(f".{file.name}.lock").unlink(missing_ok=True)
        shutil.rmtree(file.with_suffix(""), ignore_errors=True)


def rounding(run: "Run") -> float:
    """How far probabilities may be from those that were measured: hardware with bf16 measures in bf16."""
    from common.system.files import read_json

    return 1e-5 if read_json(run.results)["inference"]["precision"] == "fp32" else 0.05


def missing(what: str) -> None:
    """Skip with a reason; in CI, where everything is installed, that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI must run these tests")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    executable = os.environ.get("KIT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not executable:
        missing("chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which looks for faults that keep people out."""
    file = Path(os.environ.get("KIT_AXE", Path.home() / ".cache/finetuning-kit/axe/node_modules/axe-core/axe.min.js"))
    if not file.exists():
        missing("axe-core (`npm install --prefix ~/.cache/finetuning-kit/axe axe-core`)")
    return file.read_text(encoding="utf-8")


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that counts as the one of uploads, for handlers that are called without a server."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path
