"""What every demo shares, without a model: which requests its server refuses before it reads them."""

import json
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest

from apps.page import BodyLimit, launch


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
    answer = httpx.post(f"{url}gradio_api/{path}", content=huge, headers={"content-type": "application/json"}, timeout=30)
    assert (answer.status_code, answer.text) == (413, "the request is too large")


def test_an_upload_may_be_larger(url: str) -> None:
    content = b"a" * (4 * BodyLimit.LARGEST)
    answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.txt", content)}, timeout=30)
    assert answer.status_code == 200 and len(answer.json()) == 1
