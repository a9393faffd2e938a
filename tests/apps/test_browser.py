"""The demo as a visitor meets it: a real browser, both widths, light and dark, keyboard, axe-core."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from apps.parts.answers import share
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

TABS = ("Try it", "Why", "How good is it?", "Many at once", "About")


class DemoVisit(Visit):
    """The page of a demo."""

    def wait(self) -> None:
        self.ask_button.wait_for()

    @property
    def ask_button(self) -> Any:
        return self.page.get_by_role("button", name="Ask", exact=True)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()
        self.page.wait_for_timeout(400)


@dataclass(frozen=True)
class Shown:
    """A demo to visit: how one gives it an input, and what it then says in its tabs."""

    url: str
    run: Run
    question: str | Path
    give: Callable[[Any, Any], None]
    missing: str
    explained: str
    label: str


def type_text(page: Any, text: str) -> None:
    page.get_by_label("A text").first.fill(text)


def upload_picture(page: Any, file: Path) -> None:
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
            "There is no text yet",
            "what the words add",
            "music",
        )
    blocks, run = request.getfixturevalue("served_images"), request.getfixturevalue("finished_image_run")
    picture = sorted(run.inputs.glob("*.png"))[0]
    return Shown(blocks.local_url, run, picture, upload_picture, "There is no picture yet", "The answer is", "circle")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_visitor_asks_and_reads_every_tab(browser: Any, shown: Shown, width: int, theme: str) -> None:
    visit = DemoVisit(browser, shown.url, width, theme)
    page = visit.page
    project = shown.run.folder.parent.name
    shown.give(page, shown.question)
    visit.ask_button.click()
    page.locator(".answer .bars").first.wait_for()
    predictor = Predictor.load(shown.run.folder, precision="fp32")
    answer = predictor.predict([shown.question])[0]
    assert isinstance(predictor.task, Classification)
    assert page.locator(".answer .label").inner_text() == (answer.value if answer.sure else "Not sure")
    for probability in predictor.task.probabilities(answer).values():
        assert share(probability) in page.locator(".answer").inner_text()
    visit.keep(f"{project}-try-{width}-{theme}")
    accuracy = read_json(shown.run.results)["metrics"]["accuracy"]["value"]
    for tab in TABS:
        visit.open(tab)
        if tab == "Why":
            page.get_by_role("button", name="Explain").click()
            page.get_by_text(shown.explained).first.wait_for()
        if tab == "How good is it?":
            assert f"{100 * accuracy:.1f} %" in plain(page.locator(".report .lead").inner_text())
            assert page.locator(".report").locator(DRAWN).count() == 5
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
    page.keyboard.type("the rain and the wind")
    tab_to("button.primary")
    outline = page.evaluate("(s => s.outlineStyle + s.boxShadow)(getComputedStyle(document.activeElement))")
    assert outline != "nonenone", "the focused button must be seen"
    page.keyboard.press("Enter")
    page.locator(".answer .bars").first.wait_for()
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
    visit.tab("Many at once")
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
    visit.tab("Many at once")
    visit.page.locator("input[type=file]").last.set_input_files(pictures)
    with visit.page.expect_download() as download:
        visit.page.get_by_text("Download the answers").click()
    assert all(picture.name in download.value.path().read_text() for picture in pictures)
    assert visit.errors == []
    visit.page.close()


def test_an_example_is_answered_at_once(browser: Any, served_images: gr.Blocks) -> None:
    visit = DemoVisit(browser, served_images.local_url, 1280)
    visit.page.get_by_text("hardly sure").first.click()
    visit.page.locator(".answer .bars").first.wait_for()
    assert visit.page.locator(".picture img").first.is_visible()
    assert visit.errors == []
    visit.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_drawing_is_answered(browser: Any, served_images: gr.Blocks, width: int) -> None:
    visit = DemoVisit(browser, served_images.local_url, width)
    page = visit.page
    page.get_by_text("Draw one").click()
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
    page.locator(".answer .bars").first.wait_for()
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
    visit.ask_button.click()
    visit.page.get_by_text(shown.missing).wait_for()
    visit.keep("error")
    visit.page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Any, shown: Shown, axe: str, theme: str) -> None:
    visit = DemoVisit(browser, shown.url, 1280, theme)
    visit.page.evaluate(axe)
    for button in visit.page.locator("button:has-text('Draw one')").all():
        button.click()
    shown.give(visit.page, shown.question)
    visit.ask_button.click()
    visit.page.locator(".answer .bars").first.wait_for()
    checked = 0
    for tab in TABS:
        visit.tab(tab)
        if tab == "Why":
            visit.page.get_by_role("button", name="Explain").click()
            visit.page.get_by_text(shown.explained).first.wait_for()
            visit.page.wait_for_timeout(600)  # the answer fades in
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
    assert page.locator("img.input").count() == (
        len(read_json(shown.run.results)["worst_errors"]) if isinstance(shown.question, Path) else 0
    )
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document)")
    assert [fault["id"] for fault in found["violations"] if fault["impact"] in ("serious", "critical")] == []
    if folder := os.environ.get("KIT_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{shown.run.folder.parent.name}-report-{width}.png", full_page=True)
    page.close()
