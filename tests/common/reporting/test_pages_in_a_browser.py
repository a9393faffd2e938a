"""The report in a real browser: wide and light, narrow and dark, with everything unfolded."""

from pathlib import Path
from typing import Any

import pytest

from common.reporting.report import write_report
from common.run import Run
from tests.common.reporting import synthetic
from tests.pictures import card_page

pytestmark = pytest.mark.slow

NAMES = ["$5 or more", "日本語のラベル", "हिन्दी", "ภาษาไทย", "مرحبا", "🎉", "<script>alert(1)</script>", "__init__"]
OUTSIDE = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest('.scroll'))
  .map(e => e.tagName + '.' + e.className)"""
# The widths of the columns of names and differences, and whether the line lies below both.
FOLDED = """() => { const [name, line] = ['.name', '.line'].map(
  part => document.querySelector('.comparison .row ' + part).getBoundingClientRect());
  return line.top >= name.bottom - 1; }"""


def many_names() -> dict[str, Any]:
    """77 names in the scripts of the world, some of them long."""
    results = synthetic.many_labels(synthetic.classifier(), 77)
    names = [f"{NAMES[n % 8]} {n}" + " and a long explanation of it" * (n % 3) for n in range(77)]
    pairs = [{"reference": names[n], "prediction": names[n + 1], "examples": 9} for n in range(10)]
    results["sections"]["confusion"] = {"pairs": pairs}
    classes = results["sections"]["classes"]["classes"]
    results["sections"]["classes"]["classes"] = [
        row | {"label": name} for row, name in zip(classes, names, strict=True)
    ]
    return results


@pytest.fixture(scope="module")
def drawn(pages: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{name: page}"""
    folder = tmp_path_factory.mktemp("drawn")
    kinds = {"many": many_names(), "some": synthetic.many_labels(synthetic.classifier(), 12)}
    more = {name: write_report(synthetic.write_run(folder / name, results)) for name, results in kinds.items()}
    return more | {name: run.report for name, run in pages.items()}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", ["classifier", "regression", "spans", "some", "many"])
def test_it_can_be_read(browser: Any, axe: str, drawn: dict[str, Path], name: str, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.goto(drawn[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(FOLDED) == (width == 390)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(17, 24, 39)")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document)")["violations"]
    assert [(fault["id"], fault["impact"]) for fault in found] == []
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_card_can_be_read(browser: Any, axe: str, pages: dict[str, Run], width: int, scheme: str) -> None:
    """As a site that shows Markdown draws it."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_content(card_page(pages["classifier"]))
    assert page.locator("h1").count() == 1 and page.locator("img").first.get_attribute("alt")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document.querySelector('article'))")["violations"]
    assert [(fault["id"], fault["impact"]) for fault in found] == []
    page.close()
