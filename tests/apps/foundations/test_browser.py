"""The lessons' demo as a visitor meets it: both widths, light and dark, keyboard, axe-core.

KIT_SCREENSHOTS names a folder to keep the pictures in.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.apps.foundations.conftest import serving
from tests.apps.visit import Visit

if TYPE_CHECKING:
    import gradio as gr

pytestmark = pytest.mark.slow

# The elements that reach over the right edge, those that scroll by themselves left out.
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
  .filter(e => !e.closest('.scroll')).slice(0, 12)
  .map(e => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right)).join('; ')"""

SEEN = ".lead:visible"


@pytest.fixture(scope="module")
def served_lessons(tmp_path_factory: pytest.TempPathFactory) -> Iterator["gr.Blocks"]:
    with serving(tmp_path_factory.mktemp("lessons")) as blocks:
        yield blocks


class LessonsVisit(Visit):
    """The page of the lessons."""

    pictures = "foundations-"

    def wait(self) -> None:
        self.page.get_by_label("Starting point").first.wait_for()

    def number(self, label: str, value: float) -> None:
        """Write into the field beside a slider."""
        field = self.page.locator(f'input[type=number][aria-label*="{label}"]:visible')
        field.fill(str(value))
        field.press("Enter")

    def use(self, name: str) -> None:
        """Do on a tab what it is for, and wait for what it says."""
        page = self.page
        if name == "Descent":
            self.number("Learning rate", 0.02)
            page.locator(SEEN, has_text="With a learning rate of 1.05 it diverges").wait_for()
        if name == "Points":
            page.get_by_label("orange").check()
            box = page.locator("#plane img").bounding_box()
            page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.8 * box["height"])
            page.locator(SEEN, has_text="Two colours").wait_for()
        if name == "Attention":
            page.get_by_label("A sentence").fill("The dog drank nothing because it was not thirsty.")
            page.get_by_role("button", name="Look").click()
            page.locator(SEEN, has_text="“dog” (token 3)").wait_for()
        if name == "GPT":
            page.get_by_role("button", name="Continue").click()
            page.wait_for_function("document.querySelector('#written textarea').value.length > 60")
        page.wait_for_timeout(700)  # answers fade in


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_every_tab_is_used_and_is_for_everybody(
    browser: Any, served_lessons: "gr.Blocks", axe: str, width: int, theme: str
) -> None:
    visit = LessonsVisit(browser, served_lessons.local_url, width, theme)
    visit.page.evaluate(axe)
    for name in ("Descent", "Points", "Attention", "GPT"):
        visit.open(name)
        visit.use(name)
        visit.keep(f"{name.split()[0].lower()}-{width}-{theme}")
        overflow = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{name} is {overflow} pixels too wide at {width}: {visit.page.evaluate(TOO_WIDE)}"
        found = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical")]
        said = [
            f"{fault['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for fault in serious
            for node in fault["nodes"]
        ]
        assert not said, f"{name} ({theme}):\n" + "\n".join(said)
        assert len(found["passes"]) > 10
    assert visit.errors == []
    assert visit.strangers == []
    visit.page.close()


def test_each_function_has_its_own_starting_points(browser: Any, served_lessons: "gr.Blocks") -> None:
    visit = LessonsVisit(browser, served_lessons.local_url)
    visit.page.get_by_label("valleys").check()
    visit.page.locator(SEEN, has_text="20 steps from 2 lead to").wait_for()
    visit.number("Starting point", -2.3)
    visit.page.locator(SEEN, has_text="20 steps from -2.3 lead to").wait_for()
    visit.page.get_by_label("bowl").check()
    visit.page.locator(SEEN, has_text="20 steps from -1 lead to").wait_for()
    visit.number("Starting point", 7)
    visit.page.locator(SEEN, has_text="20 steps from 7 lead to").wait_for()
    assert visit.errors == []
    visit.page.close()


def test_a_point_lies_where_the_visitor_clicked(browser: Any, served_lessons: "gr.Blocks") -> None:
    from apps.foundations.points import EDGE, FRAME

    visit = LessonsVisit(browser, served_lessons.local_url)
    visit.open("Points")
    visit.page.get_by_role("button", name="Clear").click()
    visit.page.locator(SEEN, has_text="There are no points yet").wait_for()
    box = visit.page.locator("#plane img").bounding_box()
    left, bottom, width, height = FRAME
    across, up = left + width * (2.5 + EDGE) / (2 * EDGE), bottom + height * (-1.5 + EDGE) / (2 * EDGE)
    visit.page.mouse.click(box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"])
    visit.page.wait_for_function("[...document.querySelectorAll('textarea')].some(area => area.value.includes('blue'))")
    x, y, colour = visit.page.get_by_label("The points, one a line").input_value().split(", ")
    assert (float(x), float(y), colour) == (pytest.approx(2.5, abs=0.05), pytest.approx(-1.5, abs=0.05), "blue")
    visit.page.close()


def test_points_can_be_placed_without_a_mouse(browser: Any, served_lessons: "gr.Blocks") -> None:
    visit = LessonsVisit(browser, served_lessons.local_url)
    visit.open("Points")
    visit.page.get_by_label("The points, one a line").fill("0, 0, blue\n1; 1; blue\n2\t2\tblue")
    button = visit.page.get_by_role("button", name="Fit these points")
    button.focus()
    visit.page.keyboard.press("Enter")
    visit.page.locator(SEEN, has_text="y = 1.00 · x + 0.00").wait_for()
    visit.page.get_by_label("The points, one a line").fill("0, 0, green")
    button.click()
    visit.page.get_by_text("Point 1 is none: give x, y and a colour").wait_for()
    visit.page.close()
