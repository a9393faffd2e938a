"""Numbers in READMEs come from projects/NAME/results/*.json, through `kit results NAME`, and so do their pictures.

A project's README asks for a table with `<!-- results: TABLE -->`, that of the repository with `NAME/TABLE`.
"""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from common.portfolio import read_portfolio
from common.reporting import readme_benchmarks, readme_runs, wording
from common.reporting.picture import describe, draw
from common.reporting.readme_runs import NOTHING, SHOWN, Table, projects_table, runs_in
from common.run import Run, project_of, published, understood
from common.system.errors import UserError, nearest
from common.system.files import read_json, write_bytes, write_json, write_text

BLOCK = re.compile(r"(<!-- results: ([\w/]+) -->\n).*?(<!-- end -->)", re.DOTALL)
MEASURED = re.compile(r"^# measured:.*$", re.MULTILINE)
TABLES = {**readme_runs.TABLES, **readme_benchmarks.TABLES}


def keep_results(run: Path, project: Path) -> Path:
    """Copy a run's results beside its project, without the inputs and the paths of this machine, and return the file.

    Raises UserError where the run is not finished, or is one of another project.
    """
    if not Run(run).results.exists():
        raise UserError(f"{run} holds no results: give the folder of a finished run.")
    with understood(run):
        if (other := project_of(read_json(Run(run).results))) != project.name:
            raise UserError(
                f"{run} is a run of {other}, not of {project.name}: `kit results {other} --add {run}` keeps it."
            )
        results = published(Run(run))[0]
        for row in _objects([results["worst_errors"], results["examples_to_try"], results["sections"]]):
            for text_of_the_data in ("input", "reference", "prediction"):
                row.pop(text_of_the_data, None)
    target = project / "results" / f"{run.name}.json"
    target.parent.mkdir(exist_ok=True)
    write_json(target, results)
    return target


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in nested JSON."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(child)


def write_readme(project: Path, only_check: bool = False) -> str:
    """Fill the READMEs' `<!-- results: NAME -->` blocks and the YAML files' `# measured:` lines; say what changed.

    Raises UserError where a block has an unknown name, or, with `only_check`, where a README is behind.
    """
    readmes = sorted(project.rglob("README.md"))
    if not readmes:
        known = [folder.name for folder in project.parent.iterdir() if (folder / "README.md").exists()]
        raise UserError(
            f"there is no project {project.name!r}{nearest(project.name, known)}: there is {', '.join(sorted(known))}."
        )
    content = _content(project)
    if not only_check:
        _refresh_words(project, content)
    texts = {file: (text := file.read_text(encoding="utf-8"), _filled(text, content)) for file in readmes}
    front = project.parent.parent / "README.md"
    if project.parent.name == "projects" and front.exists():
        text = front.read_text(encoding="utf-8")
        tables = {f"{project.name}/{name}": table for name, table in TABLES.items()}
        tables["projects"] = lambda _: projects_table(project.parent)
        texts[front] = (text, _filled(text, content, tables, others=True))
    for file in sorted(project.glob("*.yaml")):
        if file.stem in content:
            text = file.read_text(encoding="utf-8")
            texts[file] = (text, MEASURED.sub(_measured(content[file.stem]), text))
    changed = {file: after for file, (before, after) in texts.items() if after != before}
    drawn = _pictures(project, content)
    if (changed or drawn) and only_check:
        names = ", ".join(map(str, [*changed, *drawn]))
        raise UserError(f"{names} does not show what the results say: run `kit results {project.name}`.")
    for file, after in changed.items():
        write_text(file, after)
    for file, picture in drawn.items():
        write_bytes(file, picture)
    names = ", ".join(
        file.relative_to(project if file.is_relative_to(project) else project.parent.parent).as_posix()
        for file in [*changed, *drawn]
    )
    return (
        f"{names} written from {len(content)} result files"
        if names
        else f"{len(readmes)} READMEs agree with {len(content)} result files"
    )


def _content(project: Path) -> dict[str, Any]:
    """{name: content} of a project's result files."""
    files = sorted((project / "results").glob("*.json"), key=lambda path: path.stem)
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def _refresh_words(project: Path, content: dict[str, Any]) -> None:
    """Write what portfolio.yaml says by now into the results that the headline shows.  Raises UserError as it does."""
    if results := runs_in(content).get(SHOWN):
        described = {"question": results["task"]["title"], **results["task"]}
        words = read_portfolio().words(project.name, SHOWN, described)
        if results.get("portfolio") != words:
            results["portfolio"] = words
            write_json(project / "results" / f"{SHOWN}.json", results)


def _filled(text: str, content: dict[str, Any], tables: dict[str, Table] | None = None, others: bool = False) -> str:
    """A README with its blocks filled from the results; where it has `others`, unknown ones are left as they are."""
    known = TABLES if tables is None else tables

    def fill(match: re.Match[str]) -> str:
        if match[2] not in known:
            if others:
                return match[0]
            raise UserError(f"a README asks for an unknown table {match[2]!r}: there is {', '.join(known)}.")
        try:
            table = known[match[2]](content)
        except KeyError:  # its file is not among the results
            table = NOTHING
        return f"{match[1]}\n{table}\n\n{match[3]}"

    return BLOCK.sub(fill, text)


def _pictures(project: Path, content: dict[str, Any]) -> dict[Path, bytes]:
    """{file: picture} of those pictures of the project's result that say something else than the result does."""
    if SHOWN not in content or "primary_metric" not in (results := content[SHOWN]):
        return {}
    files: dict[Literal["light", "dark"], Path] = {
        "light": project / "results" / f"{SHOWN}-light.svg",
        "dark": project / "results" / f"{SHOWN}-dark.svg",
    }
    said = html.escape(describe(results), quote=False)
    behind = {
        theme: file
        for theme, file in files.items()
        if not file.exists() or f">{said}<" not in file.read_text(encoding="utf-8")
    }
    return {file: draw(results, theme, "svg") for theme, file in behind.items()}


def _measured(result: wording.Results) -> str:
    """The line of a YAML file that says what it takes and reaches."""
    training, kind = result["training"], wording.primary(result)
    score = wording.plain(wording.with_interval(result["metrics"][result["primary_metric"]], kind))
    minutes, memory = training["seconds_with_evaluation"] / 60, training["peak_memory_bytes"] / 2**30
    cost = f"training {minutes:.1f} min, {memory:.1f} GiB, on {training['device']} ({training['precision']})"
    return f"# measured: {kind['title']} {score} on {result['examples']:,} test rows; {cost}"
