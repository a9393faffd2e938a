"""Where one is and what comes next: the screen of `kit`, and the list of projects and runs."""

import contextlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from common.config import Config, load
from common.reporting import wording
from common.run import Run, latest, understood
from common.system.errors import UserError
from common.system.files import read_json
from common.system.progress import say, say_pairs
from common.system.source import REPOSITORY
from common.task.projects import PROJECTS, load_config_class, project_title

# Unfinished runs that the first screen names.
SHOWN = 3


def runs_of(project: str, output_dir: str = "runs") -> list[Run]:
    """The runs of a project, finished or not, in the order of their names."""
    begun = {
        file.parent for name in ("config.yaml", "results.json") for file in Path(output_dir).glob(f"{project}/*/{name}")
    }
    return [Run(folder) for folder in sorted(begun)]


def print_projects(projects: Sequence[str]) -> None:
    """Print each project with its runs: the score and the date of each, or how it goes on."""
    for project in projects:
        say(f"{project:24} {project_title(project)}", style="bold")
        if runs := runs_of(project):
            states = {run.folder.name: state(run) for run in runs}
            say_pairs({name: one.said for name, one in states.items()})
            for name, one in states.items():
                if one.command:
                    say(f"  {name} goes on with: {one.command}", whole=True)


def print_welcome(projects: Sequence[str], lessons: bool) -> None:
    """Print what `kit` alone shows: where one is, how the last run did, what is unfinished, and the next commands."""
    runs = [run for project in projects for run in runs_of(project)]
    finished = [run for run in runs if _is_finished(run)]
    unfinished = [run for run in runs if run not in finished]
    here = Path.cwd()
    say(f"You are in {here}" + ("." if here == REPOSITORY else f"; the kit is in {REPOSITORY}."))
    say(f"Here are {_count(len(finished), 'finished run')} and {_count(len(unfinished), 'unfinished one')}.")
    if finished:
        newest = Run(latest(None))
        say(f"\nthe last result, of {newest.folder}:")
        say(f"  {state(newest).said}")
    begun = {run: state(run) for run in unfinished[:SHOWN]}
    if begun:
        say("\nunfinished:")
        say_pairs({str(run.folder): one.said for run, one in begun.items()})
        if len(unfinished) > SHOWN:
            say(f"  and {len(unfinished) - SHOWN} more, which `kit list` shows")
    goes_on = {f"go on with {run.folder.name}": one.command for run, one in begun.items() if one.command}
    say("\nnext:")
    say_pairs({**goes_on, **_next_commands(projects, finished, lessons)}, whole=True)


def _next_commands(projects: Sequence[str], finished: list[Run], lessons: bool) -> dict[str, str]:
    """What one can do here, by what it is for."""
    commands: dict[str, str] = {}
    if finished:
        folder = shlex.quote(str(latest(None)))
        commands |= {"show it": f"kit demo {folder}", "check it": f"kit verify {folder}"}
        if len(alike := runs_of(latest(None).parent.name)) > 1:
            names = [shlex.quote(str(run.folder)) for run in alike if run in finished][:2]
            commands |= {"compare": f"kit compare {' '.join(names)}"} if len(names) > 1 else {}
    else:
        starters = [project for project in projects if (PROJECTS / project / "starter.yaml").exists()]
        for project in starters:
            file = _path(PROJECTS / project / "starter.yaml")
            commands[f"try {project.replace('_', ' ')}"] = f"kit train {project} --config {file}"
    commands |= {"your own rows": "kit train PROJECT --train_file FILE", "all projects and runs": "kit list"}
    commands |= {"the lessons": "kit learn"} if lessons else {}
    return {**commands, "all commands": "kit --help"}


@dataclass(frozen=True)
class State:
    """How a run stands, in words, and the command that goes on with it; empty where nothing is left to do."""

    said: str
    command: str = ""


def state(run: Run) -> State:
    """The score and the date of a run; of an unfinished one, how far it is."""
    measures = f"kit evaluate {shlex.quote(str(run.folder))}"
    if _is_finished(run):
        try:
            with understood(run.folder):
                return State(f"{score(read_json(run.results))}, {_date(run)}")
        except UserError:
            return State("its results are damaged", measures)
    if run.is_taken():
        return State(f"is being trained{_after(run, _logged(run).get('step'))}")
    if (run.folder / "model" / "kit.json").exists():
        return State("trained, not measured yet", measures)
    steps = [int(path.name.removeprefix("step-")) for path in run.folder.glob("checkpoints/step-*")]
    where = f"stopped{_after(run, max(steps))}" if steps else "stopped before its first checkpoint"
    return State(where, _training_again(run))


def _is_finished(run: Run) -> bool:
    """Whether there are results, readable or not: a run of somebody else is listed beside the others."""
    return (run.folder / "results.json").exists()


def _training_again(run: Run) -> str:
    """The command that goes on with a stopped training; empty where its options cannot be read."""
    if (config := _config(run)) is None:
        return ""
    resume = "" if config.resume == "auto" else " --resume auto"
    return f"kit train {run.folder.parent.name} --config {shlex.quote(str(run.config))}{resume}"


def _config(run: Run) -> Config | None:
    """The options of a run; None where they cannot be read."""
    try:
        return load(load_config_class(run.folder.parent.name), run.config)
    except UserError:
        return None


def _after(run: Run, step: int | None) -> str:
    """` after step 200 of 454`; without the second number where it is not known."""
    if step is None:
        return ""
    config, logged, of_all = _config(run), _logged(run), ""
    if config and logged:
        total = round(logged["step"] / logged["epoch"]) * config.epochs
        of_all = f" of {min(total, config.max_steps or total):,}"
    return f" after step {step:,}{of_all}"


def _logged(run: Run) -> dict[str, Any]:
    """The last line of metrics.jsonl that says its step and its epoch; empty where there is none."""
    with contextlib.suppress(OSError, UserError):
        for line in reversed(run.metrics.read_text(encoding="utf-8").splitlines()):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                logged: dict[str, Any] = json.loads(line)
                if logged["step"] > 0 and logged["epoch"] > 0:
                    return logged
    return {}


def score(results: wording.Results) -> str:
    """The primary metric and the best baseline: `recall 86.0 % (84.6 to 87.5), beats words (+6.2 points)`."""
    kind, comparison = wording.primary(results), results["comparison"]
    said = f"{kind['title']} {wording.with_interval(results['metrics'][results['primary_metric']], kind)}"
    if comparison:
        verb = {"better": "beats", "worse": "loses to", "unclear": "not clearly better than"}
        short = wording.baseline_short(results, comparison["against"])
        said += f", {verb[wording.verdict(comparison, kind)]} {short} ({wording.difference_alone(comparison, kind)})"
    return wording.plain(said)


def _date(run: Run) -> str:
    """The day on which a run was finished, in this place's time."""
    try:
        finished: Any = datetime.fromisoformat(read_json(run.manifest)["finished"])
    except (UserError, KeyError, TypeError, ValueError):
        finished = datetime.fromtimestamp(run.results.stat().st_mtime)
    return f"{finished.astimezone():%Y-%m-%d}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}" if number else f"no {what}s"


def _path(file: Path) -> str:
    """The file as one types it here."""
    return shlex.quote(str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file))
