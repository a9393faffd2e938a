"""What stands around the answers: the question, its author, the number against the best baseline, the card."""

import time
from pathlib import Path
from typing import Any

import pytest

from apps.parts import evidence
from common.reporting.wording import plain
from tests.apps.pictures import png
from tests.common.reporting.synthetic import classifier, regression, write_run

HOSTILE = "<img src=x onerror=alert(1)>"
WORDS = {
    "question": f"Is it {HOSTILE}?",
    "for_whom": f"For {HOSTILE}.",
    "author": f"Ada {HOSTILE}",
    "links": {
        "code": "https://example.org/a?b=1&c=2",
        HOSTILE: 'https://example.org/"onmouseover=1',
        "x": "javascript:1",
    },
}


def test_the_first_screen_names_question_author_number_and_baseline() -> None:
    results = {**classifier(), "portfolio": WORDS}
    said = plain(evidence.header(results, None))  # type: ignore[arg-type]
    assert said.index("<h1>Is it") < said.index("For &lt;img") < said.index("by <b>Ada") < said.index("of 2,014 test")
    assert 'class="pill' in said and "against the best baseline, " in said
    assert "<img" not in said and "javascript:" not in said
    assert 'href="https://example.org/a?b=1&amp;c=2"' in said and '"onmouseover' not in said


@pytest.mark.parametrize("comparison", [True, False])
def test_it_works_without_a_portfolio_and_without_a_baseline(comparison: bool) -> None:
    results: dict[str, Any] = {**regression()}
    results.pop("portfolio", None)
    if not comparison:
        results["comparison"] = None
    said = plain(evidence.header(results, None))  # type: ignore[arg-type]
    assert f"<h1>{results['task']['title']}</h1>" in said and "lower is better" in said
    assert ("no baseline was measured beside it" in said) != comparison


def test_the_card_holds_its_pictures_and_fetches_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", classifier())
    (run.folder / "picture.png").write_bytes(png())
    run.inputs.mkdir()
    (run.inputs / "1.png").write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png())
    run.card.write_text(
        "---\nlicense: mit\n---\n# Title\n![result](picture.png) ![ours](inputs/1.png) "
        "![badge](https://example.org/a.svg) ![out](../secret.png) ![gone](gone.png)\n```python\nprint()\n```\n",
        encoding="utf-8",
    )
    card = evidence.card(run)
    assert "license" not in card and "# Title" not in card and "```python" not in card
    assert card.count("](") == 1 and "![ours](data:image/png;base64," in card
    assert all(word in card for word in ("badge", "out", "gone")) and "result" not in card


@pytest.mark.parametrize("hostile", ["![" * 100_000, "![a](" * 40_000, f"![a]({'b' * 5_000})", "![a](b\0)"])
def test_a_card_of_a_stranger_is_shown_at_once(tmp_path: Path, hostile: str) -> None:
    run = write_run(tmp_path / "tiny", classifier())
    run.card.write_text(hostile, encoding="utf-8")
    started = time.perf_counter()
    assert "data:" not in evidence.card(run)
    assert time.perf_counter() - started < 5


def test_a_shared_link_says_the_result_and_has_the_runs_picture(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", {**classifier(), "portfolio": WORDS})
    results = {**classifier(), "portfolio": WORDS}
    assert evidence.link(run, results, None).picture is None  # type: ignore[arg-type]
    (run.folder / "picture.png").write_bytes(png())
    link = evidence.link(run, results, None)  # type: ignore[arg-type]
    assert link.title == WORDS["question"] and link.picture == png()
    assert "The fine-tuned model gets" in link.description
