"""Projects are found by convention: a folder below projects/ with a task.py that names its task `TASK`."""

import importlib
from pathlib import Path

from common.system.errors import UserError, nearest
from common.task.contract import Task

PROJECTS = Path(__file__).resolve().parents[2] / "projects"


def project_names() -> list[str]:
    """The projects of this repository."""
    return sorted(file.parent.name for file in PROJECTS.glob("*/task.py"))


def load_task_class(project: str) -> type[Task]:
    """The Task of a project.  Raises UserError where there is none of that name."""
    names = project_names()
    if project not in names:
        raise UserError(f"there is no project {project!r}{nearest(project, names)}: `kit list` shows them.")
    task_class: type[Task] = importlib.import_module(f"projects.{project}.task").TASK
    return task_class
