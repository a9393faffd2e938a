"""results.json in the terminal: the table, the verdict in a panel, and what to do next."""

import shlex
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from common.reporting import wording
from common.run import Run
from common.system.files import read_json
from common.system.progress import console, is_main_process, say, say_pairs, say_table, table_width
from common.system.terminal import on_one_line, printable

# Columns of the panel: longer lines are hard to read.
PANEL = 100
COLOURS = {"better": "green", "unclear": "yellow", "worse": "bold red"}


def print_results(run: Run) -> None:
    """Print the table of results, the verdict, and what to do next."""
    if not is_main_process():
        return
    results = read_json(run.results)
    table = results_table(results)
    say()
    if table_width(table) <= console.width:
        say_table(table)
    else:
        print_list(results)
    print_verdict(results)
    folder = shlex.quote(str(run.folder))
    for text in wording.missing(results):
        say(f"warning: {text.replace('RUN', folder)}")
    say()
    _say_file("report:", run.report)
    _say_file("card:", run.card)
    say("\nnext:")
    say_pairs(
        {
            "show it": f"kit demo {folder}",
            "ask it": f"kit predict {results['task']['example']} --run {folder}",
            "your rows": f"kit train {results['project']} --help",
        },
        whole=True,
    )


def print_verdict(results: wording.Results) -> None:
    """Print the result in sentences, in a panel where the output is a terminal."""
    said = " ".join(wording.plain(text) for text in (wording.sentence(results), wording.elsewhere(results)) if text)
    if not console.is_live:
        say(f"\n{said}")
        return
    question = results.get("portfolio", {}).get("question") or results["task"]["title"]
    colour = COLOURS[_verdict(results, wording.primary(results))]
    title = Text(on_one_line(question), style="bold")
    say()
    panel = Panel(Text(printable(said)), title=title, title_align="left", border_style=colour, padding=(0, 1))
    console.print(panel, width=min(console.width, PANEL), soft_wrap=False)


def _say_file(name: str, file: Path) -> None:
    """Print where a file is; terminals that know links open it by a click."""
    link = Style(link=file.resolve().as_uri())
    console.print(Text.assemble(f"  {name:9}", (printable(str(file)), link)))


def results_table(results: wording.Results) -> Table:
    """The primary metric of the model and its baselines, one row for each test set."""
    metric, kind = results["primary_metric"], wording.primary(results)
    baselines = {name: wording.baseline_short(results, name) for name in results["baseline_titles"]}
    table = Table(
        title=_title(results),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in ("test set", "rows", "fine-tuned", *baselines.values(), "against the best"):
        table.add_column(column, justify="left" if column == "test set" else "right", no_wrap=True)
    for name, part in wording.parts(results).items():
        model = wording.compact(part["metrics"][metric], kind)
        scores = (_score(part["baselines"].get(baseline), metric, kind) for baseline in baselines)
        table.add_row(on_one_line(name), f"{part['examples']:,}", model, *scores, _against(part, kind))
    return table


def print_list(results: wording.Results) -> None:
    """Print the same with a line for each method, for terminals that the table is too wide for."""
    metric, kind = results["primary_metric"], wording.primary(results)
    say(_title(results), style="italic")
    for name, part in wording.parts(results).items():
        lines: dict[str, str | Text] = {"fine-tuned": wording.compact(part["metrics"][metric], kind)}
        for baseline, scores in part["baselines"].items():
            lines[wording.baseline_short(results, baseline)] = _score(scores, metric, kind)
        if part["comparison"]:
            lines["against the best"] = _against(part, kind)
        say(f"{on_one_line(name)} ({part['examples']:,} rows)", style="bold")
        say_pairs(lines)


def _title(results: wording.Results) -> str:
    return f"{wording.axis(wording.primary(results))}, with 95 % intervals"


def _verdict(part: wording.Results, kind: wording.Kind) -> str:
    return wording.verdict(part["comparison"], kind) if part["comparison"] else "unclear"


def _score(scores: dict[str, wording.Interval] | None, metric: str, kind: wording.Kind) -> str:
    return wording.compact(scores[metric], kind, bounds=False) if scores else ""


def _against(part: wording.Results, kind: wording.Kind) -> Text:
    """The difference to the best baseline, in the colour of its verdict, if there is one."""
    said = wording.compact_difference(part["comparison"], kind) if part["comparison"] else ""
    return Text(said, style=COLOURS[_verdict(part, kind)])
