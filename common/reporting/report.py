"""results.json as a page that stands alone, and as the evidence that a demo shows."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound, UndefinedError, select_autoescape

from common.reporting import wording
from common.reporting.figures import data_uri, write_figures
from common.run import REPOSITORY, Run, for_visitors
from common.system.errors import UserError
from common.system.files import read_json, write_text

TEMPLATES = Path(__file__).parent / "templates"
# Longer tables are folded.
SHOWN_ROWS = 20
# Marks that would end a cell of a Markdown table, or become HTML or emphasis.
MARKS = {ord(mark): f"&#{ord(mark)};" for mark in "|`*_["} | str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def write_report(run: Run) -> Path:
    """Write plots/ and the self-contained report.html of a run, and return the page's file."""
    steps = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    write_figures(read_json(run.results), steps, run.folder / "plots")
    write_text(run.report, render_report(run))
    return run.report


def render_report(run: Run) -> str:
    """The page of a run, with the figures that are under plots/."""
    return _page("report.html.j2", run, read_json(run.results), read_json(run.manifest))


def evidence(run: Run) -> str:
    """The report without the page around it, for a demo's visitors."""
    return _page("evidence.html.j2", run, for_visitors(read_json(run.results)), for_visitors(read_json(run.manifest)))


def _page(template: str, run: Run, results: wording.Results, manifest: dict[str, Any]) -> str:
    figures = {file.stem: data_uri(file) for file in sorted((run.folder / "plots").glob("*.svg"))}
    inputs = {row["id"]: file for row in results["worst_errors"] if (file := run.input(row["id"]))}
    pictures = {row_id: data_uri(file) for row_id, file in inputs.items()}
    return render(template, run, results, manifest, figures=figures, pictures=pictures, shown_rows=SHOWN_ROWS)


def render(template: str, run: Run, results: wording.Results, manifest: dict[str, Any], **more: Any) -> str:
    """A template filled from a run.  Raises UserError where the results lack something, or a section its template."""
    try:
        context: dict[str, Any] = {
            "sentence": wording.sentence(results),
            "elsewhere": wording.elsewhere(results),
            "sampled": wording.sampled(results),
            "parts": wording.parts(results),
            "primary": results["primary_metric"],
            "kind": wording.primary(results),
        }
        loaded = _environment(results).get_template(template)
        return loaded.render(r=results, m=manifest, **context, **more)
    except (UndefinedError, TemplateNotFound, KeyError) as error:
        reason = f"{run.folder} comes from another version of the kit ({error})"
        raise UserError(f"{reason}: `kit evaluate {run.folder}` measures it again.") from error


def template_folders(project: str) -> list[Path]:
    """Where templates are looked for: a project's own come first."""
    return [REPOSITORY / "projects" / project / "templates", TEMPLATES]


def _environment(results: wording.Results) -> Environment:
    """HTML is escaped, a missing name is an error."""
    environment = Environment(
        loader=FileSystemLoader(template_folders(results["project"])),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    said = (
        wording.number,
        wording.with_interval,
        wording.difference,
        wording.p_value,
        wording.share,
        wording.verdict,
        wording.heading,
        wording.shown,
        wording.achieves,
        cell,
    )
    environment.filters |= {function.__name__: function for function in said}
    environment.filters |= {
        "baseline": lambda name: wording.baseline_title(results, name),
        "count": lambda number: f"{number:,}",
    }
    return environment


def cell(value: Any) -> str:
    """A value as it can stand in a Markdown table: on one line, without marks that have a meaning there."""
    return " ".join(wording.shown(value).translate(MARKS).split())
