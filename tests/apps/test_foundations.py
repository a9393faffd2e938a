"""The lessons' demo: it answers what the lessons compute, and hostile visitors get a sentence."""

import asyncio
import contextlib
import itertools
import json
import math
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from apps import foundations
from apps.foundations import EDGE, FRAME, clicked, descend, fit, walk
from common.errors import UserError
from projects.foundations import lessons
from projects.foundations.lesson01_gradient_descent import lesson as descent
from projects.foundations.lesson02_linear_regression import lesson as linear
from projects.foundations.lesson03_logistic_regression import lesson as logistic
from projects.foundations.lesson06_attention import lesson as attention
from projects.foundations.lesson08_gpt import lesson as gpt

if TYPE_CHECKING:
    import gradio as gr


def tiny_gpt(folder: Path) -> None:
    """A model that has learned nothing, saved as lesson 8 does it."""
    from projects.foundations.lesson08_gpt.model import Shape, random_gpt
    from projects.foundations.lesson08_gpt.tokenizer import Tokenizer, learn_merges

    tokenizer = Tokenizer(learn_merges(["compute the mean of the rows, compute the sum of the columns"], 20))
    gpt.save(random_gpt(Shape(len(tokenizer.tokens), 24, 16, 1, 2), seed=1).eval(), tokenizer, folder)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator["gr.Blocks"]:
    """The demo, listening at `local_url`, with a tiny GPT in that folder."""
    from apps.page import launch

    tiny_gpt(folder / "gpt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lessons, "PICTURES", folder)
        blocks = foundations.build()
        launch(blocks, prevent_thread_lock=True, quiet=True)
        yield blocks
        blocks.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("lessons")) as blocks:
        yield blocks.local_url


def call(url: str, endpoint: str, *data: Any) -> tuple[str, Any]:
    """(`complete` or `error`, what came back) of one request over plain HTTP."""
    started = httpx.post(f"{url}gradio_api/call/{endpoint}", content=json.dumps({"data": data}), headers={"content-type": "application/json"}, timeout=30)
    if started.status_code != 200:
        return "error", {"error": started.text}
    lines = httpx.get(f"{url}gradio_api/call/{endpoint}/{started.json()['event_id']}", timeout=60).text.splitlines()
    place = max(number for number, line in enumerate(lines) if line.startswith("event:"))
    return lines[place].removeprefix("event: "), json.loads(lines[place + 1].removeprefix("data: "))


def test_the_endpoints_are_named(url: str) -> None:
    named = httpx.get(f"{url}gradio_api/info").json()["named_endpoints"]
    assert set(named) == {"/descend", "/fit", "/attention", "/continue"}


@pytest.mark.parametrize(("function", "rate", "start"), [("bowl", 0.1, -1.0), ("bowl", 1.05, 4.0), ("valleys", 0.02, 0.5), ("valleys", 0.3, 2.5)])
def test_a_walk_is_lesson_1s(function: str, rate: float, start: float) -> None:
    derivative = {"bowl": descent.bowl_derivative, "valleys": descent.valleys_derivative}[function]
    value = {"bowl": descent.bowl, "valleys": descent.valleys}[function]
    answer = asyncio.run(descend(function, rate, start, 30))
    assert answer["path"] == descent.descend(derivative, start, rate, 30)
    assert answer["values"] == list(map(value, answer["path"]))


@pytest.mark.parametrize("rate", descent.STEP_SIZES)
def test_what_is_said_of_the_bowl_is_what_lesson_1_says(rate: float) -> None:
    assert walk("bowl", rate, -1.0, 20)["said"].startswith(f"With a learning rate of {rate:.3g} it {descent.behaviour(rate)}. 20 steps from -1 lead to")


def test_what_is_said_of_the_valleys_is_so() -> None:
    assert "it converges. 300 steps from -2 lead to x = -1.301, where f(x) = -3.514: it is there." in walk("valleys", 0.02, -2.0, 300)["said"]
    assert "it crawls. 5 steps from 2" in (crawling := walk("valleys", 0.001, 2.0, 5)["said"]) and "it is not there yet" in crawling
    assert "it diverges: step " in walk("valleys", 0.3, 2.5, 30)["said"]
    never = walk("valleys", 0.25, 1.0, 500)
    assert "it never settles" in never["said"]
    assert max(map(abs, never["path"])) < 3 and min(abs(descent.valleys_derivative(x)) for x in never["path"][-20:]) > 0.1


def test_one_colour_gets_lesson_2s_line() -> None:
    x, y = [-1.0, 0.5, 2.0, 3.25], [1.0, 0.0, -2.5, -2.0]
    answer = asyncio.run(fit([[a, b, "orange"] for a, b in zip(x, y, strict=True)]))
    assert (answer["slope"], answer["intercept"]) == linear.fit_line(x, y)
    residuals = np.array(y) - np.polyval(np.polyfit(x, y, 1), x)
    assert answer["mean_squared_error"] == pytest.approx(np.mean(residuals**2))
    assert f"y = {answer['slope']:.2f} · x + {answer['intercept']:.2f}" in answer["said"]


def test_two_colours_get_lesson_3s_boundary() -> None:
    random = np.random.default_rng(0)
    features, labels = np.round(np.clip(random.normal(size=(40, 2)) * 2, -5, 5), 2), np.arange(40) % 2
    features[labels == 1] = np.round(np.clip(features[labels == 1] + 1, -5, 5), 2)
    points = [[x, y, "orange" if label else "blue"] for (x, y), label in zip(features.tolist(), labels, strict=True)]
    answer = asyncio.run(fit(points))
    parameters, steps = logistic.fit(features, labels.astype(float), 1.0, 20_000, 1e-6)
    assert answer["parameters"] == parameters.tolist() and answer["steps"] == steps
    assert np.linalg.norm(logistic.gradient(parameters, features, labels, 1.0)) < 1e-6 and steps < 20_000
    above = features[:, 1] > logistic.boundary(parameters, features[:, 0])
    assert answer["accuracy"] == ((above == (parameters[2] > 0)) == labels).mean()
    assert f"{100 * answer['accuracy']:.0f} % of the 40 points" in answer["said"]


def test_two_colours_that_a_line_separates_are_done_in_time() -> None:
    points = [[5, 5, "orange"]] * 199 + [[5, 4.99, "blue"]]
    answer = asyncio.run(fit(points))
    assert answer["steps"] == 20_000 and "the most allowed" in answer["said"]


def test_a_click_is_a_point() -> None:
    left, bottom, width, height = FRAME
    across, down = 900, 810  # dots of the picture
    for x, y in ((0.0, 0.0), (-EDGE, EDGE), (2.5, -3.75)):
        place = [(left + width * (x + EDGE) / (2 * EDGE)) * across, (1 - bottom - height * (y + EDGE) / (2 * EDGE)) * down]
        found = clicked(place)
        assert found == (pytest.approx(x, abs=0.01), pytest.approx(y, abs=0.01))
    for odd in (None, [1], [0, 0], ["a", "b"], [math.nan, 3], [1e9, 3], {"x": 1}):
        with pytest.raises(UserError):
            clicked(odd)


def test_the_table_says_what_it_means(url: str) -> None:
    points = foundations.read_points("1, 2, blue\n\n-1.5;0;orange\n2\t3\tblue\n 0 1 blue ")
    assert points == [[1.0, 2.0, "blue"], [-1.5, 0.0, "orange"], [2.0, 3.0, "blue"], [0.0, 1.0, "blue"]]
    assert foundations.read_points(foundations.table_of(foundations.checked_points(points))) == points
    for text, sentence in (("1, 2, blue\nx", "Line 2 is no point"), ("1", "Line 1 is no point"), ("1, 1, blue\n" * 201, "201 points"), (None, "as text")):
        with pytest.raises(UserError, match=sentence):
            foundations.read_points(text)
    table, _, said = foundations.points_shown([])
    assert table == "" and "no points yet" in said


@pytest.mark.parametrize(("layer", "head"), [(1, 3), (6, 12)])
def test_attention_is_lesson_6s(url: str, layer: int, head: int) -> None:
    kind, (answer,) = call(url, "attention", attention.SENTENCE, layer, head)
    tokens, weights = attention.sentence_weights()
    assert kind == "complete" and answer["tokens"] == tokens
    assert np.allclose(answer["weights"], weights[layer - 1, head - 1])
    words = weights[layer - 1, head - 1, 1:-1, 1:-1]
    row, column = np.unravel_index(words.argmax(), words.shape)
    at = "itself" if row == column else f"“{tokens[column + 1]}” (token {column + 2})"
    assert f"Hardest looks “{tokens[row + 1]}” (token {row + 2}) at {at}: {words.max():.2f} of its weight" in answer["said"]


def test_the_gpt_goes_on_as_lesson_8_does(url: str) -> None:
    model, tokenizer = gpt.load(lessons.PICTURES / "gpt")
    for sampling in (gpt.Sampling(0), gpt.Sampling(0.7, 10, 0.9), gpt.Sampling(2)):
        expected = "the rows" + "".join(gpt.stream(model, tokenizer, "the rows", 60, sampling, 3))
        kind, (text,) = call(url, "continue", "the rows", sampling.temperature, sampling.top_k, sampling.top_p, 60, 3)
        assert (kind, text) == ("complete", expected)


def test_the_gpt_writes_piece_by_piece(url: str) -> None:
    async def written() -> list[str]:
        return [text async for text in foundations.write_on("the", 1, 0, 1, 40, 0)]

    texts = asyncio.run(written())
    assert len(texts) > 20 and all(longer.startswith(text) and longer != text for text, longer in itertools.pairwise(texts))


def test_without_a_gpt_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(lessons, "PICTURES", tmp_path)
    kind, said = call(url, "continue", "Compute the", 1, 0, 1, 10, 0)
    assert kind == "error" and "There is no trained GPT yet: `kit learn 08` trains one" in said["error"]
    assert "`kit learn 08`" in asyncio.run(foundations.which_model())
    tiny_gpt(tmp_path / "gpt")
    assert call(url, "continue", "Compute the", 1, 0, 1, 10, 0)[0] == "complete"
    assert "in 1 layers" in asyncio.run(foundations.which_model())


def test_without_the_encoder_the_other_tabs_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(sentence: str) -> None:
        raise UserError("nothing can be fetched")

    monkeypatch.setattr(foundations, "looks", missing)
    blocks = foundations.build()
    assert "`kit starters` fetches it" in json.dumps(blocks.get_config_file())
    assert set(blocks.get_api_info()["named_endpoints"]) == {"/descend", "/fit", "/continue"}


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
    *[("descend", 0, odd, "There is no such function: choose one of bowl, valleys") for odd in ("sin", None, 3, ["bowl"], {}, "<b>bowl</b>")],
    *[("descend", 1, odd, "The learning rate is no number") for odd in ("NaN", "Infinity", "0.1", None, True, [0.1], {})],
    *[("descend", 1, odd, "The learning rate has to be a number between 0.0001 and 10") for odd in (math.nan, math.inf, -0.1, 0, 1e9, 10**400)],
    *[("descend", 2, odd, "The starting point") for odd in (1e9, -math.inf, "NaN", None, [])],
    *[("descend", 3, odd, "The number of steps has to be a whole number between 1 and 500") for odd in (1e9, 0, -1, 2.5, math.nan, math.inf)],
    *[("fit", 0, odd, "as a list of x, y and colour") for odd in (None, 3, "0, 0, blue", {"a": 1})],
    ("fit", 0, [[0, 0, "blue"]] * 10_000, "These are 10,000 points, and 200 are fitted at most"),
    ("fit", 0, [], "There are no points yet"),
    ("fit", 0, [[1, 0, "blue"]], "points at two different x"),
    ("fit", 0, [[1, 0, "blue"], [1, 3, "blue"]], "points at two different x"),
    *[("fit", 0, [[0, 0, "blue"], odd], "Point 2 is none") for odd in (None, 3, [], [1, 2], [1, 2, "red"], [1, 2, None], [1, 2, ["blue"]], "12b")],
    *[("fit", 0, [[odd, 0, "blue"]], "The x of point 1") for odd in ("NaN", None, math.nan, 1e9, -5.01, [], True)],
    *[("fit", 0, [[0, odd, "blue"]], "The y of point 1") for odd in ("Infinity", math.inf, 10**400)],
    *[("attention", 0, odd, "Give one text") for odd in (None, 17, ["a"], {"a": 1})],
    ("attention", 0, " \n", "There is no text yet"),
    ("attention", 0, "\u200b", "finds no word"),
    ("attention", 0, "a\0b", "characters that are no text"),
    ("attention", 0, "a" * 301, "The text has 301 characters, and 300 are read at most"),
    ("attention", 0, "a " * 100, "102 tokens, and 40 are shown at most"),
    ("attention", 0, "a" * 3_000_000, "the request is too large"),
    *[("attention", 1, odd, "The layer has to be a whole number between 1 and 6") for odd in (-1, 0, 7, 1.5, math.nan, 1e9)],
    *[("attention", 2, odd, "The head has to be a whole number between 1 and 12") for odd in (-1, 0, 13, math.inf)],
    *[("attention", 1, odd, "The layer is no number") for odd in ("1", None, [1], True)],
    *[("continue", 0, odd, "Give one text") for odd in (None, 17, ["a"])],
    ("continue", 0, "", "There is no text yet"),
    ("continue", 0, "a\0b", "characters that are no text"),
    ("continue", 0, "a" * 1_001, "1,000 are read at most"),
    ("continue", 0, "a" * 3_000_000, "the request is too large"),
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
            async for _ in foundations.write_on(*data):
                pass
        else:
            await {"descend": descend, "fit": fit, "attention": foundations.attend}[endpoint](*data)

    for endpoint, place, odd, sentence in BAD:
        if sentence == "the request is too large":
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
    shown = asyncio.run(foundations.show_attention(hostile, 1, 1))
    assert "<script" not in shown and shown.count("<img") == 1
    kind, (text,) = call(url, "continue", hostile, 0, 0, 1, 3, 0)
    assert kind == "complete" and text.startswith(hostile)


def test_no_answer_leaves_the_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"somebody calls {address}")

    foundations.looks.cache_clear()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    async def ask() -> None:
        await foundations.show_walk("valleys", -1, 0.5, 20)
        await foundations.show_points("1, 1, blue\n2, 2, orange")
        await foundations.show_attention("Nobody is called.", 2, 2)
        assert [text async for text in foundations.write_on("the", 1, 0, 1, 3, 0)]

    asyncio.run(ask())


def test_pictures_leave_nothing_behind() -> None:
    """pyplot keeps every figure until somebody closes it; nothing here asks it."""
    import matplotlib.pyplot as plt

    asyncio.run(foundations.show_walk("bowl", 0, -1, 20))
    asyncio.run(foundations.show_points("1, 1, blue\n2, 2, orange"))
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("options", "sentence"), [(["--share"], "say who may come in with --auth"), (["--auth", "nobody"], "a name and a password")])
def test_the_command_line_refuses_in_one_sentence(options: list[str], sentence: str) -> None:
    from apps import page

    with pytest.raises(UserError, match=sentence):
        page.serve(foundations.build, page.command_line("foundations").parse_args(options))
