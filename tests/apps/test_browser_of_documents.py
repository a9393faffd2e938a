"""The demos that search, read and write, as a visitor meets them: each tab, documents of one's own, both together."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.question_answering import READ
from apps.question_answering import build as build_questions
from apps.semantic_search import build as build_search
from apps.summarization import build as build_summaries
from apps.text_generation import build as build_chats
from common.models.causal import _Told
from common.predictor import Predictor
from common.run import Run
from tests.apps.conftest import serving
from tests.apps.test_browser import TABS, TOO_WIDE, DemoVisit
from tests.projects.question_answering.conftest import finished_question_run  # noqa: F401  (a fixture)
from tests.projects.semantic_search.conftest import finished_search_run  # noqa: F401  (a fixture)
from tests.projects.semantic_search.rows import menus
from tests.projects.summarization.conftest import finished_abstract, finished_extract  # noqa: F401  (fixtures)
from tests.projects.text_generation.conftest import finished_chat_run  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

TEXT = "the a is was very today here and " * 150 + "rain " + "the a is was very today here and " * 20


@dataclass(frozen=True)
class Shown:
    """A demo to visit, what to ask it, and what is said where nothing is asked."""

    url: str
    box: str
    question: str
    missing: str


@pytest.fixture(scope="module")
def search(finished_search_run: Run) -> Iterator[Shown]:  # noqa: F811
    with serving(build_search, finished_search_run) as blocks:
        yield Shown(blocks.local_url, "A query", menus()[3]["query"], "There is no text yet")


@pytest.fixture(scope="module")
def chats(finished_chat_run: Run) -> Iterator[Shown]:  # noqa: F811
    with serving(build_chats, finished_chat_run) as blocks:
        yield Shown(blocks.local_url, "A prompt", "the rain and the wind", "There is no text yet")


@pytest.fixture(scope="module")
def summaries(finished_abstract: Run) -> Iterator[Shown]:  # noqa: F811
    with serving(build_summaries, finished_abstract) as blocks:
        yield Shown(blocks.local_url, "A text", "The rain is a weather. It falls on a town.", "There is no text yet")


@pytest.fixture(scope="module")
def extracts(finished_extract: Run) -> Iterator[Shown]:  # noqa: F811
    with serving(build_summaries, finished_extract) as blocks:
        yield Shown(blocks.local_url, "A text", "The rain is a weather. It falls on a town.", "There is no text yet")


@pytest.fixture(scope="module")
def questions(finished_question_run: Run, finished_search_run: Run) -> Iterator[Shown]:  # noqa: F811
    """The demo that reads, together with the run that searches."""
    found = Predictor.load(finished_search_run.folder, precision="fp32")
    with serving(build_questions, finished_question_run, search=found) as blocks:
        yield Shown(blocks.local_url, "A question", "drum drum", "There is no question yet")


def ask(visit: DemoVisit, shown: Shown, button: str = "Ask") -> None:
    """Ask, and wait for the answer, which says how long it took."""
    visit.page.get_by_label(shown.box).first.fill(shown.question)
    visit.page.evaluate("document.querySelectorAll('.answer .took').forEach(time => time.remove())")
    visit.page.get_by_role("button", name=button, exact=True).click()
    visit.page.locator(".answer .took").wait_for()


@pytest.mark.parametrize("name", ["search", "questions", "chats", "summaries", "extracts"])
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_every_tab_is_for_everybody(
    browser: Any, request: pytest.FixtureRequest, axe: str, name: str, width: int, theme: str
) -> None:
    shown = request.getfixturevalue(name)
    visit = DemoVisit(browser, shown.url, width, theme)
    visit.page.evaluate(axe)
    for button in visit.page.locator("button.label-wrap:visible").all():
        button.click()
    ask(visit, shown)
    top = visit.page.locator(".answer").bounding_box()["y"]
    assert -1 <= top < 900, "the answer is in sight"
    for tab in TABS:
        visit.open(tab)
        found = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [fault for fault in found["violations"] if fault["impact"] in ("serious", "critical")]
        assert not serious, [(fault["id"], node["html"][:200]) for fault in serious for node in fault["nodes"]]
        overflow = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{tab} is {overflow} pixels too wide: {visit.page.evaluate(TOO_WIDE)}"
        visit.keep(f"{name}-{tab.split()[0].lower()}-{width}-{theme}")
    visit.open("Try it")
    visit.page.get_by_label(shown.box).first.fill(" ")
    visit.ask_button.click()
    visit.page.get_by_text(shown.missing).wait_for()
    assert visit.errors == [] and visit.strangers == []
    visit.page.close()


def test_documents_of_ones_own_are_searched_until_one_goes_back(browser: Any, search: Shown, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("text\nthe rain and the soup\n<b>no</b> word of it\n", encoding="utf-8")
    (tmp_path / "none.csv").write_text("one,two\na,b\n", encoding="utf-8")
    visit = DemoVisit(browser, search.url)
    page = visit.page
    page.get_by_text("Search documents of your own").click()
    file = page.locator("input[type=file]").first
    file.set_input_files(tmp_path / "none.csv")
    page.get_by_text("Which column holds the texts").wait_for()
    file.set_input_files(tmp_path / "own.csv")
    page.get_by_text("The search now goes over your 2 documents").wait_for()
    ask(visit, search)
    assert "In your 2 documents" in page.locator(".answer").inner_text()
    assert "<b>no</b> word of it" in page.locator(".answer").inner_text()
    page.get_by_role("button", name="Why this answer?").click()
    page.locator(".why", has_text="left out in turn").wait_for()
    other = DemoVisit(browser, search.url)
    ask(other, search)
    assert "In your" not in other.page.locator(".answer").inner_text(), "nobody else searches them"
    page.get_by_role("button", name="Back to the").click()
    page.get_by_text("The search now goes over").wait_for(state="detached")
    ask(visit, search)
    assert "In your" not in page.locator(".answer").inner_text()
    assert visit.errors == [] and visit.strangers == []
    page.close()
    other.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_found_is_read_and_what_is_marked_is_in_sight(browser: Any, questions: Shown, width: int) -> None:
    visit = DemoVisit(browser, questions.url, width)
    ask(visit, questions, "Ask the corpus")
    assert visit.page.locator(".answer .read > li .passage").count() == READ
    visit.keep(f"questions-corpus-{width}")
    visit.page.get_by_label("The text that it is asked about").fill(TEXT)
    ask(visit, questions)
    visit.page.wait_for_timeout(300)
    text = visit.page.locator(".answer .passage").first
    mark, box = text.locator("mark").first.bounding_box(), text.bounding_box()
    assert text.evaluate("text => text.scrollHeight > text.clientHeight")
    assert box["y"] <= mark["y"] < box["y"] + box["height"]
    assert visit.errors == [] and visit.strangers == []
    visit.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_an_answer_can_be_stopped_while_it_grows_and_only_then(
    browser: Any, chats: Shown, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(told: _Told, *given: Any, **options: Any) -> Any:
        time.sleep(0.2)
        return at_once(told, *given, **options)

    at_once = _Told.__call__
    monkeypatch.setattr(_Told, "__call__", slowly)
    visit = DemoVisit(browser, chats.url, width)
    page, stop = visit.page, visit.page.get_by_role("button", name="Stop writing")
    page.get_by_text("not fine-tuned").first.wait_for()
    assert not stop.is_visible()
    page.get_by_label(chats.box).first.fill(chats.question)
    visit.ask_button.click()
    page.locator(".growing .written", has_text="{").wait_for()
    visit.keep(f"chats-growing-{width}")
    stop.click()
    page.locator(".answer p.quiet", has_text="It was broken off after").wait_for()
    assert not stop.is_visible() and visit.errors == [] and visit.strangers == []
    page.close()
