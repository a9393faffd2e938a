"""The data of the error browser, and the curve of what is answered, as they stand in the report."""

import base64
import html
import io
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from common.reporting import browser as rows_module
from common.reporting import report
from common.reporting.browser import FOUND, INVENTED, MISSED, OTHERWISE, PLAIN, browser, is_right, marked
from common.reporting.browser import _grade as grade_of
from common.reporting.coverage import coverage as curve
from common.reporting.report import content_policy, evidence, render_report, write_report
from common.reporting.wording import printable
from common.run import Run, input_name
from common.system.files import read_json
from common.verify import _pages
from tests.common.reporting import synthetic
from tests.common.reporting.records import answers, coverage, record, with_records

HOSTILE = "</script><script>alert(1)</script><!-- & \u2028\u202e <img src=x onerror=alert(2)> {{ 7 * 7 }}"


def results_of(**change: Any) -> dict[str, Any]:
    return synthetic.classifier() | {"coverage": coverage(["test", "tweets", "letters"], 0.71)} | change


def embedded(page: str) -> dict[str, Any]:
    """The data in a page, as its script reads them."""
    [text] = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    content: dict[str, Any] = json.loads(text)
    return content


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    records = [*answers(80, ["a", "b", "c"]), *answers(20, ["a", "b", "c"], "tweets")]
    return with_records(tmp_path_factory.mktemp("rows") / "run", results_of(), records)


def test_the_page_holds_every_row_once_the_most_confidently_wrong_first(run: Run) -> None:
    found = browser(run, read_json(run.results))
    assert len(found.rows) == 100 and found.measured == {"test": 80, "tweets": 20, "letters": 0}
    assert found.left_out == {} and found.kinds == {"right", "confidence", "unsure", "slices"}
    wrong = [row.confidence or 0 for row in found.rows if row.right is False]
    right = [row.confidence or 0 for row in found.rows if row.right]
    assert len(wrong) == 25 and [row.right for row in found.rows] == [False] * 25 + [True] * 75
    assert wrong == sorted(wrong, reverse=True) and right == sorted(right)
    columns = embedded(render_report(run))["columns"]
    assert {len(column) for column in columns.values()} == {100}
    assert sorted(columns["place"]) == list(range(100))


def test_a_row_says_input_reference_answers_and_how_good_they_are(run: Run) -> None:
    content = embedded(render_report(run))
    columns, texts = content["columns"], content["texts"]
    at = columns["place"].index(4)
    said = {name: texts[columns[name][at]] for name in ("reference", "answer", "baseline", "grade", "baseline_grade")}
    assert said == {"reference": "b", "answer": "c", "baseline": "a", "grade": "wrong", "baseline_grade": "wrong"}
    assert columns["given"][at] == "I have asked about b for 4 days now, and nobody answers me"
    assert columns["name"][at] == "row 4" and columns["confidence"][at] == pytest.approx(0.6243)
    assert [columns[name][at] for name in ("sure", "right", "baseline_right", "leaked")] == [1, 0, 0, 0]
    one = read_json(run.results)["slices"][0]
    assert one["value"] == "short" and columns["slices"][at] == [0]


def test_where_the_best_baseline_is_another_on_each_set_it_is_named(tmp_path: Path) -> None:
    results = results_of()
    results["out_of_domain"]["tweets"]["comparison"]["against"] = "majority"
    guess = {"baselines": {"majority": {"value": "a"}}, "baseline_scores": {"majority": 0.0}}
    rows = [record(1, "a", "a", 1.0), record(2, "b", "b", 1.0, set="tweets", **guess)]
    page = render_report(with_records(tmp_path / "run", results, rows))
    content = embedded(page)
    grades = [content["texts"][index] for index in content["columns"]["baseline_grade"]]
    assert grades == ["wrong (majority)", "right (words)"] and "<th>the best baseline said</th>" in page


def test_a_reason_to_doubt_is_said(tmp_path: Path) -> None:
    doubted = {"value": "a", "confidence": 0.9, "sure": False, "doubt": "unlike its training data"}
    rows = [record(1, "a", "a", 1.0, prediction=doubted), *answers(12, ["a", "b"])]
    content = embedded(render_report(with_records(tmp_path / "run", results_of(), rows)))
    said = [content["texts"][index] for index in content["columns"]["doubt"]]
    assert set(said) == {"", "not sure", "not sure: unlike its training data"}


def test_no_text_ends_the_data_or_is_read_as_a_page(tmp_path: Path) -> None:
    one = record(1, HOSTILE, HOSTILE, 0.0, input=HOSTILE, baselines={"words": {"value": HOSTILE}})
    two = record(2, "a", "b", 0.0, input={HOSTILE: HOSTILE}, id=f"test:{HOSTILE}")
    page = render_report(with_records(tmp_path / "run", results_of(), [one, two]))
    content = embedded(page)
    assert page.count("<script") == 2 and "alert(1)</script>" not in page and "onerror=alert(2)>" not in page
    shown = printable(HOSTILE)
    assert "\u202e" not in shown and "<img src=x" in shown
    [given, fields] = content["columns"]["given"]
    assert given == shown and fields == {"fields": [[shown, content["texts"].index(shown)]]}
    assert content["texts"][content["columns"]["answer"][0]] == shown


def test_the_page_may_run_its_own_script_alone_and_ask_nobody(run: Run) -> None:
    page = render_report(run)
    [policy] = re.findall(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', page)
    assert html.unescape(policy) == content_policy()
    assert "default-src 'none'" in content_policy() and "unsafe" not in content_policy().split("style-src")[0]
    assert not re.search(r"\son\w+=", page), "no element has a script of its own"


def test_without_rows_the_report_holds_none_and_is_still_what_the_results_give(run: Run) -> None:
    asked = "I have asked about"
    assert render_report(run).count(asked) == 100
    page = write_report(run, with_rows=False).read_text(encoding="utf-8")
    assert asked not in page and "a *film*" not in page and "application/json" not in page
    differ = [one.where for one in _pages(run, read_json(run.results))[1]]
    assert "README.md of the run" in differ and "report.html of the run" not in differ
    run.report.write_text(page.replace("Training", "training"), encoding="utf-8")
    assert "report.html of the run" in [one.where for one in _pages(run, read_json(run.results))[1]]


def test_kept_results_without_predictions_and_a_demo_have_no_browser(run: Run, tmp_path: Path) -> None:
    assert "application/json" not in render_report(synthetic.write_run(tmp_path / "run", results_of()))
    shown = evidence(run)
    assert "application/json" not in shown and "<script" not in shown and "a *film*" in shown


def test_other_predictions_than_the_measured_ones_are_not_shown(tmp_path: Path) -> None:
    run = with_records(tmp_path / "run", results_of(), answers(3, ["a", "b"]))
    with run.predictions.open("a", encoding="utf-8") as file:
        file.write("\n")
    absent: list[str] = []
    page = render_report(run, absent)
    assert "predictions.jsonl is not the file that was measured" in absent[0] and "application/json" not in page
    assert "a *film*" in page, "the worst errors stand in the results"


def test_records_of_an_earlier_version_are_said_to_be(tmp_path: Path) -> None:
    old = [{name: part for name, part in one.items() if name != "score"} for one in answers(3, ["a", "b"])]
    absent: list[str] = []
    render_report(with_records(tmp_path / "run", results_of(), old), absent)
    assert "an earlier version of the kit" in absent[0] and "kit evaluate" in absent[0]


def test_what_does_not_fit_are_the_best_answers_of_other_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MOST_BYTES", 6_000)
    records = [one for name in ("test", "tweets", "letters") for one in answers(40, ["a", "b"], name)]
    run = with_records(tmp_path / "run", results_of(), records)
    found = browser(run, read_json(run.results))
    left = found.left_out
    assert left.keys() == {"tweets", "letters"} and abs(left["tweets"] - left["letters"]) <= 1 < left["letters"]
    kept = [row for row in found.rows if row.set == "tweets"]
    assert [row.right for row in kept] == sorted((row.right for row in kept), key=bool)
    assert sum(row.right is False for row in kept) == 10, "all wrong ones come before any right one"
    assert f"letters ({left['letters']} of 40)" in render_report(run)


def test_long_texts_are_quoted_in_part_and_the_page_says_so(tmp_path: Path) -> None:
    run = with_records(tmp_path / "run", results_of(), [record(1, "a", "b", 0.0, input="A long letter. " * 2_000)])
    page = render_report(run)
    assert "… (30,000 characters)" in embedded(page)["columns"]["given"][0]
    assert "Long texts are quoted, and searched, in part." in page


def test_spans_are_marked_by_what_became_of_them() -> None:
    text = "use torch.nn and numpy, or jax"
    nn, numpy, jax = (4, 12, "API"), (17, 22, "API"), (27, 30, "API")
    parts = marked(text, [nn, numpy], [nn, jax])
    assert "".join(part for part, _ in parts) == text
    assert [(part, what) for part, what in parts if what != PLAIN] == [
        ("torch.nn", FOUND),
        ("numpy", MISSED),
        ("jax", INVENTED),
    ]
    assert marked(text, [nn], [(4, 9, "API")]) == [
        ("use ", PLAIN),
        ("torch", OTHERWISE),
        (".nn", MISSED),
        (" and numpy, or jax", PLAIN),
    ]
    assert marked("jax", [(0, 3, "API")], [(0, 3, "PERSON")]) == [("jax", OTHERWISE)]
    assert marked("none", [], []) == [("none", PLAIN)]


def test_rows_with_spans_show_them_in_the_text_and_in_words(tmp_path: Path) -> None:
    span = {"start": 4, "end": 7, "label": "API"}
    unknown = {"start": 0, "end": 3, "label": None}
    words = {"reference": "jax (API)", "prediction": "", "baselines": {"table": "jax (API)"}}
    own = {"baselines": {"table": {"value": [span]}}, "baseline_scores": {"table": 1.0}, "words": words}
    one = record(1, [unknown, span], [], 0.25, input="use jax 🎉", **own)
    run = with_records(tmp_path / "run", synthetic.spans(tmp_path), [one])
    page = render_report(run)
    content = embedded(page)
    assert content["columns"]["given"] == [{"marks": [["use ", PLAIN], ["jax", MISSED], [" 🎉", PLAIN]]}]
    texts = [content["texts"][content["columns"][name][0]] for name in ("reference", "answer", "grade")]
    assert [text.replace("\u202f", " ") for text in texts] == ["jax (API)", "(nothing)", "F1 25.0 %"]
    assert 'class="missed"' in page and "faultless" in page


def test_of_a_number_that_is_the_better_the_larger_no_row_is_right() -> None:
    number = synthetic.CORRELATION
    assert is_right(1.0, number) is None and is_right(None, synthetic.ACCURACY) is None
    assert is_right(0.0, synthetic.ERROR) is True and is_right(0.1, synthetic.ERROR) is False
    assert is_right(1.0, synthetic.F1) is True and is_right(0.99, synthetic.F1) is False


def test_a_grade_counts_what_is_right() -> None:
    span = {"start": 4, "end": 7, "label": "API"}
    other, wrong = span | {"start": 9, "end": 12}, span | {"label": "PERSON"}

    def grade(score: float, reference: Any, answer: Any) -> str:
        return grade_of(score, synthetic.F1, reference, answer).replace("\u202f", " ")

    assert grade(0.0, [span], [wrong]) == "wrong" and grade(1.0, [], []) == "right"
    assert grade(0.67, [span, other], [span]) == "1 of 2 right"
    assert grade(0.5, [span, other], [span, wrong]) == "1 of 2 right, 1 wrong"
    assert grade(0.33, [{"document": "tar", "relevance": 1.0}], ["zip", "ar", "tar"]) == "at rank 3"
    assert grade(0.4, "a film", "the film") == "F1 40.0 %"
    assert grade_of(1.5, synthetic.ERROR, 1.0, 2.5) == "mean absolute error 1.50"


def test_an_empty_answer_has_the_projects_name_and_can_be_chosen(tmp_path: Path, monkeypatch: Any) -> None:
    own = tmp_path / "projects/spans/templates/nothing.j2"
    results = synthetic.spans(tmp_path)
    own.write_text("no names\n", encoding="utf-8")
    monkeypatch.setattr(report, "REPOSITORY", tmp_path)
    span = {"start": 4, "end": 7, "label": "API"}
    none = {"baselines": {"table": {"value": []}}, "baseline_scores": {"table": 0.0}, "input": "use jax here"}
    rows = [record(1, [], [span], 0.0, **none), record(2, [span], [], 0.0, **none)]
    page = render_report(with_records(tmp_path / "run", results, rows))
    content = embedded(page)
    said = [[content["texts"][index] for index in content["columns"][name]] for name in ("reference", "answer")]
    assert said[0][0] == said[1][1] == "no names" and content["columns"]["nothing"] == [1, 0]
    assert '<option value="1">no names</option>' in page and "(nothing)" not in page


def test_rows_show_the_pictures_that_the_run_kept_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = with_records(tmp_path / "run", results_of(), answers(12, ["a", "b"]))
    run.inputs.mkdir()
    for number, side in ((1, 20), (4, 400)):
        Image.new("RGB", (side, side // 2), "red").save(run.inputs / f"{input_name(f'test:{number}')}.png")
    found = browser(run, read_json(run.results)).pictures
    assert found["test:1"].startswith("data:image/png;base64,")
    small = Image.open(io.BytesIO(base64.b64decode(found["test:4"].partition(",")[2])))
    assert small.size == (96, 48) and found.keys() == {"test:1", "test:4"}
    page = render_report(run)
    assert "search in file names" in page and "The run kept 2 pictures" in page
    assert sorted(embedded(page)["pictures"].values()) == sorted(found.values())
    monkeypatch.setattr(rows_module, "MOST_PICTURES", len(found["test:4"]))
    assert browser(run, read_json(run.results)).pictures.keys() == {"test:4"}, "the worst row's is kept"


def test_errors_that_are_numbers_are_sorted_by_their_size(tmp_path: Path) -> None:
    results = synthetic.regression()
    own: dict[str, Any] = {"baselines": {"mean": {"value": 5.0}}, "baseline_scores": {"mean": 1.0}}
    records = [record(n, 5.0, 5.0 + n, float(n), **own) for n in (1, 4, 0, 2)]
    page = render_report(with_records(tmp_path / "run", results, records))
    content = embedded(page)
    assert (
        "The worst ones first, before all those that a baseline does better." in page and "confidently" not in page
    ), "it has no confidence"
    assert content["columns"]["place"] == [1, 3, 0, 2]
    assert content["texts"][content["columns"]["grade"][0]] == "mean absolute error 4.00"


def test_the_curve_is_drawn_and_a_page_without_a_script_has_it_in_numbers(run: Run) -> None:
    found = curve(read_json(run.results))
    assert found.sets == ["test", "tweets", "letters"] and found.start == 2
    assert [point.answered.replace("\u202f", " ") for point in found.thresholds[2].points] == [
        "80.0 %",
        "70.0 %",
        "60.0 %",
    ]
    assert found.thresholds[-1].points[0].score == "too few" and len(found.line(0)) == 4
    assert [point.x for point in found.line(0)] == [40.0, 80.0, 90.0, 100.0]
    heights = [height for _, _, height in found.names]
    assert len(heights) == 3 and all(above - below >= 8 for below, above in itertools.pairwise(heights))
    page = render_report(run)
    [drawn] = re.findall(r'<div class="two coverage".*?</figure>', page, re.DOTALL)
    assert drawn.count("<polyline") == 3 and drawn.count("<circle") == 3
    assert found.up.low < 95, "a short axis makes a cliff of a few errors"
    assert "71.0\u202f% (chosen)" in page and "How sure must it be?" in evidence(run)


def test_a_task_without_a_confidence_has_no_curve(pages: dict[str, Run]) -> None:
    assert "How sure must it be?" not in pages["regression"].report.read_text(encoding="utf-8")
