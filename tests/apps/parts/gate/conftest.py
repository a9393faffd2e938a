"""The toy page, served for all files of tests in this folder."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from apps.parts import gate
from apps.parts.server import launch
from tests.apps.parts.gate.page import page
from tests.apps.pictures import png


@pytest.fixture(scope="package")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gr.Blocks]:
    """The page.  No test in this folder asks for a demo: it would take the folder of uploads that is set here."""
    folder = tmp_path_factory.mktemp("visitors")
    (folder / "example.png").write_bytes(png())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        blocks = page(folder / "example.png")
        launch(blocks, prevent_thread_lock=True, quiet=True)
        yield blocks
        blocks.close()


@pytest.fixture(scope="package")
def url(blocks: gr.Blocks) -> str:
    return str(blocks.local_url)


@pytest.fixture
def folder(blocks: gr.Blocks) -> Path:
    """The folder of uploads."""
    return Path(blocks.app.uploaded_file_dir)


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks too much is told so at once."""
    monkeypatch.setattr(gate, "TOO_MUCH_SECONDS", 0.0)


@pytest.fixture(scope="package")
def private() -> Iterator[gr.Blocks]:
    """The page behind a login."""
    blocks = page()
    launch(blocks, prevent_thread_lock=True, quiet=True, auth=("me", "a long password"))
    yield blocks
    blocks.close()
