"""Train a tiny task in a process of its own, which tests kill, or start several of.

Writes into its folder: metrics.jsonl, checkpoints/, and at the end `weights` (their sha256 and the final
progress), `predictions.json` (by size of the test set: values by id, gathered over the processes) and
`windowed-RANK.json` (what each process was told about rows with several features).
"""

import argparse
import gc
import json
import os
import signal
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from torch.nn.parallel import DistributedDataParallel

from common import inference
from common.data.features import by_row
from common.data.features import encoded as encode
from common.predictor import Predictor
from common.system.hardware import make_accelerator
from common.training import checkpoint
from common.training.loop import Trainer
from tests.common.tiny import (
    TinyClassifier,
    TinyConfig,
    TinyFrozen,
    TinyLanguageModel,
    TinyNormed,
    TinyPairs,
    TinyWindowed,
    encoded,
    features,
    long_rows,
)

KINDS = {
    "classifier": TinyClassifier,
    "language": TinyLanguageModel,
    "normed": TinyNormed,
    "frozen": TinyFrozen,
    "pairs": TinyPairs,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=list(KINDS), default="classifier")
    parser.add_argument("--examples", type=int, default=90)
    parser.add_argument("--validation", type=int, default=40)
    parser.add_argument("--test", type=int, nargs="*", default=[])
    parser.add_argument("--windowed", type=int, default=0, help="rows with several features to answer at the end")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--micro", type=int, default=32)
    parser.add_argument("--global_batch_size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--checkpoint_every", type=int, default=1)
    parser.add_argument("--freeze_epochs", type=int, default=0)
    parser.add_argument("--data_workers", type=int, default=1)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--random_start", action="store_true")
    parser.add_argument("--kill_at_loss", type=int, default=0, help="SIGKILL in the n-th forward pass")
    parser.add_argument(
        "--kill_at_write", type=int, default=0, help="SIGKILL before a checkpoint's n-th file operation"
    )
    parser.add_argument("--signal_at_loss", type=int, default=0, help="SIGTERM in the n-th forward pass")
    options = parser.parse_args()
    torch.set_num_threads(1)

    config = TinyConfig(
        train_file="none",
        epochs=options.epochs,
        global_batch_size=options.global_batch_size,
        checkpoint_every=options.checkpoint_every,
        log_every=1,
        learning_rate=1e-2,
        head_learning_rate=1e-2 if options.freeze_epochs else None,
        freeze_epochs=options.freeze_epochs,
        data_workers=options.data_workers,
        pretrained=not options.random_start,
        early_stopping_patience=0,
        label_smoothing=0.05,
    )
    accelerator, _ = make_accelerator(options.precision, None)
    task = KINDS[options.kind](config, options.dropout)
    if options.kill_at_loss:
        _count(task, "forward", options.kill_at_loss, signal.SIGKILL)
    if options.signal_at_loss:
        _count(task, "forward", options.signal_at_loss, signal.SIGTERM)
    if options.kill_at_write:
        _kill_at_write(options.kill_at_write)
    options.folder.mkdir(parents=True, exist_ok=True)
    train, validation = features(options.examples), encoded(options.validation, seed=1)
    identity = {"epochs": config.epochs}
    trainer = Trainer(
        task, task.model(), train, validation, config, accelerator, options.folder, options.micro, identity
    )
    progress = trainer.run()
    if any(type(thing) is DistributedDataParallel for thing in gc.get_objects()):
        raise RuntimeError("DDP is left after the training, and may keep this process from ending")
    if options.test:
        tests = {size: features(size, seed=2) for size in options.test}
        predictions = {size: _predict(task, trainer.model, test, accelerator) for size, test in tests.items()}
        if accelerator.is_main_process:
            (options.folder / "predictions.json").write_text(json.dumps(predictions))
    if options.windowed:
        answers = _answer_in_windows(options.windowed, accelerator)
        (options.folder / f"windowed-{accelerator.process_index}.json").write_text(json.dumps(answers))
    if accelerator.is_main_process:
        kept = checkpoint.weights(trainer.model, trainer.trainable)
        weights = {name: tensor.numpy().tobytes().hex() for name, tensor in kept.items()}
        final = {name: getattr(progress, name) for name in ("step", "best_step", "best_loss")} | {"weights": weights}
        (options.folder / "final.json").write_text(json.dumps(final))
    accelerator.wait_for_everyone()
    accelerator.end_training()  # closes the process group; one that is still open at exit may abort


def _predict(
    task: TinyClassifier, model: torch.nn.Module, test: Dataset, accelerator: Accelerator
) -> dict[str, object]:
    given = {"accelerator": accelerator, "batch_size": 8, "with_loss": True}
    outputs = inference.run(task, model, test, accelerator.device, **given)
    answers = task.finish(test, by_row(outputs.values, test, len(test)))
    sums = task.statistics(answers, list(test["reference"])).sum(axis=0)
    scores = {name: float(value) for name, value in task.score(sums).items()}
    values = [[row_id, np.asarray(value).tolist()] for row_id, value in zip(test["id"], outputs.values, strict=True)]
    return {"values": values, "loss": outputs.loss, "scores": scores}


def _answer_in_windows(count: int, accelerator: Accelerator) -> list[dict[str, object]]:
    task, rows = TinyWindowed(TinyConfig(train_file="none")), long_rows(count)
    predictor = Predictor(task, task.model(), precision="fp32")
    return [answer.to_json() for answer in predictor.answers(rows, encode(task.encode, rows), accelerator)]


def _count(owner: object, name: str, at: int, number: signal.Signals) -> None:
    """Send ourselves a signal in the `at`-th call of a method."""
    original = getattr(owner, name)
    calls = 0

    def counted(*arguments: object, **options: object) -> object:
        nonlocal calls
        if torch.is_grad_enabled():
            calls += 1
            if calls == at:
                os.kill(os.getpid(), number)
        return original(*arguments, **options)

    setattr(owner, name, counted)


def _kill_at_write(at: int) -> None:
    """SIGKILL before the `at`-th operation that a checkpoint's writing or pruning does."""
    calls = 0

    def killing(original):
        def wrapped(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return wrapped

    checkpoint.save_file = killing(checkpoint.save_file)
    checkpoint._flush = killing(checkpoint._flush)
    checkpoint.shutil.rmtree = killing(checkpoint.shutil.rmtree)
    Path.rename = killing(Path.rename)
    Path.mkdir = killing(Path.mkdir)
    Path.write_text = killing(Path.write_text)


if __name__ == "__main__":
    from common.system.errors import exit_with_sentence

    exit_with_sentence(main)
