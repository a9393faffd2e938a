"""results.json as a page that stands alone, and as the evidence that a demo shows."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from markupsafe import Markup

from common.portfolio import read_portfolio
from common.reporting import figures, markdown, wording
from common.reporting.balance import balance, leanings
from common.reporting.browser import browser, records
from common.reporting.coverage import coverage
from common.reporting.tiles import tiles
from common.run import REPOSITORY, Run, project_of, published, understood
from common.system.errors import UserError
from common.system.files import read_json, write_json, write_text
from common.system.progress import say

TEMPLATES = Path(__file__).parent / "templates"
# The one script of the report.
SCRIPT = "report.js"
# Longer tables are folded.
SHOWN_ROWS = 20
FILTERS = (
    wording.number,
    wording.with_interval,
    wording.difference,
    wording.difference_alone,
    wording.bounds,
    wording.p_value,
    wording.share,
    wording.unbroken,
    wording.spaced,
    wording.confidence,
    wording.signed,
    wording.verdict,
    wording.heading,
    wording.axis,
    wording.shown,
    wording.excerpt,
    wording.said,
    wording.are_long,
    wording.achieves,
    wording.day,
    wording.model_name,
    wording.took,
    wording.found,
    markdown.fenced,
)

# Words with an interval in them.
INTERVALS = (wording.with_interval, wording.difference, wording.bounds, wording.achieves)


def refresh_words(run: Run) -> None:
    """Write what portfolio.yaml says by now into a run's results.  Raises UserError where it cannot be read."""
    results = read_json(run.results)
    try:
        words = read_portfolio().words(results["project"], results["run"], results["task"])
        known = results.get("portfolio")
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{run.results} is damaged ({error}): `kit evaluate {run.folder}` measures the run again."
        ) from error
    if words != known:
        write_json(run.results, {**results, "portfolio": words})


def write_report(run: Run, with_rows: bool = True) -> Path:
    """Write the self-contained report.html of a run, and return its file; a part that cannot be shown is a warning."""
    absent: list[str] = []
    write_text(run.report, render_report(run, absent, with_rows))
    for sentence in absent:
        say(f"warning: {run.report.name}: {sentence}")
    return run.report


def render_report(run: Run, absent: list[str] | None = None, with_rows: bool = True) -> str:
    """The page of a run, with its test rows or without any; what of it cannot be shown is added to `absent`."""
    results = read_json(run.results)
    more: dict[str, Any] = {}
    if not with_rows:
        results = {**results, "worst_errors": []}
    elif run.predictions.exists():
        more["rows"] = lambda: browser(run, results, _nothing(results))
    return _page("report.html.j2", run, results, read_json(run.manifest), absent, **more)


def evidence(run: Run) -> str:
    """The report without the page around it, for a demo's visitors."""
    with understood(run.folder):
        return _page("evidence.html.j2", run, *published(run))


def _page(
    template: str,
    run: Run,
    results: wording.Results,
    manifest: dict[str, Any],
    absent: list[str] | None = None,
    **parts: Any,
) -> str:
    def picture(row_id: str) -> str | None:
        file = run.input(row_id)
        return figures.data_uri(file) if file else None

    def panels() -> list[figures.Panel]:
        lines = run.metrics.read_text(encoding="utf-8").splitlines()
        return figures.curves(results, [json.loads(line) for line in lines])

    more = {"picture": picture, "panels": panels, "shown_rows": SHOWN_ROWS, **parts}
    if run.predictions.exists():
        more["balance"] = lambda: balance(records(run, results))
    return render(template, run, results, manifest, absent, **more)


def render(
    template: str,
    run: Run,
    results: wording.Results,
    manifest: dict[str, Any],
    absent: list[str] | None = None,
    **more: Any,
) -> str:
    """A template filled from a run, whose parts that fail are replaced by sentences, which are added to `absent`.

    Raises UserError where the results lack what every page has.
    """
    environment = _environment(results, template.endswith(".md.j2"))
    try:
        context = {**_context(results, manifest), **more}

        def part(what: str, name: str, optional: bool = False, **own: Any) -> Markup:
            """The part of the page that a template of its own draws, or a sentence where it cannot."""
            try:
                return Markup(environment.get_template(name).render(**context, part=part, **own))
            except Exception as error:
                if optional and isinstance(error, TemplateNotFound):
                    return Markup("")
                reason = f"there is no template {name}" if isinstance(error, TemplateNotFound) else str(error)
                sentence = f"{what} cannot be shown ({type(error).__name__}: {reason})."
                if absent is not None:
                    absent.append(sentence)
                of_its_kind = environment.get_template("missing" + "".join(Path(template).suffixes))
                return Markup(of_its_kind.render(text=sentence))

        return environment.get_template(template).render(**context, part=part)
    except (TemplateError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = f"{run.folder} comes from another version of the kit ({error})"
        raise UserError(f"{reason}: `kit evaluate {run.folder}` measures it again.") from error


def _context(results: wording.Results, manifest: dict[str, Any]) -> dict[str, Any]:
    """What every template may name."""
    return {
        "r": results,
        "m": manifest,
        "words": results["portfolio"],
        "verdicts": wording.verdicts(results),
        "lead": wording.lead(results),
        "preview": wording.plain(wording.sentence(results)),
        "sentence": wording.sentence(results),
        "elsewhere": wording.elsewhere(results),
        "missing": wording.missing(results),
        "sampled": wording.sampled(results),
        "parts": wording.parts(results),
        "primary": results["primary_metric"],
        "kind": wording.primary(results),
        "nothing": _nothing(results),
    }


def content_policy() -> str:
    """What a browser may do with the report: run its one script, and ask nobody for anything."""
    content = (TEMPLATES / SCRIPT).read_bytes()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def template_folders(project: str) -> list[Path]:
    """Where templates are looked for: a project's own come first."""
    return [REPOSITORY / "projects" / project / "templates", TEMPLATES]


def _environment(results: wording.Results, is_markdown: bool) -> Environment:
    """Every value is text that means nothing in HTML, or in Markdown; a missing name is an error."""
    environment = Environment(
        loader=FileSystemLoader(template_folders(project_of(results))),
        autoescape=True,
        finalize=markdown.inline if is_markdown else _readable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    if not is_markdown:
        environment.filters |= {function.__name__: _on_one_line(function) for function in INTERVALS}
    environment.filters |= {
        "baseline": lambda name: wording.baseline_short(results, name),
        "baseline_title": lambda name: wording.baseline_title(results, name),
        "shape": lambda name: figures.shape(results, name),
        "count": lambda number: f"{number:,}",
    }
    environment.tests["address"] = markdown.is_address
    environment.globals |= {
        "rows_seen": wording.rows_seen,
        "leanings": leanings,
        "scale_of": figures.scale_of,
        "comparison_scale": figures.comparison_scale,
        "off_the_chart": figures.off_the_chart,
        "levels_of": figures.levels,
        "tiles": tiles,
        "coverage": coverage,
        "unsure": wording.unsure,
        "script": (TEMPLATES / SCRIPT).read_text(encoding="utf-8"),
        "policy": content_policy(),
    }
    return environment


def _nothing(results: wording.Results) -> str:
    """What a project calls an answer of nothing: its own templates/nothing.j2 says it."""
    return _environment(results, False).get_template("nothing.j2").render()


def _on_one_line(words: Callable[..., str]) -> Callable[..., str]:
    """The same words, with intervals that no line is broken in."""
    return lambda *given: wording.unbroken(words(*given))


def _readable(value: Any) -> Any:
    """What is written into HTML, which is escaped afterwards."""
    return wording.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
