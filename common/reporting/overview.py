"""Where one is and what comes next: the screen of `kit`, and the list of projects and runs."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from common.reporting import wording
from common.run import Run, latest
from common.system.errors import UserError
from common.system.files import read_json
from common.task.projects import PROJECTS


def runs_of(project: str, output_dir: str = "runs") -> list[Run]:
    """The runs of a project, finished or not, in the order of their names."""
    begun = {
        file.parent for name in ("config.yaml", "results.json") for file in Path(output_dir).glob(f"{project}/*/{name}")
    }
    return [Run(folder) for folder in sorted(begun)]


def project_lines(project: str, title: str) -> list[str]:
    """A project and its runs, each with its score and its date, or with what it lacks."""
    runs = runs_of(project)
    width = max((len(str(run.folder)) for run in runs), default=0)
    return [f"{project:24} {title}", *(f"    {run.folder!s:{width}}  {state(run)}" for run in runs)]


def state(run: Run) -> str:
    """The score and the date of a run; of an unfinished one, how far it is and how it goes on."""
    if run.results.exists():
        try:
            return f"{score(read_json(run.results))}   {_date(run)}"
        except (UserError, KeyError, TypeError):
            return f"its results are damaged: `kit evaluate {shlex.quote(str(run.folder))}` writes them again"
    if run.is_taken():
        return "is being trained"
    if (run.folder / "model" / "kit.json").exists():
        return f"trained, not measured: `kit evaluate {shlex.quote(str(run.folder))}` does it"
    steps = sorted(path.name.removeprefix("step-").lstrip("0") for path in run.folder.glob("checkpoints/step-*"))
    where = f"stopped after step {max(map(int, steps))}" if steps else "stopped before its first checkpoint"
    return f"{where}: the command that began it goes on with it"


def score(results: wording.Results) -> str:
    """The primary metric with its interval: `recall 86.0 % (84.6 to 87.5)`."""
    kind = wording.primary(results)
    return f"{kind['title']} {wording.compact(results['metrics'][results['primary_metric']], kind)}"


def _date(run: Run) -> str:
    """The day on which a run was finished, in this place's time."""
    try:
        finished: Any = datetime.fromisoformat(read_json(run.manifest)["finished"])
    except (UserError, KeyError, TypeError, ValueError):
        finished = datetime.fromtimestamp(run.results.stat().st_mtime)
    return f"{finished.astimezone():%Y-%m-%d}"


def welcome(projects: Sequence[str], lessons: bool) -> list[str]:
    """What `kit` alone shows: where one is, and the next commands."""
    runs = [run for project in projects for run in runs_of(project)]
    finished = sum(run.results.exists() for run in runs)
    lines = [f"You are in {Path.cwd()}: {finished} finished runs, {len(runs) - finished} unfinished ones."]
    steps: dict[str, str] = {}
    if finished:
        newest = Run(latest(None))
        folder = shlex.quote(str(newest.folder))
        lines.append(f"The latest is {newest.folder}: {state(newest)}.")
        steps |= {f"kit demo {folder}": "see it in the browser", f"kit verify {folder}": "compute its numbers again"}
    else:
        starters = [file for project in projects if (file := PROJECTS / project / "starter.yaml").exists()]
        steps |= {f"kit train {file.parent.name} --config {_path(file)}": "a first model" for file in starters}
    steps |= {"kit train PROJECT --train_file FILE": "your own rows", "kit list": "all projects and runs"}
    steps |= {"kit learn": "the lessons"} if lessons else {}
    steps |= {"kit --help": "all commands"}
    width = max(map(len, steps))
    return [*lines, "", "next:", *(f"  {command:{width}}  {what}" for command, what in steps.items())]


def _path(file: Path) -> str:
    """The file as one types it here."""
    return shlex.quote(str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file))
