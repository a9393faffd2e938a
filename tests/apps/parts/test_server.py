"""The server without a model: what it refuses to serve, and which requests it refuses before it reads them."""

import json
from collections.abc import Iterator
from typing import NoReturn

import gradio as gr
import httpx
import pytest

from apps.parts.server import BodyLimit, command_line, launch, serve
from common.system.errors import UserError


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A served page with an endpoint that is called "upload", like the route of uploads."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Textbox().submit(len, gr.Textbox(), gr.Number(), api_name="upload")
    launch(blocks, prevent_thread_lock=True, quiet=True)
    yield blocks.local_url
    blocks.close()


@pytest.mark.parametrize("path", ["call/upload", "call/v2/upload", "run/upload", "api/upload"])
def test_a_huge_request_is_refused_whatever_its_path_ends_in(url: str, path: str) -> None:
    huge = json.dumps({"data": ["a" * 20_000_000]}).encode()
    answer = httpx.post(
        f"{url}gradio_api/{path}", content=huge, headers={"content-type": "application/json"}, timeout=30
    )
    assert (answer.status_code, answer.text) == (413, "the request is too large")


def test_an_upload_may_be_larger(url: str) -> None:
    content = b"a" * (4 * BodyLimit.LARGEST)
    answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.txt", content)}, timeout=30)
    assert answer.status_code == 200 and len(answer.json()) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--share"], "say who may come in with --auth"),
        (["--auth", "nobody"], "a name and a password"),
        (["--port", "70000"], "give one from 1 to 65535"),
        (["--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_refused_before_a_model_is_loaded(options: list[str], sentence: str) -> None:
    def build() -> NoReturn:
        raise AssertionError("the model was asked for")

    with pytest.raises(UserError, match=sentence):
        serve(build, command_line("text_classification").parse_args(options))
