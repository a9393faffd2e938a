"""Projects are found by convention: a folder below projects/ with a task.py that names its task `TASK`.

A project's options are the Config of its config.py. That needs no torch: `--help` and a mistyped option answer at once.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.config import Config, parse
from common.system.errors import UserError, nearest

if TYPE_CHECKING:
    from common.task.contract import Task

PROJECTS = Path(__file__).resolve().parents[2] / "projects"


def project_names() -> list[str]:
    """The projects of this repository."""
    return sorted(file.parent.name for file in PROJECTS.glob("*/task.py"))


def project_title(project: str) -> str:
    """The first line of a project's task.py, which says what it is about."""
    first = (PROJECTS / project / "task.py").read_text(encoding="utf-8").splitlines()[0]
    return first.strip().strip('"')


def load_config_class(project: str) -> type[Config]:
    """The options of a project.  Raises UserError where there is no project of that name."""
    check_project(project)
    module = importlib.import_module(f"projects.{project}.config")
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    (config_class,) = (value for value in own if isinstance(value, type) and issubclass(value, Config))
    return config_class


def parse_options(project: str, arguments: Sequence[str]) -> Config:
    """The configuration that `arguments` describe for a project; `--help` among them ends the program."""
    return parse(load_config_class(project), arguments, f"kit train {project}", project_title(project))


def load_task_class(project: str) -> "type[Task]":
    """The Task of a project.  Raises UserError where there is none of that name."""
    check_project(project)
    task_class: type[Task] = importlib.import_module(f"projects.{project}.task").TASK
    return task_class


def check_project(project: str) -> None:
    """Raise UserError unless there is a project of that name to train."""
    names = project_names()
    if project in names:
        return
    if (PROJECTS / project / "lessons.py").is_file() and "/" not in project:
        raise UserError(f"{project} holds lessons, and nothing to train: `kit learn` lists them.")
    raise UserError(f"there is no project {project!r}{nearest(project, names)}: `kit list` shows them.")
