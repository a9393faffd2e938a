"""Runs side by side: scores, paired differences where runs share test rows, and the options that they differ in.

A difference is paired where two runs answered the same rows: the same ids, references and inputs. Then it is computed
as the comparison with a baseline is, by the bootstrap (by group where rows belong together) and by McNemar's test
where it applies. Runs that answered other rows stand beside each other with their own intervals, and that is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from common.evaluation.records import Record, read_records
from common.evaluation.results import Measured
from common.metrics.intervals import Bootstrap
from common.predictor import load_task
from common.reporting import wording
from common.reporting.markdown import inline
from common.run import Run, understood
from common.system.errors import UserError
from common.system.files import read_json
from common.system.progress import bar, console, duration, say, say_pairs, say_table, table_width
from common.system.terminal import on_one_line
from common.task.contract import Task

# Options that say nothing of what was trained.
UNSAID = {"run_name", "output_dir", "resume"}
# What is said of a difference.
VERDICTS = {"better": "better", "worse": "worse", "unclear": "not clearly different"}


@dataclass(frozen=True)
class Side:
    """A finished run and how it is called here."""

    name: str
    run: Run

    @cached_property
    def results(self) -> wording.Results:
        results: wording.Results = read_json(self.run.results)
        return results

    @cached_property
    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = read_json(self.run.manifest)["config"]
        return options

    @cached_property
    def sets(self) -> dict[str, list[Record]]:
        """The records of each test set.  Raises UserError where they cannot be read."""
        sets: dict[str, list[Record]] = {}
        try:
            for record in read_records(self.run):
                sets.setdefault(record["set"], []).append(record)
        except (OSError, ValueError, KeyError, TypeError) as error:
            again = f"`kit evaluate {self.run.folder}` writes them again"
            raise UserError(f"{self.run.predictions} cannot be read ({type(error).__name__}): {again}.") from error
        return sets


@dataclass(frozen=True)
class Block:
    """A table: what it is about, the names of its columns, and its rows."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def compare(folders: Sequence[Path]) -> list[Block]:
    """The runs side by side; differences are to the first of them.

    Raises UserError where there are fewer than two, one is not finished, or their metrics are not the same.
    """
    with understood(*folders):
        return _compared(_sides(folders))


def _compared(sides: list[Side]) -> list[Block]:
    kind = wording.primary(sides[0].results)
    names = dict.fromkeys(name for side in sides for name in wording.parts(side.results))
    with bar("comparing"):
        task = load_task(sides[0].run.folder)
        blocks = [_block(name, [side for side in sides if name in wording.parts(side.results)], task) for name in names]
    title = f"{wording.axis(kind)}, with 95 % intervals"
    took = _differing("what they took", [_took(side.results) for side in sides], sides)
    options = _differing("options that differ", [_options(side) for side in sides], sides)
    return [Block(title, [], []), *blocks, options, took]


def _sides(folders: Sequence[Path]) -> list[Side]:
    """The runs by name.  Raises UserError where they cannot be compared."""
    if len({folder.resolve() for folder in folders}) < 2:
        raise UserError("there is nothing to compare: name two runs or more, as in `kit compare first second`.")
    same_name = len({folder.name for folder in folders}) < len(folders)
    sides = [Side(str(folder) if same_name else folder.name, Run(folder)) for folder in folders]
    for side in sides:
        if not side.run.results.exists():
            raise UserError(f"{side.run.folder} is not finished: only what was measured can be compared.")
        first, other = (_measured_by(one.results) for one in (sides[0], side))
        if first != other:
            what = (
                f"{sides[0].run.folder} is measured by {' of '.join(first)}, {side.run.folder} by {' of '.join(other)}"
            )
            raise UserError(f"{what}: such numbers cannot be compared.")
    return sides


def _measured_by(results: wording.Results) -> tuple[str, str]:
    """The primary metric and the kind of task."""
    return wording.primary(results)["title"], results["task"]["pipeline_tag"]


def _block(name: str, sides: list[Side], task: Task) -> Block:
    """The runs on one test set, each with its difference to the first of them, if they share its rows."""
    metric, kind = sides[0].results["primary_metric"], wording.primary(sides[0].results)
    rows, paired = [], 0
    for side in sides:
        part = wording.parts(side.results)[name]
        difference = paired_difference(sides[0].sets[name], side.sets[name], task) if side is not sides[0] else None
        paired += difference is not None
        said = _said(difference, kind) if difference else ["", "" if side is sides[0] else "other rows"]
        rows.append([side.name, f"{part['examples']:,}", wording.compact(part["metrics"][metric], kind), *said])
    if len(sides) == 1:
        title = f"{name}: measured in one run alone"
    elif paired == len(sides) - 1:
        title = f"{name}: every run answered the same rows, so the differences are paired"
    elif paired:
        title = f"{name}: differences are paired where a run answered the same rows as {sides[0].name}"
    else:
        title = f"{name}: each run answered other rows, so no difference is tested"
    columns = ["run", "rows", kind["title"], f"against {sides[0].name}", "verdict"]
    return Block(title, columns, rows) if paired else Block(title, columns[:3], [row[:3] for row in rows])


def _said(difference: dict[str, Any], kind: wording.Kind) -> list[str]:
    """The difference with its interval, and what can be said of it."""
    p_value = f"{wording.p_value(difference['p_value'])}, {difference['test']}"
    return [wording.compact_difference(difference, kind), f"{VERDICTS[wording.verdict(difference, kind)]} ({p_value})"]


def paired_difference(first: list[Record], other: list[Record], task: Task) -> dict[str, Any] | None:
    """The primary metric of the other answers minus that of the first: {difference, low, high, p_value, test, ...}.

    None where they are not answers to the same rows. Raises UserError where the task cannot score one of the answers.
    """
    if len(first) != len(other):
        return None
    by_id = {record["id"]: record for record in other}
    if any(record["id"] not in by_id or _asked(by_id[record["id"]]) != _asked(record) for record in first):
        return None
    # Rows that belong together in one of the runs do so in both.
    groups = {record["id"]: record.get("group") or by_id[record["id"]].get("group") for record in first}
    first, other = (
        [{**of_run[row], "group": group} for row, group in groups.items()]
        for of_run in ({record["id"]: record for record in first}, by_id)
    )
    try:
        measured, against = Measured(other, task), Measured(first, task)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"an answer of one run is none that the other knows ({error}): they cannot be paired."
        ) from error
    return measured.against(Bootstrap(against.groups), against.statistics)


def _asked(record: Record) -> tuple[Any, ...]:
    """What makes a row the same row, beside its id."""
    return record["reference"], record.get("input")


def _options(side: Side) -> dict[str, str]:
    """What the run was told."""
    return {name: _plain(value) for name, value in side.options.items() if name not in UNSAID}


def _took(results: wording.Results) -> dict[str, str]:
    """What training and answers cost."""
    training, parameters = results["training"], results["model"].get("parameters")
    asked = results["inference"]["p50_ms"]
    return {
        "training with evaluation": duration(training["seconds_with_evaluation"]),
        "steps, best step": f"{training['steps']:,}, {training['best_step']:,}",
        "device": str(training["device"]),
        "parameters": f"{parameters / 1e6:.1f} million" if parameters else "",
        "one question": f"{asked:.1f} ms" if asked else "",
    }


def _differing(title: str, columns: list[dict[str, str]], sides: list[Side]) -> Block:
    """The entries that are not the same everywhere, a row each."""
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    return Block(title, ["", *(side.name for side in sides)], [row for row in rows if len(set(row[1:])) > 1])


def _plain(value: Any) -> str:
    return "" if value in (None, [], {}) else wording.shown(value)


def print_blocks(blocks: Sequence[Block]) -> None:
    """Print the tables; one that would break numbers at the terminal's edge is printed as a list."""
    for block in blocks:
        if block.rows or not block.columns:
            say()
            say(block.title, style="bold")
        if not block.rows:
            continue
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for number, column in enumerate(block.columns, start=1):
            table.add_column(on_one_line(column), no_wrap=number < len(block.columns))
        for row in block.rows:
            table.add_row(*(Text(on_one_line(cell)) for cell in row))
        if not console.is_terminal or table_width(table, narrowest=True) <= console.width:
            say_table(table)
            continue
        for name, *cells in block.rows:
            say(on_one_line(name))
            named = zip(block.columns[1:], cells, strict=True)
            say_pairs({on_one_line(column): on_one_line(cell) for column, cell in named if cell})


def to_markdown(blocks: Sequence[Block]) -> str:
    """The same as Markdown."""
    parts = []
    for block in blocks:
        if not block.columns:
            parts.append(f"**{inline(block.title)}**")
        elif block.rows:
            lines: list[list[str]] = [[inline(cell) for cell in row] for row in [block.columns, *block.rows]]
            lines.insert(1, ["---"] * len(block.columns))
            parts.append(f"{inline(block.title)}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts)
