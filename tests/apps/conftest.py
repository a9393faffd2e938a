"""A served demo of the finished run, and a browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import gradio as gr

    from common.run import Run


@pytest.fixture(scope="session")
def served(finished_run: "Run") -> Iterator["gr.Blocks"]:
    """The demo, listening at `served.local_url`."""
    from apps.parts.server import launch
    from apps.text_classification import build
    from common.predictor import Predictor

    blocks = build(Predictor.load(finished_run.folder, precision="fp32"), corrections=True)
    launch(blocks, prevent_thread_lock=True, quiet=True)
    yield blocks
    blocks.close()


@pytest.fixture(scope="session")
def served_images(finished_image_run: "Run") -> Iterator["gr.Blocks"]:
    """The demo of pictures, listening at `served_images.local_url`."""
    from apps.image_classification import build
    from apps.parts.server import launch
    from common.predictor import Predictor

    blocks = build(Predictor.load(finished_image_run.folder, precision="fp32"), corrections=True)
    launch(blocks, prevent_thread_lock=True, quiet=True)
    yield blocks
    blocks.close()


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
