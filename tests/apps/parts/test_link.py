"""What a shared link to a demo shows: our title, result and picture, and nothing of Gradio's."""

import html
import re
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest

from apps.parts.link import Link
from apps.parts.server import launch
from tests.apps.pictures import png

TITLE, RESULT = 'Is it <b>"good"</b>?', "It gets 86.0 % of 400 test rows right & beats the best baseline."


def shared(link: Link | None) -> gr.Blocks:
    with gr.Blocks(title="A demo", analytics_enabled=False) as blocks:
        gr.Textbox()
    if link:
        blocks.link = link  # type: ignore[attr-defined]
    launch(blocks, prevent_thread_lock=True, quiet=True)
    return blocks


def tags(page: str) -> dict[str, list[str]]:
    """{property or name: its contents} of a page's meta tags."""
    found: dict[str, list[str]] = {}
    for name, content in re.findall(r'<meta\s+(?:property|name)="([^"]*)"\s+content="([^"]*)"', page):
        found.setdefault(name, []).append(html.unescape(content))
    return found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    blocks = shared(Link(TITLE, RESULT, png()))
    yield str(blocks.local_url)
    blocks.close()


def test_a_shared_link_has_one_title_one_description_and_one_picture(url: str) -> None:
    page = httpx.get(url).text
    found = tags(page)
    assert (found["og:title"], found["og:description"]) == ([TITLE], [RESULT])
    assert found["og:image"] == [f"{url}picture.png"]
    assert html.unescape(re.findall("<title>(.*?)</title>", page)[0]) == TITLE
    head = page.partition("window.gradio_config")[0]
    assert "gradio" not in head.lower() and "<b>" not in head


def test_picture_and_icon_are_there(url: str) -> None:
    picture, icon = httpx.get(f"{url}picture.png"), httpx.get(f"{url}favicon.ico")
    assert (picture.content, picture.headers["content-type"]) == (png(), "image/png")
    assert icon.text.startswith("<svg") and icon.headers["content-type"].startswith("image/svg+xml")


def test_the_address_of_the_picture_is_the_public_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", "https://demo.example")
    blocks = shared(Link(TITLE, RESULT, png()))
    try:
        page = httpx.get(str(blocks.local_url), headers={"host": "demo.example"}).text
    finally:
        blocks.close()
    assert tags(page)["og:image"] == ["https://demo.example/picture.png"]


def test_a_page_without_a_result_names_itself_and_no_picture() -> None:
    blocks = shared(None)
    try:
        found, picture = tags(httpx.get(str(blocks.local_url)).text), httpx.get(f"{blocks.local_url}picture.png")
    finally:
        blocks.close()
    assert found["og:title"] == ["A demo"] and "og:image" not in found
    assert (picture.status_code, picture.json()) == (404, {"detail": "There is no picture of this result."})
