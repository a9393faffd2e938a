"""What the tabs share: checked numbers, the thread that computes, sentences and pictures as HTML."""

import asyncio
import base64
import functools
import html
import io
from collections.abc import Callable
from typing import Any, TypeVar

from matplotlib.figure import Figure

from apps.parts.batch_queue import MODEL_THREAD
from common.system.errors import UserError

Answer = dict[str, Any]
Value = TypeVar("Value")

BLUE, ORANGE = "#2563eb", "#d97706"
DOTS = 180  # in each inch of a picture


def checked_number(value: Any, name: str, least: float, largest: float, whole: bool = False) -> Any:
    """The visitor's number; an int where it has to be whole.  Raises UserError where it is none or lies outside."""
    kind = "whole number" if whole else "number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"The {name} is no number: give one between {least:g} and {largest:g}.")
    if not least <= value <= largest or (whole and value != int(value)):  # nan lies nowhere
        raise UserError(f"The {name} has to be a {kind} between {least:g} and {largest:g}.")
    return int(value) if whole else float(value)


async def computed(function: Callable[..., Value], *arguments: Any) -> Value:
    """What a function returns, called where the demos compute: one after the other."""
    return await asyncio.get_running_loop().run_in_executor(MODEL_THREAD, functools.partial(function, *arguments))


def png(figure: Figure) -> bytes:
    """The figure as a file; no state is left behind, so that threads cannot meet."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS)
    return file.getvalue()


def lead(said: str, below: str = "") -> str:
    """A sentence as HTML, no equation of which is torn apart at the end of a line, and what comes below it."""
    return f'<div class="report"><p class="lead">{html.escape(said).replace(" = ", "&nbsp;=&nbsp;")}</p>{below}</div>'


def shown(said: str, picture: bytes, narrowest: float = 0) -> str:
    """A sentence and a picture as HTML; a picture that would get unreadable below `narrowest` rem can be scrolled."""
    source = base64.b64encode(picture).decode()
    style = f"width: 100%; min-width: {narrowest:g}rem"
    image = f'<img class="lesson" alt="{html.escape(said)}" src="data:image/png;base64,{source}" style="{style}">'
    if narrowest:
        image = f'<div class="scroll" tabindex="0" role="group" aria-label="The picture">{image}</div>'
    return lead(said, image)
