"""The page of four tabs, and its server: `python -m apps.foundations`."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from apps.foundations.attention import attention_tab
from apps.foundations.descent import descend, descent_tab
from apps.foundations.gpt import gpt_tab, which_model, write_on
from apps.foundations.points import fit, points_tab
from apps.parts import server
from common.system.errors import exit_with_sentence

TABS: dict[str, Callable[[], Any]] = {"Descent": descent_tab, "Points": points_tab, "Attention": attention_tab}

HEADER = """<header class="report first"><h1>Foundations to touch</h1>
<p class="byline">What the lessons in <code>projects/foundations</code> write by hand, to play with: each answer is
computed by their own code.</p></header>"""


def build() -> gr.Blocks:
    """The page: four tabs, and a named endpoint for each."""
    with gr.Blocks(title="Foundations to touch", analytics_enabled=False) as blocks:
        gr.HTML(HEADER)
        with gr.Tabs():
            for name, fill in TABS.items():
                with gr.Tab(name):
                    fill()
            with gr.Tab("GPT"):
                blocks.load(which_model, None, gpt_tab(), api_visibility="private")
        for function, name in ((descend, "descend"), (fit, "fit"), (write_on, "continue")):
            gr.api(function, api_name=name)  # type: ignore[attr-defined]
    return blocks


if __name__ == "__main__":
    exit_with_sentence(lambda: server.serve(build, server.command_line("foundations").parse_args(), "the lessons"))
