"""What stands around the answers: whose work it is and how good it is in a line, the evidence, the model card."""

import html
import re
from typing import Any

from apps.parts.link import Link
from common.reporting import report
from common.reporting.figures import data_uri
from common.reporting.markdown import is_address
from common.reporting.wording import (
    Results,
    achieves,
    baseline_title,
    difference,
    elsewhere,
    plain,
    primary,
    printable,
    sentence,
    verdict,
)
from common.run import Run
from common.system.errors import UserError
from common.task.contract import Task

# In the browser, when the evidence is there.
SCRIPT = (report.TEMPLATES / report.SCRIPT).read_text(encoding="utf-8")
# What a card begins with, before its first heading.
INTRODUCTION = re.compile(r"\A---\n.*?\n---\n(?:.*?(?=^## )|\s*# [^\n]*\n)", re.DOTALL | re.MULTILINE)
# A picture in Markdown, and what address it has.
PICTURE = re.compile(r"!\[([^\[\]\n]*)\]\(([^()\s]*)\)")


def title(results: Results | None, task: Task) -> str:
    """The question that the demo answers."""
    if not results:
        return task.title
    return str(words_of(results).get("question") or results["task"]["title"])


def words_of(results: Results) -> dict[str, Any]:
    """What the author says; nothing in results of an older kit."""
    words: dict[str, Any] = results.get("portfolio", {})
    return words


def header(results: Results | None, task: Task) -> str:
    """The question, its author, and the number against the best baseline, as HTML."""
    parts = [f"<h1>{escaped(title(results, task))}</h1>"]
    if results:
        parts += [*_about(results), f'<p class="result">{_result(results)}</p>']
        if losses := elsewhere(results, _clause):
            parts.append(f'<p class="small muted">{losses}</p>')
    return f'<header class="report first">{"".join(parts)}</header>'


def _clause(found: str, clause: str) -> str:
    """A loss is as loud as a gain."""
    return f'<span class="pill clause worse">{escaped(clause)}</span>' if found == "worse" else escaped(clause)


def _about(results: Results) -> list[str]:
    """For whom it is, and by whom, with the author's links."""
    words = words_of(results)
    author, links = words.get("author", ""), words.get("links", {})
    names = [f"by <b>{escaped(author)}</b>"] if author else []
    names += [
        f'<a href="{escaped(address)}" target="_blank" rel="noopener">{escaped(name)}</a>'
        for name, address in links.items()
        if is_address(address)
    ]
    lines = [escaped(words.get("for_whom", "")), " · ".join(names)]
    return [f'<p class="byline">{line}</p>' for line in lines if line]


def _result(results: Results) -> str:
    """The score with its interval, and the difference to the best baseline in the colour of what it is worth."""
    kind, comparison = primary(results), results["comparison"]
    rows = f"{results['examples']:,} test rows"
    achieved = escaped(f"It {achieves(results['metrics'][results['primary_metric']], kind, rows)}")
    if not comparison:
        return f"{achieved}; no baseline was measured beside it."
    pill = f'<span class="pill {verdict(comparison, kind)}">{escaped(difference(comparison, kind))}</span>'
    return f"{achieved}: {pill} against the best baseline, {escaped(baseline_title(results, comparison['against']))}."


def link(run: Run | None, results: Results | None, task: Task) -> Link:
    """What a shared link to the demo shows."""
    if not run or not results:
        return Link(title(results, task))
    picture = run.picture.read_bytes() if run.picture.is_file() else None
    return Link(title(results, task), plain(sentence(results)), picture)


def evidence_html(run: Run | None) -> str:
    """The report, rendered from results.json; `SCRIPT` moves its parts."""
    if run is None:
        return "<p>This model was not measured: it has no run.</p>"
    return f'<div class="report">{report.evidence(run)}</div>'


def card(run: Run | None) -> str:
    """The model card without its metadata and what the page's header says, in Markdown; its pictures are in it."""
    if run is None:
        return "This model has no card: it has no run."

    def inside(match: re.Match[str]) -> str:
        if match[2] == run.picture.name:
            return ""  # it says what the header says
        try:
            file = run.inside(match[2])
            if not file.is_file():
                return match[1]
        except (UserError, OSError, ValueError):  # outside of the run, or no name of a file
            return match[1]
        return f"![{match[1]}]({data_uri(file)})"

    text = INTRODUCTION.sub("", run.card.read_text(encoding="utf-8"))
    text = PICTURE.sub(inside, text)  # the page is not in the run's folder, and fetches nothing from elsewhere
    return text.replace("```python", "```")  # the highlighter's colours are too pale to read


def escaped(text: str) -> str:
    """A text that means nothing in HTML."""
    return html.escape(printable(text))
