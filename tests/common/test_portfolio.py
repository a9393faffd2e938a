"""portfolio.yaml: read strictly, merged from run to project to author, carried by results.json."""

from pathlib import Path

import pytest

from common import portfolio
from common.portfolio import LINES, PARAGRAPHS, Portfolio, read_portfolio, words_or_warn
from common.reporting.report import refresh_words
from common.system.errors import UserError
from common.system.files import read_json
from common.task.projects import project_names
from tests.common.reporting import synthetic

TASK = {"title": "Text classification", "question": "Which label?", "for_whom": "For sorters."}
PROJECT = project_names()[0]
EMPTY = dict.fromkeys(("author", "language", *PARAGRAPHS), "")


def written(folder: Path, text: str) -> Path:
    file = folder / "portfolio.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "text", ["", "author:\nlinks: {}\nlanguage: ''\nprojects:\n", f"projects: {{{PROJECT}: {{}}}}"]
)
def test_everything_may_be_empty(tmp_path: Path, text: str) -> None:
    words = read_portfolio(written(tmp_path, text)).words(PROJECT, "starter", TASK)
    assert words == {"question": "Which label?", "for_whom": "For sorters.", "links": {}, **EMPTY}
    assert words == read_portfolio(tmp_path / "none.yaml").words(PROJECT, "starter", TASK)
    assert words == Portfolio().words(PROJECT, "starter", TASK)


def test_the_run_goes_before_the_project_and_that_before_the_author(tmp_path: Path) -> None:
    text = f"""
author: " Ada   Lovelace "
links: {{web: https://ada.example, mail: "mailto:ada@example.org", later: }}
language: en
projects:
  {PROJECT}:
    question: Which?
    for_whom: For all.
    links: {{code: http://code.example/x}}
    why_this: |
      Because.

      <b>Yes</b>
  {PROJECT}/cafe:
    question: "Is it: good?"
    for_whom: ""
    language: pt-BR
    links: {{web: https://cafe.example}}
"""
    found = read_portfolio(written(tmp_path, text))
    cafe, other = found.words(PROJECT, "cafe", TASK), found.words(PROJECT, "other", TASK)
    assert [cafe[name] for name in LINES] == ["Is it: good?", "For all."]
    assert cafe["author"] == "Ada Lovelace" and cafe["language"] == "pt-BR" and other["language"] == "en"
    assert cafe["why_this"] == other["why_this"] == "Because.\n\n<b>Yes</b>"
    assert list(cafe["links"].items()) == [
        ("web", "https://cafe.example"),
        ("code", "http://code.example/x"),
        ("mail", "mailto:ada@example.org"),
    ]
    assert list(other["links"]) == ["code", "web", "mail"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("author: a\nautor: b", "line 2: there is nothing called autor (did you mean author?)"),
        ("author: a\nauthor: b", "line 2: author stands here twice"),
        ("author: [a]", "line 1: author is a text, not a list or a table"),
        ("author: !!python/name:os.system", "author has a YAML tag"),
        (f"author: {'a' * 81}", "author has 81 characters: at most 80"),
        ("language: English!", "is no code of a language"),
        ("links: https://a.example", "line 1: this is no table"),
        ("links: {a: [b]}", "is a text, not a list"),
        ("links:\n  demo: javascript:alert(1)", "line 2: javascript:alert(1) is no address"),
        ("links: {a: 'data:text/html,x'}", "is no address"),
        ("links: {a: 'https:///x'}", "is no address"),
        ("links: {a: 'https://a.example/\"onclick'}", "is no address"),
        ("- a", "line 1: this is no table"),
        ("projects: {nothing_like_it: {}}", "there is no project nothing_like_it"),
        (
            f"projects:\n  {PROJECT}:\n    qestion: x",
            "line 3: there is nothing called qestion (did you mean question?)",
        ),
        (f"projects:\n  {PROJECT}: x", "line 2: this is no table"),
        (f"projects: {{{PROJECT}: {{question: [x]}}}}", "question is a text"),
        ("author: 'a", "is no YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_portfolio(written(tmp_path, text))
    assert said in str(caught.value) and "portfolio.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_the_file_of_the_repository_can_be_read() -> None:
    read_portfolio()


def test_a_damaged_file_costs_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(portfolio, "FILE", written(tmp_path, "autor: b"))
    assert words_or_warn(PROJECT, "starter", TASK)["question"] == "Which label?"
    assert "nothing called autor" in capsys.readouterr().out


def test_a_report_written_again_has_the_new_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio, "project_names", lambda: ["regression"])
    text = "author: Ada\nprojects: {regression/tiny: {question: 'Q?'}}"
    monkeypatch.setattr(portfolio, "FILE", written(tmp_path, text))
    run = synthetic.write_run(tmp_path / "run", synthetic.regression())
    refresh_words(run)
    results = read_json(run.results)
    assert (results["portfolio"]["author"], results["portfolio"]["question"]) == ("Ada", "Q?")
    assert results["portfolio"]["for_whom"] == "For those who ask."
    before = run.results.stat().st_mtime_ns
    refresh_words(run)
    assert run.results.stat().st_mtime_ns == before and list(results) == list(synthetic.regression())
