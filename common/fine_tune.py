"""The story of a run: rows → model → training → evidence → pages."""

import contextlib
import importlib.util
import itertools
import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from datasets import Dataset
from torch import nn

from common.config import AnyConfig, Config, rows_name
from common.data.features import Encoded, encoded
from common.data.findings import stop_on_errors
from common.data.splits import Data
from common.evaluation.measure import measure
from common.evaluation.records import describe_data
from common.evaluation.rehearsal import rehearse
from common.models.pretrained import Pretrained, pretrained
from common.portfolio import read_portfolio
from common.predictor import Predictor, save_settings
from common.reporting.card import write_pages
from common.reporting.terminal import print_results
from common.run import Run, provenance, weights_sha256
from common.system.errors import UserError
from common.system.files import cache_folder, read_json, sha256, whole_folder, write_json, written_with_safetensors
from common.system.hardware import Precision, describe, make_accelerator, peak_memory_bytes, use_all_cores
from common.system.hub import commit_of
from common.system.progress import Steps, bar, is_main_process, quiet_libraries, say
from common.system.source import used_modules
from common.task.contract import Outputs, Task
from common.task.projects import load_task_class, parse_options
from common.training import keep_start, preflight
from common.training.loop import Trainer
from common.training.preflight import MicroBatch
from common.training.resume import Progress

# Missing splits are made from the training rows: from others, the test split could hold rows that were trained on.
LEARNED_FROM = {"train", "validation", "extra"}
# The steps of a training as they are announced.
STEPS = ("Data", "Model", "Training", "Evaluation", "Pages")


def fine_tune(project: str, arguments: Sequence[str] | None = None) -> None:
    """Fine-tune a project's model as the command line says, measure it, and write the report."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    config = named(parse_options(project, arguments), project)
    read_portfolio()  # what is wrong there is said before an hour of training
    quiet_libraries()
    task_class = load_task_class(project)
    run = Run.of(config, project)
    with run.alone() if is_main_process() else contextlib.nullcontext():  # rank 0 holds the run for all processes
        run.check_free(config)
        if run.results.exists():
            show_finished(task_class(config), run)
            return
        check_tracker(config)
        train_and_measure(task_class(config), run, arguments)


def show_finished(task: Task, run: Run) -> None:
    """Show the results of a finished run, once for all processes.

    Raises UserError where its rows are others by now: results of other rows would answer a question nobody asked.
    """
    if not is_main_process():
        return
    _refuse_changed_rows(task, run)
    say(f"{run.folder} is finished: these are its results. Another --run_name trains again.\n")
    if not (run.report.exists() and run.card.exists()):  # it was stopped between the results and these
        write_pages(run)
    print_results(run)


def _refuse_changed_rows(task: Task, run: Run) -> None:
    try:
        changed = changed_sets(run, task.data())
    except UserError as error:
        say(f"warning: the rows cannot be read any more, so nobody knows whether they have changed ({error})")
        return
    if changed:
        learned_from = LEARNED_FROM & set(changed)
        measures = "" if learned_from else f"`kit evaluate {shlex.quote(str(run.folder))}` measures its model on them, "
        raise UserError(
            f"{run.folder} is finished, but its rows have changed since ({' and '.join(changed)}): "
            f"{measures}another --run_name trains on them."
        )


def changed_sets(run: Run, data: Data) -> list[str]:
    """The sets of rows that are not those, by their content, that the run was made with."""
    before = read_json(run.manifest)["data"]["fingerprint"]
    return [name for name in {**before, **data.fingerprint} if before.get(name) != data.fingerprint.get(name)]


def named(config: AnyConfig, project: str) -> AnyConfig:
    """The configuration with the name of its run: where none is given, that of its rows, or the next one like `cafe-2`.

    The next one is taken where another configuration has the name, so that the same command goes on with the same run.
    """
    if config.run_name is not None:
        return config
    for number in itertools.count(1):
        candidate = replace(config, run_name=rows_name(config) + (f"-{number}" if number > 1 else ""))
        if Run.of(candidate, project).is_free(candidate):
            return candidate
    raise AssertionError


def train_and_measure(task: Task, run: Run, arguments: Sequence[str]) -> None:
    """All of a run that is not finished yet."""
    config = task.config
    accelerator, precision = make_accelerator(config.precision, config.processes)
    use_all_cores(accelerator.device, accelerator.num_processes)
    say(f"{task.title}: {run.folder}", style="bold")
    steps = Steps(*STEPS)
    steps.begin("Data")
    source = pretrained(config.model, config.revision)
    with accelerator.main_process_first():
        data = task.data()
    Training(task, run, data, source, accelerator, precision, steps).run_and_save(arguments)
    steps.begin("Evaluation")
    predictor = Predictor.load(run.folder, task=task)
    if measure(run, data, predictor, source.folder, accelerator):
        steps.begin("Pages")
        write_pages(run)
        shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)  # the model and its evidence are complete
        print_results(run)
    accelerator.end_training()


@dataclass
class Training:
    """From checked rows to a saved model with its manifest."""

    task: Task
    run: Run
    data: Data
    source: Pretrained
    accelerator: Accelerator
    precision: Precision
    steps: Steps

    def run_and_save(self, arguments: Sequence[str]) -> None:
        """Train, and leave the best model in the run's folder with its manifest."""
        started = time.perf_counter()
        task, config, accelerator = self.task, self.task.config, self.accelerator
        task.load_processor(self.source.folder)
        with accelerator.main_process_first():
            train, validation = (self._encoded(split) for split in ("train", "validation"))
        self.data.findings.extend(task.check_features(train.features))
        stop_on_errors(self.data.findings)
        say_findings(self.data)
        self.steps.begin("Model")
        torch.manual_seed(config.seed)  # a head that is not in the checkpoint starts at random
        with bar("making the model ready"):
            model = task.prepare(self.source.folder, train.features)
            if not config.attention_dropout:
                from common.models.attention import leave_dropout_out

                leave_dropout_out(model)
            self._rehearse(model)
            prepared = time.perf_counter() - started
            fits = preflight.find_micro_batch(task, model, train.features, config, accelerator, self.precision)
        trainer = self._trainer(model, train.features, validation, fits)
        self.steps.begin("Training")
        start = keep_start.copies(trainer.model) if config.keep_start else {}
        progress = trainer.run()
        keep_start.move_back(trainer.model, start, config.keep_start)
        is_fresh = trainer.evaluated == progress.best_step and not start
        self._settle(trainer.model, validation, is_fresh)
        if accelerator.is_main_process:
            self._save_model(trainer.model)
            seconds = {
                "seconds_with_evaluation": trainer.earlier_seconds + time.perf_counter() - started,
                "seconds_before_first_step": prepared,
            }
            self._write_manifest(trainer, progress, fits, seconds, arguments)
        accelerator.wait_for_everyone()

    def _rehearse(self, model: nn.Module) -> None:
        """Say what the evaluation after the training will lack."""
        if is_main_process():
            for one in rehearse(self.task, model, self.data, self.source.folder):
                what = f"{one['what']} will be missing from the report, as a trial on a few rows shows"
                say(f"warning: {what} ({one['why']}); the training goes on, and Ctrl-C stops it.")

    def _encoded(self, split: str) -> Encoded:
        """The split's rows, and their features in a memory-mapped file."""
        return Encoded(self.data.splits[split], encode_split(self.task, self.data, split, self.source))

    def _trainer(self, model: nn.Module, train: Dataset, validation: Encoded, fits: MicroBatch) -> Trainer:
        """The trainer, once all processes agree on where to go on from and the run's folder is open."""
        task, config, accelerator = self.task, self.task.config, self.accelerator
        identity = {**config.identity(), "data": self.data.fingerprint, "model_source": self.source.reference}
        trainer = Trainer(
            task, model, train, validation, config, accelerator, self.run.folder, fits.micro_batch_size, identity
        )
        accelerator.wait_for_everyone()  # rank 0 writes nothing before all have found their checkpoint
        if is_main_process():
            self.run.open(config)
        accelerator.wait_for_everyone()
        device = describe(accelerator.device)["device"]
        preflight.show(trainer, self.source.reference, fits, self.precision, device)
        start_tracker(accelerator, config, task.project)
        return trainer

    def _settle(self, model: nn.Module, validation: Encoded, is_fresh: bool) -> None:
        """Find the task's settings with the trained model, which answers in the precision that it will be served in.

        What the task made of these weights at the last evaluation, in the same precision, `is_fresh` still.
        """
        predictor = Predictor(self.task, model)

        def ask(rows: Dataset) -> Outputs:
            features = validation.features if rows is validation.rows else encoded(self.task.encode, rows)
            return predictor.outputs(features, len(rows), self.accelerator, "settling")

        if not (is_fresh and predictor.precision == self.precision.name):
            self.task.refresh(ask)
        self.task.settings |= self.task.settle(ask, validation.rows)

    def _save_model(self, model: nn.Module) -> None:
        """Write the model into the run's folder, whole or not at all."""
        with whole_folder(self.run.model) as draft, written_with_safetensors(draft):
            self.task.save(model, draft)
            save_settings(self.task, draft)
        with whole_folder(self.run.neighbours) as draft:
            self.task.keep(draft)
        if not any(self.run.neighbours.iterdir()):
            self.run.neighbours.rmdir()

    def _write_manifest(
        self,
        trainer: Trainer,
        progress: Progress,
        fits: MicroBatch,
        seconds: dict[str, float],
        arguments: Sequence[str],
    ) -> None:
        """Write down what the saved model was made of, and what the training took."""
        source, hardware = self.source, describe(self.accelerator.device)
        model = {
            "reference": source.reference,
            "origin": source.origin,
            "licence": source.licence,
            "weights_sha256": weights_sha256(self.run),
            "parameters": self.task.parameters(trainer.model),
        }
        manifest = {
            **provenance(self.task.config),
            "hardware": hardware,
            "training": {**self._took(progress, fits, seconds), "device": hardware["device"]},
            "command": command_line(self.task.project, arguments),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": model,
            "data": describe_data(self.data),
        }
        write_json(self.run.manifest, manifest)

    def _took(self, progress: Progress, fits: MicroBatch, seconds: dict[str, float]) -> dict[str, Any]:
        """What the training took, and how it was done."""
        return {
            "seconds": progress.seconds,
            "waiting_share": progress.seconds_waiting / progress.seconds if progress.seconds else None,
            **seconds,
            "steps": progress.step,
            "best_step": progress.best_step,
            "best_validation_loss": progress.best_loss,
            "examples": progress.examples,
            "train_rows": len(self.data.splits["train"]),
            "validation_rows": len(self.data.splits["validation"]),
            "examples_per_second": progress.examples / progress.seconds if progress.seconds else None,
            "peak_memory_bytes": peak_memory_bytes(self.accelerator.device),
            "processes": self.accelerator.num_processes,
            "micro_batch_size": fits.micro_batch_size,
            "precision": self.precision.name,
            "precision_reason": self.precision.reason,
            "seed": self.task.config.seed,
        }


def evaluate_again(folder: Path) -> Run:
    """Redo the evaluation of a run from its saved model, and write its report and its card again."""
    quiet_libraries()
    run = Run(folder)
    predictor = Predictor.load(folder)
    task, manifest = predictor.task, read_json(run.manifest)
    # The newest commits of today may be others than those that the run was made with.
    model = commit_of(task.config.model, manifest["model"]["reference"])
    rows = commit_of(task.config.dataset, manifest["data"]["reference"])
    source = pretrained(task.config.model, model or task.config.revision)
    task.config = replace(task.config, dataset_revision=rows or task.config.dataset_revision)
    data = task.data()
    changed = changed_sets(run, data)
    if learned_from := [name for name in changed if name in LEARNED_FROM]:
        names = " and ".join(learned_from)
        raise UserError(
            f"the {names} rows are not those that {folder} was made with: give it the data of its run, or train anew."
        )
    if changed:
        names = ", ".join(changed)
        say(f"warning: test rows have changed since the run was measured, and it is measured on the new ones: {names}")
    measure(run, data, predictor, source.folder)
    write_pages(run)
    return run


def encode_split(task: Task, data: Data, split: str, source: Pretrained) -> Dataset:
    """The split's features in a memory-mapped file, named by what they are made of."""
    rows = data.splits[split]
    options = [task.config.identity(), task.settings, len(rows)]
    made_of = [data.fingerprint, split, source.reference, options, _encoder(task, source.folder)]
    name = new_sha256(json.dumps(made_of, default=str, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder() / "features"
    folder.mkdir(exist_ok=True)
    return encoded(task.encode, rows, folder / f"{name}.arrow")


def _encoder(task: Task, folder: Path) -> dict[str, str]:
    """The sha256 of what decides how rows become features: the code that encodes, the tokenizer or image processor.

    The code is every module of the kit that the task's module imports, wherever it stands, and the project's folder.
    """
    module = sys.modules[type(task).__module__]
    project = sorted(Path(str(module.__file__)).parent.glob("*.py"))
    code = [*used_modules(type(task).__module__).values(), *project]
    files = [*code, *(file for pattern in ("*.json", "*.txt", "*.model") for file in folder.glob(pattern))]
    return {str(file): sha256(file) for file in dict.fromkeys(files)}


def say_findings(data: Data) -> None:
    """Print what was read and left out, and the first of the checks' warnings: the report lists them all."""
    for line in data.account:
        say(line)
    if data.findings:
        first, count = data.findings[0], len(data.findings)
        several = f"{count} warnings about the rows, all of them in the report; the first: "
        say(f"{several if count > 1 else 'warning: '}{first}")


def check_tracker(config: Config) -> None:
    """Raise UserError where the tracker is not installed: whoever only loads the run later has no need of it."""
    if config.tracker != "none" and importlib.util.find_spec(config.tracker) is None:
        command = "pip install -c constraints.txt -e '.[trackers]'"
        raise UserError(f"--tracker {config.tracker} is not installed: `{command}` installs it.")


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
    return shlex.join(["accelerate", "launch", f"projects/{project}/train.py", *arguments])
