"""The demo as a visitor meets it: a real browser, both widths, light and dark, keyboard, axe-core."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from apps.image_classification import ImageDemo
from apps.parts.answers import probability
from apps.parts.demo import Demo
from apps.text_classification import TextDemo
from common.kinds.classification import Classification
from common.predictor import Predictor
from common.reporting.wording import plain
from common.run import Run
from common.system.files import read_json
from tests.apps.conftest import fresh_corrections
from tests.apps.visit import Visit

pytestmark = pytest.mark.slow

# The elements that reach over the right edge, those that scroll by themselves left out.
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
  .filter(e => !e.closest('.scroll')).slice(0, 12)
  .map(e => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right)).join('; ')"""

# What the evidence is drawn as: methods, two panels of the training, and what the sections of a classification draw.
DRAWN = ".chart, table.matrix"

TABS = ("Try it", "Evidence", "Many at once", "About")


class DemoVisit(Visit):
    """The page of a demo."""

    def wait(self) -> None:
        self.ask_button.wait_for()

    @property
    def ask_button(self) -> Any:
        return self.page.get_by_role("button", name="Ask", exact=True)

    def ask(self) -> None:
        """Ask, and wait for the answer: the truth about the example that was there before goes away."""
        self.ask_button.click()
        self.page.locator(".truth").wait_for(state="detached")

    def explain(self, said: str) -> None:
        self.page.get_by_role("button", name="Why this answer?").click()
        self.page.locator(".why", has_text=said).wait_for()


@dataclass(frozen=True)
class Shown:
    """A demo to visit: how one gives it an input, and what it then says in its tabs."""

    url: str
    run: Run
    question: str | Path
    give: Callable[[Any, Any], None]
    clear: Callable[[Any], None]
    missing: str
    explained: str
    label: str
    demo: type[Demo]


def type_text(page: Any, text: str) -> None:
    page.get_by_label("A text").first.fill(text)


def clear_picture(page: Any) -> None:
    page.get_by_role("button", name="Remove Image").click()


def upload_picture(page: Any, file: Path) -> None:
    clear_picture(page)
    page.locator("input[type=file]").first.set_input_files(file)
    page.locator(".picture img").first.wait_for()


@pytest.fixture(params=["texts", "pictures"])
def shown(request: pytest.FixtureRequest) -> Shown:
    if request.param == "texts":
        blocks, run = request.getfixturevalue("served"), request.getfixturevalue("finished_run")
        return Shown(
            blocks.local_url,
            run,
            "the soup and the bread today",
            type_text,
            lambda page: type_text(page, ""),
            "There is no text yet",
            "its Shapley value",
            "music",
            TextDemo,
        )
    blocks, run = request.getfixturevalue("served_images"), request.getfixturevalue("finished_image_run")
    picture = sorted(run.inputs.glob("*.png"))[0]
    return Shown(
        blocks.local_url,
        run,
        picture,
        upload_picture,
        clear_picture,
        "There is no picture yet",
        "The answer is",
        "circle",
        ImageDemo,
    )


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_a_visitor_asks_and_reads_every_tab(browser: Any, shown: Shown, width: int, theme: str) -> None:
    visit = DemoVisit(browser, shown.url, width, theme)
    page = visit.page
    project = shown.run.folder.parent.name
    assert page.title() == read_json(shown.run.results)["portfolio"]["question"]
    assert page.locator("h1").first.inner_text() == page.title()
    shown.give(page, shown.question)
    visit.ask()
    predictor = Predictor.load(shown.run.folder, precision="fp32")
    answer = predictor.predict([shown.question])[0]
    assert isinstance(predictor.task, Classification)
    assert (page.locator(".answer .label").inner_text() == answer.value) == answer.sure
    assert page.locator(".answer.unsure").count() == (0 if answer.sure else 1)
    for value in predictor.task.probabilities(answer).values():
        assert probability(value) in page.locator(".answer").inner_text()
    visit.explain(shown.explained)
    visit.keep(f"{project}-try-{width}-{theme}")
    accuracy = read_json(shown.run.results)["metrics"]["accuracy"]["value"]
    for tab in TABS:
        visit.open(tab)
        if tab == "Evidence":
            assert f"{100 * accuracy:.1f}" in plain(page.locator("[role=tabpanel]:visible").inner_text())
            assert page.locator(".report").locator(DRAWN).count() == 5
            slider, shown_threshold = page.locator(".coverage input[type=range]"), page.locator(".coverage output")
            before = shown_threshold.inner_text()
            slider.press("Home" if slider.input_value() != "0" else "End")
            assert shown_threshold.inner_text() != before, "the report's script runs here, too"
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{tab} is {overflow} pixels too wide at {width}: {page.evaluate(TOO_WIDE)}"
        visit.keep(f"{project}-{tab.split()[0].lower()}-tab-{width}-{theme}")
    assert visit.errors == []
    assert visit.strangers == []
    page.close()


def test_the_keyboard_is_enough(browser: Any, served: gr.Blocks) -> None:
    visit = DemoVisit(browser, served.local_url, 1280)
    page = visit.page

    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(f"no way to {selector} by keyboard")

    tab_to("textarea")
    page.keyboard.press("Control+A")
    page.keyboard.type("the rain and the wind")
    tab_to("button.primary")
    outline = page.evaluate("(s => s.outlineStyle + s.boxShadow)(getComputedStyle(document.activeElement))")
    assert outline != "nonenone", "the focused button must be seen"
    page.keyboard.press("Enter")
    page.locator(".truth").wait_for(state="detached")
    page.close()


def test_a_correction_is_kept(browser: Any, shown: Shown) -> None:
    visit = DemoVisit(browser, shown.url, 1280)
    page = visit.page
    shown.give(page, shown.question)
    page.get_by_text("Is the answer wrong?").click()
    page.get_by_label("The right label").click()
    page.get_by_role("option", name=shown.label).click()
    with fresh_corrections(shown.run) as file:
        page.get_by_role("button", name="Keep the correction").click()
        page.get_by_text("Thank you, it is kept").wait_for()
        assert f'"label": "{shown.label}"' in file.read_text()
    page.close()


def test_a_file_is_answered(browser: Any, served: gr.Blocks, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("text\nrain\nsoup\n")
    visit = DemoVisit(browser, served.local_url, 1280)
    visit.open("Many at once")
    visit.page.locator("input[type=file]").first.set_input_files(tmp_path / "many.csv")
    with visit.page.expect_download() as download:
        visit.page.get_by_text("Download the answers").click()
    assert "rain" in download.value.path().read_text()
    visit.keep("many-answered")
    assert visit.errors == []
    visit.page.close()


def test_many_pictures_are_answered(browser: Any, served_images: gr.Blocks, finished_image_run: Run) -> None:
    pictures = sorted(finished_image_run.inputs.glob("*.png"))
    visit = DemoVisit(browser, served_images.local_url, 1280)
    visit.open("Many at once")
    visit.page.locator("input[type=file]").last.set_input_files(pictures)
    with visit.page.expect_download() as download:
        visit.page.get_by_text("Download the answers").click()
    assert all(picture.name in download.value.path().read_text() for picture in pictures)
    assert visit.errors == []
    visit.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_on_an_example_answers_and_says_the_truth(browser: Any, shown: Shown, width: int) -> None:
    visit = DemoVisit(browser, shown.url, width)
    page = visit.page
    examples = shown.demo(Predictor.load(shown.run.folder, precision="fp32")).examples
    assert len(examples) == len(read_json(shown.run.results)["examples_to_try"])
    assert examples[0]["kind"] == "known failure" and examples[-1]["kind"] == "right"
    assert page.locator(".examples button").count() == len(examples)
    for button, example in reversed([*zip(page.locator(".examples button").all(), examples, strict=True)]):
        assert button.inner_text().startswith(example["kind"].capitalize())
        page.evaluate("document.querySelector('.truth').textContent = ''")
        button.click()
        page.locator(".truth b").first.wait_for()
        unsure = page.locator(".answer.unsure").count() == 1
        look = "wrong" if example["kind"] == "known failure" else "truth" if unsure else "right"
        assert page.locator(".truth").get_attribute("class").split()[-1] == look
        assert example["reference"] in page.locator(".truth").inner_text()
        sure = page.locator(".answer .label").inner_text() == example["prediction"]
        assert sure or page.locator(".answer.unsure .label").is_visible()
    top = page.locator(".answer").bounding_box()["y"]
    assert 0 <= top < 900, "the answer is in sight"
    visit.keep(f"{shown.run.folder.parent.name}-example-{width}")
    assert visit.errors == []
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_not_sure_is_seen_at_once(browser: Any, served: gr.Blocks, finished_run: Run, theme: str) -> None:
    records = [json.loads(line) for line in finished_run.predictions.read_text(encoding="utf-8").splitlines()]
    answers = [record["prediction"] for record in records]
    doubtful = next(row for row, answer in zip(records, answers, strict=True) if answer.get("sure") is False)
    doubt = doubtful["prediction"].get("doubt", "not sure").capitalize()
    visit = DemoVisit(browser, served.local_url, 1280, theme)
    type_text(visit.page, doubtful["input"])
    visit.ask()
    label = visit.page.locator(".answer.unsure .label")
    assert label.inner_text() == doubt
    box = label.bounding_box()
    assert box["y"] + box["height"] < 800, "it is on the first screen"
    ground = visit.page.evaluate("getComputedStyle(document.querySelector('.answer')).backgroundColor")
    assert ground == {"light": "rgb(254, 243, 199)", "dark": "rgb(58, 42, 11)"}[theme], "it is amber"
    visit.keep(f"unsure-{theme}")
    visit.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_drawing_is_answered(browser: Any, served_images: gr.Blocks, width: int) -> None:
    visit = DemoVisit(browser, served_images.local_url, width)
    page = visit.page
    page.get_by_text("Draw one here").click()
    page.get_by_role("button", name="Ask about the drawing").click()
    page.get_by_text("There is no drawing yet").wait_for()
    canvas = page.get_by_label("A pad to draw on")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 200, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Ask about the drawing").click()
    page.locator(".truth").wait_for(state="detached")
    ground, ink = (
        page.evaluate(
            "([x, y]) => [...document.querySelector('.pad canvas').getContext('2d').getImageData(x, y, 1, 1).data]", at
        )
        for at in ([5, 5], [130, 130])
    )
    assert {tuple(ground), tuple(ink)} == {(0, 0, 0, 255), (255, 255, 255, 255)}
    assert page.locator(".picture img").first.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [
        280,
        280,
    ]
    page.get_by_role("button", name="Clear", exact=True).last.click()
    assert (
        page.evaluate("document.querySelector('.pad canvas').getContext('2d').getImageData(130, 130, 1, 1).data[0]")
        == ground[0]
    )
    visit.keep(f"drawing-{width}")
    page.close()


def test_what_went_wrong_is_said(browser: Any, shown: Shown) -> None:
    visit = DemoVisit(browser, shown.url, 1280)
    shown.clear(visit.page)
    visit.ask_button.click()
    visit.page.get_by_text(shown.missing).wait_for()
    assert not visit.page.locator("[data-testid=status-tracker] .error:visible").count()
    visit.keep("error")
    visit.page.close()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_serious_fault(browser: Any, shown: Shown, axe: str, width: int, theme: str) -> None:
    visit = DemoVisit(browser, shown.url, width, theme)
    visit.page.evaluate(axe)
    for button in visit.page.locator("button:has-text('Draw one')").all():
        button.click()
    visit.page.locator(".examples button").last.click()
    visit.explain(shown.explained)
    visit.page.wait_for_timeout(600)  # the answer fades in
    checked = 0
    for tab in TABS:
        visit.open(tab)
        found = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        checked += len(found["passes"])
        serious = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical")]
        said = [
            f"{fault['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for fault in serious
            for node in fault["nodes"]
        ]
        assert not said, f"{tab} ({theme}):\n" + "\n".join(said)
    assert checked > 50
    visit.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_stands_alone(browser: Any, shown: Shown, axe: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    strangers: list[str] = []
    page.on(
        "request",
        lambda request: strangers.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
    )
    page.goto(shown.run.report.as_uri())
    assert strangers == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.locator(DRAWN).count() == 5
    errors = len(read_json(shown.run.results)["worst_errors"]) if isinstance(shown.question, Path) else 0
    assert errors <= page.locator("img.input").count() <= 20 * errors  # the browser of all rows has some, too
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document)")
    assert [fault["id"] for fault in found["violations"] if fault["impact"] in ("serious", "critical")] == []
    if folder := os.environ.get("KIT_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{shown.run.folder.parent.name}-report-{width}.png", full_page=True)
    page.close()
