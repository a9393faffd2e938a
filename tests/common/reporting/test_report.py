"""The report stands alone, in the terms of the project's own metrics."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.reporting import report
from common.reporting.report import evidence, render_report, write_report
from common.run import REPOSITORY, Run
from common.system.errors import UserError
from common.system.files import write_json
from tests.common.reporting import synthetic

OWN = {"classifier": 11, "regression": 7, "spans": 8}


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def text_of(page: str) -> str:
    """What a reader sees, on one line."""
    without_style = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", without_style).split())


@pytest.mark.parametrize("project", OWN)
def test_the_page_asks_for_nothing_from_outside_and_has_every_part(pages: dict[str, Run], project: str) -> None:
    page = pages[project].report.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    assert len(headings(page)) == OWN[project]
    assert page.count("data:image/svg+xml;base64,") == 2
    assert "undefined" not in page and "None" not in page and not re.search(r"\bnan\b", page)
    assert sorted(file.name for file in (pages[project].folder / "plots").iterdir()) == [
        f"{name}.{kind}" for name in ("comparison", "curves") for kind in ("png", "svg")
    ]


def test_the_same_page_is_drawn_again(finished_run: Run) -> None:
    page = finished_run.report.read_text(encoding="utf-8")
    assert page == render_report(finished_run)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page and "undefined" not in page and "None" not in page
    asked = ["Can the confidence be believed?", "What it confuses", "Label by label", "When it is not sure"]
    assert [name for name in headings(page) if name in asked] == asked


def test_a_number_is_no_share(pages: dict[str, Run]) -> None:
    page = text_of(pages["regression"].report.read_text(encoding="utf-8"))
    assert "1.42 (1.31 to 1.53)" in page and "0.42 (0.39 to 0.45)" in page
    assert "2.32 (too few groups for an interval)" in page
    assert "mean absolute error, lower is better (95 % interval)" in page
    assert "142" not in page and " points" not in page
    shares = set(re.findall(r"([\d.]+) %", page))
    assert shares == {"95", "1.3", "40.0"}, "of intervals, of the time waiting for data, of answers that change"


def test_a_section_has_a_template_of_its_project(pages: dict[str, Run]) -> None:
    page = text_of(pages["spans"].report.read_text(encoding="utf-8"))
    assert "Types of spans API: 50.0 % (48.5 to 51.5)" in page
    assert "start: 4, end: 9, label: API (nothing)" in page, "reference and answer of an error"
    assert "It is sure of 90 % of the test examples, and reaches an F1 of 57.0 % (55.5 to 58.5) on those." in page
    assert "Below a confidence" not in page, "it has no threshold"


def test_a_section_without_a_template_is_an_error(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run", synthetic.regression() | {"sections": {"curiosities": {}}})
    with pytest.raises(UserError, match=r"another version of the kit \(.*sections/curiosities\.html\.j2.*kit evaluate"):
        write_report(run)
    results = synthetic.regression()
    del results["task"]["title"]
    write_json(run.results, results)
    with pytest.raises(UserError, match="another version of the kit"):
        render_report(run)


def test_a_project_may_replace_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "projects/regression/templates"
    own.mkdir(parents=True)
    (own / "evidence.html.j2").write_text("<p>{{ r.examples }} essays</p>")
    monkeypatch.setattr(report, "REPOSITORY", tmp_path)
    assert evidence(synthetic.write_run(tmp_path / "run", synthetic.regression())) == "<p>2014 essays</p>"


def test_the_reliability_diagram_has_a_bar_and_a_dot_for_each_bin(pages: dict[str, Run]) -> None:
    page = pages["classifier"].report.read_text(encoding="utf-8")
    [drawing] = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert drawing.count("<rect") == drawing.count("<circle") == 10
    assert "calibration error 2.6 points" in drawing and "share that is right" in drawing
    # The last bin, of 742 examples, is the darkest: confidence 14/15 to 1, of which 0.947 are right.
    assert re.search(r'x="327\.5" width="17\.0"\s+y="39\.33" height="236\.67"\s+fill-opacity="0\.95"', drawing)
    assert "742 examples: confidence 0.97, right 0.95" in drawing


def test_the_confusion_matrix_is_text_shaded_by_the_rows_share(pages: dict[str, Run]) -> None:
    page = pages["classifier"].report.read_text(encoding="utf-8")
    [table] = re.findall(r'<table class="matrix">.*?</table>', page, re.DOTALL)
    cells = re.findall(r'<td style="--share: ([\d.]+)">([\d,]*)</td>', table)
    assert cells[:3] == [("0.867", "880"), ("0.118", "120"), ("0.015", "15")]
    assert cells[6] == ("0.0", ""), "no row of the last label got the first"
    assert table.count("إيجابي جدا") == 2 and "the model said" in table and "right label" in table


def test_long_lists_are_folded(pages: dict[str, Run], tmp_path: Path) -> None:
    page = pages["classifier"].report.read_text(encoding="utf-8")
    assert re.findall(r"<summary>(.*?)</summary>", page) == ["label: 25 values"]
    many = synthetic.write_run(tmp_path / "run", synthetic.many_labels(synthetic.classifier()))
    folded = write_report(many).read_text(encoding="utf-8")
    assert re.findall(r"<summary>(.*?)</summary>", folded)[0] == "All 24 labels, the lowest F1 first"
    assert 'class="matrix many"' in folded


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
    loaded = "[name for name in sys.modules if name == 'torch' or name.startswith(('common.task', 'projects'))]"
    asked = [sys.executable, "-c", f"import sys, {modules}; print({loaded})"]
    assert subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout == "[]\n"
