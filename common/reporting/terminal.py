"""results.json as a table in the terminal."""

import shlex

from rich.box import SIMPLE_HEAD
from rich.table import Table

from common.reporting import wording
from common.run import Run
from common.system.files import read_json
from common.system.progress import SafeConsole, console, is_main_process

WIDEST = 10_000


def print_results(run: Run) -> None:
    """Print the table of results and what to do next."""
    if not is_main_process():
        return
    results = read_json(run.results)
    wide = results_table(results)
    table = wide if _width(wide) <= console.width else narrow_table(results)
    said = [wording.sentence(results), wording.elsewhere(results)]
    console.print()
    # As wide as it needs to be: a number that is cut is another number.
    SafeConsole(file=console.file, width=max(_width(table), console.width)).print(table)
    console.print(*(wording.plain(text) for text in said if text))
    for text in wording.missing(results):
        console.print(f"warning: {text.replace('RUN', shlex.quote(str(run.folder)))}")
    command = f"kit predict {results['task']['example']} --run {shlex.quote(str(run.folder))}"
    console.print(f"\nreport:   {run.report}\nnext:     {command}")


def results_table(results: wording.Results) -> Table:
    """The primary metric of the model and its baselines, one row for each test set."""
    metric, kind = results["primary_metric"], wording.primary(results)
    baselines = {name: wording.baseline_short(results, name) for name in results["baseline_titles"]}
    table = _table(kind, "test set", "rows", "fine-tuned", *baselines.values(), "against the best")
    for name, part in wording.parts(results).items():
        model = wording.compact(part["metrics"][metric], kind)
        scores = (_score(part["baselines"].get(baseline), metric, kind) for baseline in baselines)
        table.add_row(wording.printable(name), f"{part['examples']:,}", model, *scores, _against(part, kind))
    return table


def narrow_table(results: wording.Results) -> Table:
    """The same with one row for each method, for terminals that the other is too wide for."""
    metric, kind = results["primary_metric"], wording.primary(results)
    table = _table(kind, "test set", "method", kind["title"])
    for name, part in wording.parts(results).items():
        table.add_row(wording.printable(name), "fine-tuned", wording.compact(part["metrics"][metric], kind))
        for baseline, scores in part["baselines"].items():
            table.add_row("", wording.baseline_short(results, baseline), _score(scores, metric, kind))
        table.add_row(f"({part['examples']:,} rows)", "against the best", _against(part, kind), end_section=True)
    return table


def _table(kind: wording.Kind, *columns: str) -> Table:
    table = Table(
        title=f"{wording.axis(kind)}, with 95 % intervals",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in columns:
        words = column in ("test set", "method")
        table.add_column(column, justify="left" if words else "right", no_wrap=True)
    return table


def _width(table: Table) -> int:
    """Columns of the terminal that a table needs."""
    return console.measure(table, options=console.options.update(max_width=WIDEST)).maximum


def _score(scores: dict[str, wording.Interval] | None, metric: str, kind: wording.Kind) -> str:
    return wording.compact(scores[metric], kind, bounds=False) if scores else ""


def _against(part: wording.Results, kind: wording.Kind) -> str:
    """The difference to the best baseline, if there is one."""
    return wording.compact_difference(part["comparison"], kind) if part["comparison"] else ""
