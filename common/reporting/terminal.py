"""results.json as a table in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from common.reporting import wording
from common.run import Run
from common.system.files import read_json
from common.system.progress import console, is_main_process

WIDEST = 1_000


def print_results(run: Run) -> None:
    """Print the table of results and what to do next."""
    if not is_main_process():
        return
    results = read_json(run.results)
    example = results["task"]["example"]
    console.print()
    table = results_table(results)
    # As wide as it needs to be: a number that is cut is another number.
    needed = console.measure(table, options=console.options.update(max_width=WIDEST)).maximum
    Console(file=console.file, width=max(needed, console.width)).print(table)
    console.print(*filter(None, (wording.sentence(results), wording.elsewhere(results))), markup=False, highlight=False)
    console.print(
        f"\nreport:   {run.report}\nnext:     kit predict {example} --run {run.folder}", markup=False, highlight=False
    )


def results_table(results: wording.Results) -> Table:
    """The primary metric of the model and its baselines on every test set."""
    metric, kind = results["primary_metric"], wording.primary(results)
    title = f"{wording.axis(kind)}, with 95 % intervals"
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False
    )
    baselines = [wording.baseline_short(results, name) for name in results["baselines"]]
    for column in ("test set", "rows", "fine-tuned", *baselines, "against the best"):
        table.add_column(column, justify="left" if column == "test set" else "right", no_wrap=True)
    for name, part in wording.parts(results).items():
        scores = [wording.compact(baseline[metric], kind, bounds=False) for baseline in part["baselines"].values()]
        model = wording.compact(part["metrics"][metric], kind)
        against = wording.compact_difference(part["comparison"], kind)
        table.add_row(name, f"{part['examples']:,}", model, *scores, against)
    return table
