"""From options to evidence: data, model, training, evaluation, report."""

import contextlib
import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from datasets import Dataset, disable_progress_bars
from torch import nn

from common import checkpoint, preflight
from common.config import Config, parse
from common.data import Data
from common.errors import UserError
from common.evaluation.measure import calibrate, describe_data, measure
from common.hardware import Precision, describe, make_accelerator, peak_memory_bytes, use_all_cores
from common.predictor import Predictor
from common.progress import is_main_process, say
from common.run import Run, provenance, read_json, write_json
from common.starters import Pretrained, pretrained
from common.tables import cache_folder
from common.task import Task, encoded
from common.training import Trainer


def fine_tune(task_class: type[Task], arguments: Sequence[str] | None = None) -> None:
    """Fine-tune a project's model as the command line says, measure it, and write the report."""
    from common.card import write_pages
    from common.report import print_results

    quiet_libraries()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    config = parse(task_class.config_class, arguments, f"projects/{task_class.project}/train.py")
    run = Run.of(config, task_class.project)
    with run.alone() if is_main_process() else contextlib.nullcontext():  # the first process holds the run for all of them
        run.check_free(config)
        if not run.results.exists():
            check_tracker(config)
            train_and_measure(task_class(config), config, run, arguments)
            return
        say(f"{run.folder} is finished: these are its results. Another --run_name trains again.\n")
        if not (run.report.exists() and run.card.exists()):  # it was stopped between the results and these
            write_pages(run)
        print_results(run)


def train_and_measure(task: Task, config: Config, run: Run, arguments: Sequence[str]) -> None:
    """All of a run that is not finished yet: data, model, training, evaluation, report."""
    from common.card import write_pages
    from common.report import print_results

    accelerator, precision = make_accelerator(config.precision, config.processes)
    use_all_cores(accelerator.device, accelerator.num_processes)
    source = pretrained(config.model, config.revision)
    with accelerator.main_process_first():
        data = task.data()
    train_model(task, config, run, data, source, accelerator, precision, arguments)
    predictor = Predictor.load(run.folder, task=task)
    if measure(run, task, data, predictor, source.folder, accelerator):
        write_pages(run)
        shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)  # the model and its evidence stand
        print_results(run)
    accelerator.end_training()


def train_model(
    task: Task, config: Config, run: Run, data: Data, source: Pretrained, accelerator: Accelerator, precision: Precision, arguments: Sequence[str]
) -> None:
    """Train, and leave the best model in the run's folder with its manifest."""
    started = time.perf_counter()
    task.load_processor(source.folder)
    with accelerator.main_process_first():
        train, validation = (encode_split(task, data, split, source) for split in ("train", "validation"))
    data.findings.extend(task.check_features(train))
    say_findings(data)
    torch.manual_seed(config.seed)  # a head that is not in the checkpoint starts at random
    model = task.model(source.folder, train)
    head_seconds = time.perf_counter() - started
    fit = preflight.find_micro_batch(task, model, train, config, accelerator, precision)
    identity = {**config.identity(), "data": data.fingerprint, "model_source": source.reference}
    trainer = Trainer(task, model, train, validation, config, accelerator, run.folder, fit.micro_batch_size, identity)
    accelerator.wait_for_everyone()  # the first process writes nothing before all have found their checkpoint
    if is_main_process():
        run.open(config)
    accelerator.wait_for_everyone()
    hardware = describe(accelerator.device)
    preflight.show(model, source.reference, trainer.plan, trainer.total_steps, fit, config, accelerator, precision, hardware["device"])
    start_tracker(accelerator, config, task.project)
    progress = trainer.run()

    save_model(task, trainer.model, validation, run, accelerator)
    if accelerator.is_main_process:
        training = {
            "seconds": progress.seconds,
            "waiting_share": progress.seconds_waiting / progress.seconds if progress.seconds else None,
            "seconds_with_evaluation": trainer.earlier_seconds + time.perf_counter() - started,
            "seconds_before_first_step": head_seconds,
            "steps": progress.step,
            "best_step": progress.best_step,
            "best_validation_loss": progress.best_loss,
            "examples": progress.examples,
            "train_rows": len(train),
            "validation_rows": len(validation),
            "examples_per_second": progress.examples / progress.seconds if progress.seconds else None,
            "peak_memory_bytes": peak_memory_bytes(accelerator.device),
            "processes": accelerator.num_processes,
            "micro_batch_size": fit.micro_batch_size,
            "precision": precision.name,
            "precision_reason": precision.reason,
            "seed": config.seed,
            "device": hardware["device"],
        }
        parameters = sum(p.numel() for p in trainer.model.parameters())
        write_manifest(run, task, data, source, {"hardware": hardware, "training": training, "command": command_line(task.project, arguments)}, parameters)
    accelerator.wait_for_everyone()


def save_model(task: Task, model: nn.Module, validation: Dataset, run: Run, accelerator: Accelerator) -> None:
    """Calibrate the model on the validation split, and write it into the run's folder, whole or not at all."""
    predictor = Predictor(task, model, task.labels)
    calibrate(predictor, validation, accelerator)
    if accelerator.is_main_process:
        draft = run.folder / ".model"
        shutil.rmtree(draft, ignore_errors=True)
        with checkpoint.written_with_safetensors(draft):
            task.save(model, draft)
        predictor.save_settings(draft)
        shutil.rmtree(run.model, ignore_errors=True)
        draft.rename(run.model)


def write_manifest(run: Run, task: Task, data: Data, source: Pretrained, measured: dict[str, Any], parameters: int) -> None:
    """Write down what the saved model was made of: code, command, hardware, pretrained weights, data, and what the training took."""
    model = {
        "reference": source.reference,
        "origin": source.origin,
        "licence": source.licence,
        "weights_sha256": checkpoint.sha256(run.model / "model.safetensors"),
        "parameters": parameters,
    }
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(run.manifest, {**provenance(task.config), **measured, "finished": finished, "model": model, "data": describe_data(data)})


def evaluate_again(folder: Path) -> Run:
    """Redo the evaluation of a run from its saved model, and write its report and its card again."""
    from common.card import write_pages

    quiet_libraries()
    run = Run(folder)
    predictor = Predictor.load(folder)
    task = predictor.task
    source = pretrained(task.config.model, task.config.revision)
    data = task.data()
    changed = [name for name, digest in read_json(run.manifest)["data"]["fingerprint"].items() if data.fingerprint.get(name) != digest]
    # Splits that were missing are cut from the training rows: from others, the test split could hold rows that the model learned from.
    if learned_from := [name for name in changed if name in ("train", "validation", "extra")]:
        raise UserError(f"the {' and '.join(learned_from)} rows are not those that {folder} was made with: give it the data of its run, or train anew.")
    if changed:
        say(f"warning: other rows than the last time are measured on ({', '.join(changed)}); manifest and report name those.")
    measure(run, task, data, predictor, source.folder)
    write_pages(run)
    return run


def encode_split(task: Task, data: Data, split: str, source: Pretrained) -> Dataset:
    """The split's features in a memory-mapped file, named by what they are made of."""
    import hashlib

    made_of = [data.fingerprint, split, source.reference, len(data.splits[split]), task.config.identity(), _encoder(task, source.folder)]
    name = hashlib.sha256(json.dumps(made_of, default=str, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder() / "features"
    folder.mkdir(exist_ok=True)
    return encoded(task, data.splits[split], folder / f"{name}.arrow")


def _encoder(task: Task, folder: Path) -> dict[str, str]:
    """Names and sha256 of the files that decide how rows become features: the project's code, the tokenizer or image processor."""
    code = Path(str(sys.modules[type(task).__module__].__file__)).parent.glob("*.py")
    files = [*code, *(file for pattern in ("*.json", "*.txt", "*.model") for file in folder.glob(pattern))]
    return {file.name: checkpoint.sha256(file) for file in files}


def say_findings(data: Data) -> None:
    """Print the warnings of the checks."""
    for finding in data.findings:
        say(f"{finding.severity}: {finding}")


def check_tracker(config: Config) -> None:
    """Raise UserError where the tracker is not installed: whoever only loads the run later has no need of it."""
    if config.tracker != "none" and importlib.util.find_spec(config.tracker) is None:
        raise UserError(f"--tracker {config.tracker} is not installed: `pip install -c constraints.txt -e '.[trackers]'` brings it.")


def start_tracker(accelerator: Accelerator, config: Config, project: str) -> None:
    """Send the curves to a tracker, too."""
    from accelerate.tracking import filter_trackers

    if config.tracker != "none":
        folder = Run.of(config, project).folder
        accelerator.project_configuration.set_directories(str(folder))
        accelerator.log_with = filter_trackers(config.tracker, str(folder))
        plain = {key: value for key, value in config.identity().items() if isinstance(value, int | float | str | bool)}
        accelerator.init_trackers(project, config=plain)


def command_line(project: str, arguments: Sequence[str]) -> str:
    """The command that makes the run again."""
    import shlex

    return shlex.join(["accelerate", "launch", f"projects/{project}/train.py", *arguments])


def quiet_libraries() -> None:
    """Leave the terminal to the kit's own lines."""
    import logging
    import warnings

    import transformers

    disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
