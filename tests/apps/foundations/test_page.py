"""The lessons' demo as a whole: its endpoints, and what hostile visitors get from them."""

import asyncio
import math
import re
import socket
from typing import Any

import httpx
import pytest

from apps.foundations.__main__ import build
from apps.foundations.attention import attend, looks, show_attention
from apps.foundations.descent import descend, show_walk
from apps.foundations.gpt import write_on
from apps.foundations.points import fit, show_points
from apps.parts.server import command_line, serve
from common.system.errors import UserError
from tests.apps.foundations.conftest import call


def test_the_endpoints_are_named(url: str) -> None:
    named = httpx.get(f"{url}gradio_api/info").json()["named_endpoints"]
    assert set(named) == {"/descend", "/fit", "/attention", "/continue"}


GOOD: dict[str, tuple[Any, ...]] = {
    "descend": ("bowl", 0.1, -1.0, 20),
    "fit": ([[0, 0, "blue"], [1, 1, "blue"]],),
    "attention": ("A cat.", 1, 1),
    "continue": ("the", 1.0, 0, 1.0, 5, 0),
}


@pytest.mark.parametrize("endpoint", GOOD)
def test_what_is_allowed_is_answered(url: str, endpoint: str) -> None:
    assert call(url, endpoint, *GOOD[endpoint])[0] == "complete"


BAD: list[tuple[str, int, Any, str]] = [
    *[
        ("descend", 0, odd, "There is no such function: choose one of bowl, valleys")
        for odd in ("sin", None, 3, ["bowl"], {}, "<b>bowl</b>")
    ],
    *[
        ("descend", 1, odd, "The learning rate is no number")
        for odd in ("NaN", "Infinity", "0.1", None, True, [0.1], {})
    ],
    *[
        ("descend", 1, odd, "The learning rate has to be a number between 0.0001 and 10")
        for odd in (math.nan, math.inf, -0.1, 0, 1e9, 10**400)
    ],
    *[("descend", 2, odd, "The starting point") for odd in (1e9, -math.inf, "NaN", None, [])],
    *[
        ("descend", 3, odd, "The number of steps has to be a whole number between 1 and 500")
        for odd in (1e9, 0, -1, 2.5, math.nan, math.inf)
    ],
    *[("fit", 0, odd, "as a list of x, y and colour") for odd in (None, 3, "0, 0, blue", {"a": 1})],
    ("fit", 0, [[0, 0, "blue"]] * 10_000, "These are 10,000 points, and 200 are fitted at most"),
    ("fit", 0, [], "There are no points yet"),
    ("fit", 0, [[1, 0, "blue"]], "points at two different x"),
    ("fit", 0, [[1, 0, "blue"], [1, 3, "blue"]], "points at two different x"),
    *[
        ("fit", 0, [[0, 0, "blue"], odd], "Point 2 is none")
        for odd in (None, 3, [], [1, 2], [1, 2, "red"], [1, 2, None], [1, 2, ["blue"]], "12b")
    ],
    *[("fit", 0, [[odd, 0, "blue"]], "The x of point 1") for odd in ("NaN", None, math.nan, 1e9, -5.01, [], True)],
    *[("fit", 0, [[0, odd, "blue"]], "The y of point 1") for odd in ("Infinity", math.inf, 10**400)],
    *[("attention", 0, odd, "Give one text") for odd in (None, 17, ["a"], {"a": 1})],
    ("attention", 0, " \n", "There is no text yet"),
    ("attention", 0, "\u200b", "finds no word"),
    ("attention", 0, "a\0b", "characters that are no text"),
    ("attention", 0, "a" * 301, "The text has 301 characters, and 300 are read at most"),
    ("attention", 0, "a " * 100, "102 tokens, and 40 are shown at most"),
    ("attention", 0, "a" * 3_000_000, "The request is too large"),
    *[
        ("attention", 1, odd, "The layer has to be a whole number between 1 and 6")
        for odd in (-1, 0, 7, 1.5, math.nan, 1e9)
    ],
    *[("attention", 2, odd, "The head has to be a whole number between 1 and 12") for odd in (-1, 0, 13, math.inf)],
    *[("attention", 1, odd, "The layer is no number") for odd in ("1", None, [1], True)],
    *[("continue", 0, odd, "Give one text") for odd in (None, 17, ["a"])],
    ("continue", 0, "", "There is no text yet"),
    ("continue", 0, "a\0b", "characters that are no text"),
    ("continue", 0, "a" * 1_001, "1,000 are read at most"),
    ("continue", 0, "a" * 3_000_000, "The request is too large"),
    *[("continue", 1, odd, "The temperature") for odd in (-1, 1e-300, 3, math.nan, math.inf, "1", None, True)],
    *[("continue", 2, odd, "The top-k") for odd in (-1, 1.5, 1e9, math.nan, "5", None)],
    *[("continue", 3, odd, "The top-p") for odd in (0, -1, 1.5, math.nan, "0.5", None)],
    *[("continue", 4, odd, "The number of tokens") for odd in (0, -1, 201, 1e9, 2.5, math.nan, "10", None)],
    *[("continue", 5, odd, "The seed") for odd in (-1, 2**31, 0.5, "0", None)],
]


def with_bad(endpoint: str, place: int, odd: Any) -> list[Any]:
    """Inputs that are allowed but for one."""
    return [*GOOD[endpoint][:place], odd, *GOOD[endpoint][place + 1 :]]


def test_every_input_is_checked_in_its_function(url: str) -> None:
    import gradio as gr

    async def ask(endpoint: str, data: list[Any]) -> None:
        if endpoint == "continue":
            async for _ in write_on(*data):
                pass
        else:
            await {"descend": descend, "fit": fit, "attention": attend}[endpoint](*data)

    for endpoint, place, odd, sentence in BAD:
        if sentence == "The request is too large":
            sentence = "The text has 3,000,000 characters"
        with pytest.raises(gr.Error) as caught:
            asyncio.run(ask(endpoint, with_bad(endpoint, place, odd)))
        assert sentence in caught.value.message, f"{endpoint} {repr(odd)[:60]}"


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", GOOD)
def test_hostile_input_gets_a_sentence(url: str, endpoint: str) -> None:
    for _, place, odd, sentence in (bad for bad in BAD if bad[0] == endpoint):
        kind, said = call(url, endpoint, *with_bad(endpoint, place, odd))
        shown = repr(odd)[:60]
        assert kind == "error", shown
        assert said["error"] and sentence in said["error"], f"{shown}: {said}"
        assert not re.search(r"Traceback|/work|/tmp|site-packages", str(said))


def test_too_few_and_too_many_inputs_get_no_traceback(url: str) -> None:
    for data in ([], ["bowl"], [*GOOD["descend"], 1, 2, 3]):
        said = call(url, "descend", *data)
        assert not re.search(r"Traceback|/work|site-packages", str(said))


def test_what_looks_like_code_is_only_text(url: str) -> None:
    hostile = "<script>alert(1)</script> $x$ & {{ 7 * 7 }}"
    shown = asyncio.run(show_attention(hostile, 1, 1))
    assert "<script" not in shown and shown.count("<img") == 1
    kind, (text,) = call(url, "continue", hostile, 0, 0, 1, 3, 0)
    assert kind == "complete" and text.startswith(hostile)


def test_no_answer_leaves_the_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"somebody calls {address}")

    looks.cache_clear()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    async def ask() -> None:
        await show_walk("valleys", -1, 0.5, 20)
        await show_points("1, 1, blue\n2, 2, orange")
        await show_attention("Nobody is called.", 2, 2)
        assert [text async for text in write_on("the", 1, 0, 1, 3, 0)]

    asyncio.run(ask())


def test_pictures_leave_nothing_behind() -> None:
    """pyplot keeps every figure until somebody closes it; nothing here asks it."""
    import matplotlib.pyplot as plt

    asyncio.run(show_walk("bowl", 0, -1, 20))
    asyncio.run(show_points("1, 1, blue\n2, 2, orange"))
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(["--share"], "say who may with --auth"), (["--auth", "me:secret"], "takes the name alone")],
)
def test_the_command_line_refuses_in_one_sentence(options: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        serve(build, command_line("foundations").parse_args(options), "the lessons")
