"""The report stands alone, in the terms of the project's own metrics."""

import copy
import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from common.reporting import card, report
from common.reporting.report import evidence, render_report, write_report
from common.reporting.wording import plain
from common.run import REPOSITORY, Run
from common.system.errors import UserError
from common.system.files import write_json
from tests.common.reporting import synthetic

OWN = {"classifier": 10, "regression": 7, "spans": 8}


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def text_of(page: str) -> str:
    """What a reader sees, on one line, with plain spaces and hyphens."""
    without_style = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(plain(re.sub(r"<[^>]+>", " ", without_style)).split())


@pytest.mark.parametrize("project", OWN)
def test_the_page_asks_for_nothing_from_outside_and_has_every_part(pages: dict[str, Run], project: str) -> None:
    page = pages[project].report.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    assert len(headings(page)) == OWN[project]
    assert page.count('<div class="chart comparison">') == 1 and page.count('<figure class="chart lines">') == 2
    assert "<img" not in page
    assert "undefined" not in page and "None" not in page and not re.search(r"\bnan\b", page)


def test_the_same_page_is_drawn_again(finished_run: Run) -> None:
    page = finished_run.report.read_text(encoding="utf-8")
    assert page == render_report(finished_run)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    without_script = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert page.count("<script") == 2, "the test rows, and what shows them"
    assert "undefined" not in without_script and "None" not in without_script
    asked = ["When it is not sure", "Can the confidence be believed?", "What it confuses"]
    assert [name for name in headings(page) if name in asked] == asked


def test_a_number_is_no_share(pages: dict[str, Run]) -> None:
    page = text_of(pages["regression"].report.read_text(encoding="utf-8"))
    assert "0.42 (0.39 to 0.45)" in page and page.count("1.31 to 1.53") == 1
    assert "2.32 on letters, its weakest test set (60 rows: too few groups for an interval)" in page
    assert "mean absolute error, lower is better, on 2,014 test rows (1.31 to 1.53)" in page
    assert "142" not in page and " points" not in page
    shares = set(re.findall(r"([\d.]+) %", page))
    assert shares == {"95", "1.3", "40.0"}, "of intervals, of the time waiting for data, of answers that change"


def test_what_is_found_unlike_the_training_data_is_said_of_every_set(tmp_path: Path) -> None:
    results = synthetic.classifier()
    results["sections"]["unlike"] = {
        "farthest": 0.4427,
        "meaningless": {"random letters": 0.99},
        "doubt": "unlike its training data",
        "remembered": 3_000,
    }
    parts = [{"examples": 20, "metrics": {"accuracy": synthetic.interval(value)}} for value in (0.6123, 0.8741)]
    results["doubted"] = {"share": 0.0412, "those": parts[0], "others": parts[1]}
    run = synthetic.write_run(tmp_path / "run", results)
    page, text = plain(render_report(run)), plain(card.render_card(run))
    assert "cannot be shown" not in page
    for said in ("unlike its training data", "4.1 %", "99.0 %", "random letters"):
        assert said in page and said in text
    assert {"61.2 %", "87.4 %", "0.443"} <= set(re.findall(r"\d+\.\d+(?: %)?", page))


def test_a_section_has_a_template_of_its_project(pages: dict[str, Run]) -> None:
    page = text_of(pages["spans"].report.read_text(encoding="utf-8"))
    assert "Types of spans API: 50.0 % (48.5 to 51.5)" in page
    assert "start: 4, end: 9, label: API (nothing)" in page, "reference and answer of an error"
    assert "of its answers are sure; on those its F1 is 57.0 % (55.5 to 58.5)" in page
    assert "Below a confidence" not in page, "it has no threshold"


@pytest.mark.parametrize("broken", [{"task": {}}, {"metric_kinds": []}, {"comparison": [1]}, {"examples": "many"}])
def test_what_every_page_has_must_be_there(tmp_path: Path, broken: dict[str, Any]) -> None:
    results = synthetic.regression() | broken
    with pytest.raises(UserError, match=r"another version of the kit.*kit evaluate"):
        render_report(synthetic.write_run(tmp_path / "run", results))


@pytest.mark.parametrize(
    ("broken", "said", "heading"),
    [
        ({"sections": {"curiosities": {}}}, "The section curiosities cannot be shown", None),
        ({"slices": [{"slice": "length"}]}, "The table of slices cannot be shown", "Where it is better and worse"),
        ({"inference": {}}, "The speed cannot be shown", "Speed"),
        ({"sections": {"confusion": {"pairs": 3}}}, "The section confusion cannot be shown", "What it confuses"),
    ],
)
def test_a_part_that_fails_is_replaced_by_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: dict[str, Any], said: str, heading: str | None
) -> None:
    run = synthetic.write_run(tmp_path / "run", synthetic.regression() | broken)
    page = write_report(run).read_text(encoding="utf-8")
    assert said in text_of(page) and heading not in headings(page)
    assert {"Against the baselines", "Training", "Make it again"} <= set(headings(page))
    assert f"warning: report.html: {said}" in capsys.readouterr().out
    assert page == render_report(run)


def test_curves_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run", synthetic.regression())
    run.metrics.write_text("no json", encoding="utf-8")
    page = render_report(run)
    assert "The course of the training cannot be shown (JSONDecodeError" in text_of(page)
    assert "Against the baselines" in headings(page)


def test_what_could_not_be_measured_is_said(tmp_path: Path) -> None:
    """As the evaluation writes it down: a baseline that failed, then all of them; no timing; no slices."""
    results = synthetic.classifier()
    results["failed"] = [{"what": "the baseline words", "why": "ValueError: no <words>"}]
    results["inference"] |= {"p50_ms": None, "p95_ms": None}
    results["slices"], results["comparison"], results["baselines"], results["baseline_titles"] = [], None, {}, {}
    for part in results["out_of_domain"].values():
        part |= {"comparison": None, "baselines": {}}
    page = write_report(synthetic.write_run(tmp_path / "run", results)).read_text(encoding="utf-8")
    text = html.unescape(text_of(page))
    assert "The baseline words could not be measured: ValueError: no <words>. `kit evaluate RUN` tries again." in text
    assert "No baseline was measured beside it" in text and "One question takes" not in text
    assert "cannot be shown" not in text and 'class="pill' not in page


def test_a_busy_machine_and_calm_ones_are_told_apart(tmp_path: Path) -> None:
    results = synthetic.classifier()
    calm = text_of(render_report(synthetic.write_run(tmp_path / "calm", results)))
    assert "One question takes 22.9 ms (95 % of them under 33.0 ms)." in calm
    results["inference"]["calm"] = False
    busy = text_of(render_report(synthetic.write_run(tmp_path / "busy", results)))
    assert "One question takes 22.9 ms at the median; other programs ran" in busy and "33.0" not in busy


def calibrated(**change: Any) -> dict[str, Any]:
    results = synthetic.classifier()
    results["sections"]["calibration"] |= change
    return results


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (synthetic.interval(-0.02, 0.01), "makes the confidence better: the negative log-likelihood changes by -0.020"),
        (synthetic.interval(0.02, 0.01), "makes the confidence worse on the test split: the negative log-likelihood"),
        (synthetic.interval(0.001, 0.01), "changed nothing that could be told from chance: the negative log-like"),
    ],
)
def test_what_the_temperature_did_is_said(tmp_path: Path, change: dict[str, float], said: str) -> None:
    difference = {**change, "difference": change["value"], "p_value": 0.001}
    run = synthetic.write_run(tmp_path / "run", calibrated(change=difference))
    page = text_of(render_report(run))
    assert said in page and "fitted on 806 validation rows" in page
    assert said in " ".join(plain(card.render_card(run)).split())


def test_too_few_validation_rows_calibrate_nothing(tmp_path: Path) -> None:
    results = calibrated(change=None, calibrated=False, threshold=None, temperature=1.0)
    results["selective"] |= {"threshold": None, "coverage": 1.0}
    results["training"]["validation_rows"] = 32
    run = synthetic.write_run(tmp_path / "run", results)
    for page in (text_of(render_report(run)), card.render_card(run)):
        assert "It was not calibrated: 32 validation rows are too few for that." in page
        assert "never says that it is not sure" in page and "fitted on" not in page


def test_a_project_may_replace_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "projects/regression/templates"
    own.mkdir(parents=True)
    (own / "evidence.html.j2").write_text("<p>{{ r.examples }} essays</p>")
    monkeypatch.setattr(report, "REPOSITORY", tmp_path)
    assert evidence(synthetic.write_run(tmp_path / "run", synthetic.regression())) == "<p>2014 essays</p>"


def test_the_reliability_diagram_has_a_bar_and_a_dot_for_each_bin(pages: dict[str, Run]) -> None:
    page = pages["classifier"].report.read_text(encoding="utf-8")
    [drawing] = re.findall(r'<figure class="chart">.*?</figure>', page, re.DOTALL)
    assert drawing.count("<rect") == drawing.count("<circle") == 10
    assert "right in %" in drawing and "0.026" in page
    # The last bin, of 742 examples, is the darkest: confidence 14/15 to 1, of which 0.947 are right.
    assert re.search(r'x="327\.5" width="17\.0"\s+y="21\.33" height="236\.67"\s+fill-opacity="0\.95"', drawing)
    assert "742 examples: confidence 97.0 %, right 94.7 %" in plain(drawing)


def test_the_confusion_matrix_is_text_shaded_by_the_rows_share(pages: dict[str, Run]) -> None:
    page = pages["classifier"].report.read_text(encoding="utf-8")
    [table] = re.findall(r'<table class="matrix">.*?</table>', page, re.DOTALL)
    cells = re.findall(r'<td style="--share: ([\d.]+)">([\d,]*)</td>', table)
    assert cells[:3] == [("0.867", "880"), ("0.118", "120"), ("0.015", "15")]
    assert cells[6] == ("0.0", ""), "no row of the last label got the first"
    assert table.count("إيجابي جدا") == 2 and "the model said" in table and "right label" in table


def test_long_names_of_columns_are_numbered(tmp_path: Path) -> None:
    results = synthetic.classifier()
    results["sections"]["confusion"]["labels"][0] = "a billing question about a delivery that was delayed " * 2
    page = render_report(synthetic.write_run(tmp_path / "run", results))
    [table] = re.findall(r'<table class="matrix">.*?</table>', page, re.DOTALL)
    assert [html.unescape(name) for name in re.findall(r'<th scope="col"><span>(.*?)</span>', table)] == ["1", "2", "3"]
    assert '<th scope="row">1 a billing question about' in table


def test_long_lists_are_folded(pages: dict[str, Run], tmp_path: Path) -> None:
    tested, numbers = "How the differences are tested", "The other metrics"
    page = pages["classifier"].report.read_text(encoding="utf-8")
    assert re.findall(r"<summary>(.*?)</summary>", page) == [
        tested,
        numbers,
        "label: 25 values",
        "Precision, recall and F1 of all 3 labels, the lowest F1 first",
    ]
    results = synthetic.many_labels(synthetic.classifier())
    results["worst_errors"] *= 8
    folded = write_report(synthetic.write_run(tmp_path / "run", results)).read_text(encoding="utf-8")
    assert re.findall(r"<summary>(.*?)</summary>", folded) == [
        tested,
        numbers,
        "11 more",
        "label: 25 values",
        "Precision, recall and F1 of all 24 labels, the lowest F1 first",
    ]
    assert 'class="matrix many turned"' in folded


def test_the_chart_shows_every_method_of_every_test_set(pages: dict[str, Run]) -> None:
    page = pages["classifier"].report.read_text(encoding="utf-8")
    [chart] = re.findall(r'<div class="chart comparison">.*?</ul>\s*</div>', page, re.DOTALL)
    assert chart.count('<div class="row">') == 3 and chart.count('class="dot model"') == 4, "three rows and the key"
    assert re.findall(r'<b class="pill (\w+)">(.*?)</b>', chart) == [
        ("better", "+6.6 points"),
        ("worse", "\u22127.8 points"),
        ("unclear", "+1.1 points"),
    ]
    texts = [plain(text) for text in re.findall(r"</i>(.*?)</li>", chart)]
    assert texts[:2] == ["majority 50.4 %", "words 79.8 %"], "in words, too, for those who cannot hover"
    assert [plain(text) for text in re.findall(r'title="(.*?)"', chart)][:3] == [
        "majority: 50.4 % (48.9 to 51.9)",
        "words: 79.8 % (78.3 to 81.3)",
        "fine-tuned: 86.4 % (84.9 to 87.9)",
    ]
    assert all(0 <= float(at) <= 100 for at in re.findall(r"left: ([\d.-]+)%", chart))


def test_one_short_name_for_each_baseline(pages: dict[str, Run]) -> None:
    """The long one explains it, once, in the key."""
    text = text_of(pages["classifier"].report.read_text(encoding="utf-8"))
    assert text.count("TF-IDF + logistic regression") == 1


def test_a_number_is_said_once(pages: dict[str, Run]) -> None:
    """In the row of its test set; the tiles repeat those of the first row and the worst one."""
    text = text_of(pages["classifier"].report.read_text(encoding="utf-8").split("<body>")[1])
    for number, times in {"86.4 %": 2, "+1.1 points": 1, "84.9 to 87.9": 1, "93.0 %": 1, "79.6 %": 1}.items():
        assert text.count(number) == times, number


def test_the_first_screen_says_question_author_and_verdict(tmp_path: Path) -> None:
    results = synthetic.classifier()
    results["portfolio"] |= {"question": "Is it <good>?", "author": "Ada", "why_this": "One.\n\nTwo.", "language": "en"}
    results["portfolio"]["links"] = {"code": "https://code.example/a?b=1&c=2", "x": "javascript:alert(1)"}
    page = render_report(synthetic.write_run(tmp_path / "run", results))
    top = text_of(page.split("<body>")[1])
    assert top.startswith(
        "Text classification · fine-tuned model Is it &lt;good&gt;? For those who ask. by Ada code "
        "x: javascript:alert(1) 20 Nov"
    )
    assert "20 November 2026 trained in 4.3 minutes on a CPU, 2 cores" in top
    assert (
        "It beats the best baseline on its own test rows, loses to the baseline “words” on tweets , and is not clearly "
        "different from the best baseline on letters." in top
    )
    assert "<b>loses to the baseline “words” on tweets</b>" in page
    assert (
        '<a href="https://code.example/a?b=1&amp;c=2" rel="noopener noreferrer">code</a>' in page
        and page.count("<a ") == 1
    )
    assert (
        '<meta property="og:title" content="Is it &lt;good&gt;?">' in page
        and '<meta name="author" content="Ada">' in page
    )
    assert headings(page)[1] == "Why this" and "What surprised me" not in page


def test_words_that_nobody_wrote_take_no_room(pages: dict[str, Run]) -> None:
    page = pages["regression"].report.read_text(encoding="utf-8")
    assert 'class="words"' not in page and 'name="author"' not in page and "<a " not in page


HOSTILE = "<script>$x$</script> | __init__ ![p](http://a.example/p.png)\n\n# Heading\u202e {{ 7 * 7 }}"


def hostile(value: Any) -> Any:
    """Results whose every text of users is hostile."""
    if isinstance(value, dict):
        known = ("input", "reference", "prediction", "label", "slice", "value", "why", "text", "where", "problem")
        return {
            key: HOSTILE if key in known and isinstance(child, str) else hostile(child) for key, child in value.items()
        }
    return [hostile(child) for child in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    results = hostile(copy.deepcopy(synthetic.classifier()))
    results["sections"]["confusion"]["labels"] = [HOSTILE] * 3
    results["out_of_domain"] = {HOSTILE: results["out_of_domain"]["tweets"]}
    results["failed"] = [{"what": "the slices", "why": HOSTILE}]
    results["task"]["about"] = results["run"] = HOSTILE
    results["portfolio"] |= dict.fromkeys(("question", "for_whom", "author", "why_this"), HOSTILE)
    run = synthetic.write_run(tmp_path_factory.mktemp("attacked") / "run", results)
    manifest = hostile(synthetic.manifest())
    manifest["data"] |= {"reference": HOSTILE, "terms": HOSTILE}
    write_json(run.manifest, manifest)
    card.write_pages(run)
    return run


def test_a_page_of_hostile_texts_has_no_element_more(attacked: Run) -> None:
    page = attacked.report.read_text(encoding="utf-8")
    assert "cannot be shown" not in page
    tags = set(re.findall(r"<([a-z0-9]+)", page.split("</style>")[1]))
    assert not tags & {"script", "img", "a", "iframe", "form", "math"}
    assert len(headings(page)) == OWN["classifier"] + 1 and "\u202e" not in page
    assert "{{ 7 * 7 }}" in page and r"\u202e" in page


def test_a_card_of_hostile_texts_reads_as_they_stand(attacked: Run) -> None:
    text = attacked.card.read_text(encoding="utf-8").split("\n---\n", 1)[1]
    page = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert set(re.findall(r"<h[1-6]>", page)) == {"<h1>", "<h2>"} and page.count("<h1>") == 1
    tags = set(re.findall(r"<([a-z0-9]+)", re.sub(r'<img src="picture.png"', "", page)))
    assert tags <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "code", "strong"}
    shown = re.sub(r"\s+", " ", html.unescape(HOSTILE)).replace("\u202e", r"\u202e")
    assert html.unescape(page).count(shown) >= 8


def test_long_documents_are_quoted_in_part(tmp_path: Path) -> None:
    results = synthetic.classifier()
    results["worst_errors"] = [row | {"input": "A long letter. " * 2_000} for row in results["worst_errors"]]
    results["worst_errors"][0]["input"] = {"question": "Why?", "letter": "A long letter. " * 2_000}
    results["worst_errors"] *= 10
    run = synthetic.write_run(tmp_path / "run", results)
    card.write_pages(run)
    assert run.report.stat().st_size < 60_000 and run.card.stat().st_size < 8_000
    assert max(map(len, run.card.read_text(encoding="utf-8").splitlines())) < 1_000
    for page in (run.report, run.card):
        assert "… (30,000 characters)" in page.read_text(encoding="utf-8")


def test_texts_are_escaped_and_visitors_see_no_path(tmp_path: Path) -> None:
    results: dict[str, Any] = synthetic.classifier()
    results["command"] = "accelerate launch train.py --train_file /home/someone/data/train.csv"
    run = synthetic.write_run(tmp_path / "run", results)
    write_report(run)
    page = evidence(run)
    assert "of its &lt;time&gt;" in page and "<time>" not in page
    assert "/home/someone" not in page and "--train_file train.csv" in page


def test_nothing_that_draws_loads_torch_or_a_project() -> None:
    modules = ", ".join(f"common.reporting.{file.stem}" for file in Path(report.__file__).parent.glob("[a-z]*.py"))
    assert modules.count(",") >= 6
    loaded = "[name for name in sys.modules if name.split('.')[0] in ('torch', 'projects')]"
    asked = [sys.executable, "-c", f"import sys, {modules}; print({loaded})"]
    assert subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout == "[]\n"
