"""What benchmarks train: as `kit train` does, without what the command does afterwards."""

from collections.abc import Callable

from common.data.splits import Data
from common.fine_tune import STEPS, Training
from common.models.pretrained import pretrained
from common.run import Run
from common.system.hardware import make_accelerator
from common.system.progress import Steps, quiet_libraries
from common.task.contract import Task
from common.task.projects import load_task_class, parse_options


def trained(
    project: str, arguments: list[str], change: Callable[[Data], Data] = lambda data: data
) -> tuple[Task, Run, Data]:
    """The task, the run with its model and manifest, and the data, which `change` may change before the training."""
    quiet_libraries()
    config = parse_options(project, arguments)
    task, run = load_task_class(project)(config), Run.of(config, project)
    accelerator, precision = make_accelerator(config.precision, config.processes)
    source, data = pretrained(config.model, config.revision), change(task.data())
    Training(task, run, data, source, accelerator, precision, Steps(*STEPS)).run_and_save(arguments)
    return task, run, data
