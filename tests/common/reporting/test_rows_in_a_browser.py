"""The report's script in a real browser: filters, the threshold, a page without a script, on paper, and how fast."""

from pathlib import Path
from typing import Any

import pytest

from common.reporting.report import write_report
from tests.common.reporting import synthetic
from tests.common.reporting.records import answers, coverage, record, with_records

pytestmark = pytest.mark.slow

NAMES = [f"{n} パスワードを忘れた" if n % 9 == 0 else f"card payment fee {n}" for n in range(77)]
HOSTILE = '<img src=x onerror="document.title = 1"></script><script>document.title = 1</script>'
# Bytes of a report of 3,080 rows and 77 names, and milliseconds until one can use it.
SIZE, MILLISECONDS = 1_500_000, 1_000
# Milliseconds since the navigation began, when the rows stood there.
READY = "document.querySelector('.browser tbody').children.length === 20 && performance.now()"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,080 rows of 77 names, an out-of-domain set, and a row that would like to be a page."""
    results = synthetic.many_labels(synthetic.classifier(), 77)
    results["coverage"] = coverage(["test", "tweets", "letters"], 0.71)
    hostile = record(9_999, HOSTILE, HOSTILE, 0.0, input=HOSTILE)
    rows = [*answers(3_080, NAMES), hostile, *answers(40, NAMES, "tweets")]
    return write_report(with_records(tmp_path_factory.mktemp("rows") / "run", results, rows))


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A row whose answer is marked in its text."""
    folder = tmp_path_factory.mktemp("spans")
    span = {"start": 4, "end": 7, "label": "API"}
    own = {"baselines": {"table": {"value": []}}, "baseline_scores": {"table": 0.0}}
    rows = [record(n, [span], [span][: n % 2], float(n % 2), input="use jax here", **own) for n in range(3)]
    return write_report(with_records(folder / "run", synthetic.spans(folder), rows))


class Page:
    """A report, and what went wrong on it."""

    def __init__(self, browser: Any, file: Path, width: int = 1280, scheme: str = "light", **more: Any) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on(
            "request", lambda request: self.wrong.append(request.url) if request.url != file.as_uri() else None
        )
        self.page.goto(file.as_uri())
        self.form = self.page.locator(".browser form")
        self.status = self.page.locator(".browser [role=status]")
        self.rows = self.page.locator(".browser tbody tr")

    def choose(self, name: str, value: str) -> str:
        """Set a filter, and return what the page says then."""
        field = self.form.locator(f"[name={name}]")
        if field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
        return str(self.status.inner_text())


@pytest.fixture
def shown(browser: Any, report: Path) -> Any:
    page = Page(browser, report)
    yield page
    assert page.wrong == []
    page.page.close()


def test_it_is_small_and_soon_there(browser: Any, report: Path) -> None:
    assert report.stat().st_size < SIZE
    times = []
    for _ in range(3):
        page = Page(browser, report)
        times.append(page.page.wait_for_function(READY).json_value())
        page.page.close()
    assert min(times) < MILLISECONDS


def test_rows_are_filtered_searched_and_counted(shown: Page) -> None:
    assert shown.status.inner_text() == "3,081 of 3,121 rows; the first 20 are shown"
    confidences = [
        float(text.rstrip("\u202f%")) for text in shown.page.locator(".browser tbody td.n").all_inner_texts()[1:]
    ]
    assert confidences == sorted(confidences, reverse=True), "the most confidently wrong first"
    rows = [(one["prediction"], one["score"], one["baseline_scores"]["words"]) for one in answers(3_080, NAMES)]
    unsure = [
        answer["confidence"] for answer, score, other in rows if score == 1 != other and not answer.get("sure", True)
    ]
    assert shown.choose("right", "0").startswith("771 of")
    assert shown.choose("right", "01").startswith("1 of"), "of the odd rows the model has but the hostile one wrong"
    assert shown.choose("right", "10").startswith("770 of")
    assert shown.choose("sure", "0").startswith(f"{len(unsure)} of")
    assert shown.choose("low", "40").startswith(f"{sum(one >= 0.4 for one in unsure)} of")
    assert shown.choose("high", "10") == "No row matches: take a condition away."
    shown.form.get_by_role("button", name="reset").click()
    shown.page.wait_for_function("document.querySelector('.browser [role=status]').textContent.startsWith('3,081')")
    assert shown.choose("words", "about card PAYMENT fee 75 for") == "40 of 3,121 rows; the first 20 are shown"
    assert shown.choose("set", "1") == "No row matches: take a condition away."
    assert shown.choose("words", "") == "40 of 3,121 rows; the first 20 are shown", "of the other set"


def test_the_keyboard_reaches_every_row(shown: Page) -> None:
    assert shown.rows.count() == 20
    button = shown.page.get_by_role("button", name="show more")
    button.focus()
    shown.page.keyboard.press("Enter")
    assert shown.rows.count() == 40
    assert (
        shown.page.evaluate("[...document.querySelectorAll('.browser tbody tr')].indexOf(document.activeElement)") == 20
    )
    assert shown.choose("slice", "0").startswith("1,540 of") and shown.rows.count() == 20


def test_texts_of_rows_stay_texts(shown: Page) -> None:
    shown.choose("words", "onerror")
    assert shown.rows.count() == 1 and HOSTILE in shown.rows.first.inner_text()
    assert shown.page.locator(".browser :is(img, a, script:not([type]))").count() == 0
    assert shown.page.title() != "1"


def test_a_threshold_shows_what_is_answered_and_how_well(shown: Page) -> None:
    chooser = shown.page.locator(".chooser")
    slider, cells = chooser.locator("input"), chooser.locator("tbody tr").first.locator("td")
    plain = [text.replace("\u202f", " ") for text in cells.all_inner_texts()]
    assert plain == ["test", "80.0 %", "90.0 %"] and "71.0\u202f% (chosen)" in chooser.inner_text()
    slider.focus()
    shown.page.keyboard.press("ArrowRight")
    assert [text.replace("\u202f", " ") for text in cells.all_inner_texts()] == ["test", "40.0 %", "97.0 %"]
    assert slider.get_attribute("aria-valuetext") == "90.0\u202f%"
    dot = shown.page.locator(".coverage figure > svg circle").first
    assert float(dot.get_attribute("cx")) == pytest.approx(46 + 240 * 0.4)
    shown.page.keyboard.press("End")
    assert "too few" in cells.all_inner_texts() and not dot.is_visible()


def test_without_a_script_and_on_paper_everything_stands_at_its_default(browser: Any, report: Path) -> None:
    for media, scripted in (("screen", False), ("print", True)):
        page = browser.new_page(java_script_enabled=scripted)
        page.emulate_media(media=media)
        page.goto(report.as_uri())
        assert page.get_by_role("heading", name="Its worst errors").is_visible()
        assert not page.locator(".browser").is_visible() and not page.locator(".chooser").is_visible()
        table = page.locator(".coverage table[data-default]")
        assert table.is_visible() and "71.0\u202f% (chosen)" in table.inner_text()
        page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", ["report", "spans"])
def test_it_can_be_read(
    browser: Any, axe: str, name: str, width: int, scheme: str, request: pytest.FixtureRequest
) -> None:
    shown = Page(browser, request.getfixturevalue(name), width, scheme)
    assert shown.rows.count() == (20 if name == "report" else 3)
    for part in (".browser", ".coverage"):
        outside = (
            "e => [...e.querySelectorAll('*')].filter(c => c.getBoundingClientRect().right > innerWidth + 1).length"
        )
        assert shown.page.locator(part).evaluate_all(f"all => all.map({outside})") in ([0], [])
    shown.page.evaluate(axe)
    # The rest of the page of many names is looked at elsewhere.
    where = "document" if name == "spans" else "{include: [['.browser'], ['.coverage']]}"
    found = shown.page.evaluate(f"axe.run({where})")["violations"]
    assert [(fault["id"], fault["impact"], fault["nodes"][0]["html"][:80]) for fault in found] == []
    if name == "spans":
        assert shown.page.locator(".browser tbody mark.missed").count() == 2
        assert shown.page.locator(".browser tbody mark.found").all_inner_texts() == ["jax"]
    assert shown.wrong == []
    shown.page.close()


def test_long_fields_and_many_slices_are_folded(browser: Any, tmp_path: Path) -> None:
    results = synthetic.classifier()
    results["slices"] = [{"slice": f"slice {n}", "value": "yes", "examples": 1} for n in range(5)]
    asked = {"question": "Which tensor?", "context": "A page about tensors and what they hold. " * 12}
    one = record(1, "a", "b", 0.0, input=asked, slices={f"slice {n}": "yes" for n in range(5)})
    shown = Page(browser, write_report(with_records(tmp_path / "run", results, [one])))
    folded = shown.rows.first.locator("details")
    begun, notes = folded.locator("summary").all_inner_texts()
    assert begun.startswith("context: A page about") and begun.endswith(" …") and len(begun) < 135
    assert notes.endswith("row 1 · 5 slices") and "question: Which tensor?" in shown.rows.first.inner_text()
    assert shown.rows.first.inner_text().count("what they hold") == 2
    folded.first.locator("summary").click()
    assert shown.rows.first.inner_text().count("what they hold") == 14
    assert shown.wrong == []
    shown.page.close()
