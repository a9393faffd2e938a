"""The served demo of the lessons, with a tiny GPT, and requests to it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    import gradio as gr


def tiny_gpt(folder: Path) -> None:
    """A model that has learned nothing, saved as lesson 8 does it."""
    from projects.foundations.lesson08_gpt import lesson
    from projects.foundations.lesson08_gpt.model import Shape, random_gpt
    from projects.foundations.lesson08_gpt.tokenizer import Tokenizer, learn_merges

    tokenizer = Tokenizer(learn_merges(["compute the mean of the rows, compute the sum of the columns"], 20))
    lesson.save(random_gpt(Shape(len(tokenizer.tokens), 24, 16, 1, 2), seed=1).eval(), tokenizer, folder)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator["gr.Blocks"]:
    """The demo, listening at `local_url`, with a tiny GPT in that folder."""
    from apps.foundations.__main__ import build
    from apps.parts.server import launch
    from projects.foundations import lessons

    tiny_gpt(folder / "gpt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lessons, "PICTURES", folder)
        blocks = build()
        launch(blocks, prevent_thread_lock=True, quiet=True)
        yield blocks
        blocks.close()


@pytest.fixture(scope="package")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("lessons")) as blocks:
        yield blocks.local_url


def call(url: str, endpoint: str, *data: Any) -> tuple[str, Any]:
    """(`complete` or `error`, what came back) of one request over plain HTTP."""
    started = httpx.post(
        f"{url}gradio_api/call/{endpoint}",
        content=json.dumps({"data": data}),
        headers={"content-type": "application/json"},
        timeout=30,
    )
    if started.status_code != 200:
        return "error", {"error": started.text}
    lines = httpx.get(f"{url}gradio_api/call/{endpoint}/{started.json()['event_id']}", timeout=60).text.splitlines()
    place = max(number for number, line in enumerate(lines) if line.startswith("event:"))
    return lines[place].removeprefix("event: "), json.loads(lines[place + 1].removeprefix("data: "))
