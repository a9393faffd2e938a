"""A toy page behind the gate, and requests to it."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

from apps.parts import gate
from apps.parts.guard import guarded
from apps.parts.server import Demo
from common.system.errors import UserError

JSON = {"content-type": "application/json"}


@guarded(20)
async def slow(text: str) -> str:
    """Answers when it is asked to, by a file that appears."""
    while not Path(text).exists():
        await asyncio.sleep(0.02)
    return "done"


@guarded(20)
async def refuse(text: str) -> str:
    raise UserError(f"There is no column {text}.")


@guarded(20)
async def measure(text: str) -> int:
    return len(text)


def page(example: Path | None = None) -> gr.Blocks:
    """A page with a text and files."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        text, file, number, said = gr.Textbox(label="A text"), gr.File(label="A file"), gr.Number(), gr.Textbox()
        gr.Button("Refuse").click(refuse, text, said, api_name="refuse")
        text.submit(measure, text, number, api_name="measure")
        text.change(slow, text, said, api_name="slow", show_progress="hidden")
        file.upload(lambda file: Path(file).name, file, said, api_name="name")
        gr.Button("Alone").click(None, js="() => 1")
        gr.Dropdown(["a"]).change(measure, gr.Dropdown(["a", "b"]), number, api_name="choose")
        if example:
            gr.Examples([[str(example)]], [gr.Image(type="filepath")])
    return blocks


def let(blocks: gr.Blocks) -> gate.Gate:
    assert isinstance(blocks.app, Demo) and blocks.app.gate
    return blocks.app.gate


def post(url: str, route: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{url}gradio_api/{route}", content=json.dumps(body), headers=JSON, timeout=30)


def upload(url: str, name: str = "a.txt", content: bytes = b"abc") -> str:
    (path,) = httpx.post(f"{url}gradio_api/upload", files={"files": (name, content)}, timeout=30).json()
    return str(path)


def wait_for(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def routes_of(routes: Any) -> Iterator[tuple[str, set[str]]]:
    """(path, methods) of an application's routes, with those of routers in it."""
    for route in routes:
        if inner := getattr(route, "original_router", None):
            yield from routes_of(inner.routes)
        else:
            yield route.path, set(route.methods)


def closed_anyway(url: str, routes: Any) -> list[str]:
    """Which of the routes answer with something else than the gate's 404."""
    answering = []
    for path, methods in routes:
        filled = re.sub(r"\{(\w+)(:path)?\}", "client" if "environment" in path else "a", path)
        for method in methods:
            answer = httpx.request(method, f"{url.rstrip('/')}{filled}", timeout=20)
            if answer.status_code != 404 or (
                method != "HEAD" and answer.json() != {"detail": "There is nothing here."}
            ):
                answering.append(f"{method} {path}: {answer.status_code}")
    return answering
