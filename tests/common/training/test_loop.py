"""The loop: one plan, losses normalised by the whole step, signals, losses that are not finite."""

import contextlib
import dataclasses
import itertools
import json
import logging
import math
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from common.data.features import Encoded
from common.data.plan import Plan, Slot
from common.system.errors import Interrupted, UserError
from common.system.files import sha256
from common.training import checkpoint
from common.training.checkpoint import BrokenCheckpoint
from common.training.log import SKIPPED_STEPS, Log
from common.training.loop import Progress, Trainer
from common.training.optimizer import make_optimizer, schedule
from tests.common.tiny import TinyClassifier, TinyConfig, TinyLanguageModel, TinyNormed, encoded, features

CONFIG = TinyConfig(
    train_file="none", epochs=2, log_every=1, learning_rate=1e-2, head_learning_rate=None, early_stopping_patience=0
)


def train(
    folder: Path,
    task_class: type[TinyClassifier] = TinyClassifier,
    micro: int = 32,
    dropout: float = 0.0,
    **options: object,
) -> tuple[list[dict], Progress]:
    folder.mkdir(exist_ok=True)
    config = dataclasses.replace(CONFIG, **options)
    task = task_class(config, dropout)
    seen: list[list[str]] = []
    collate = task.collate
    task.collate = lambda rows, epoch=None: (seen.append(rows["id"]), collate(rows, epoch))[1]
    trainer = Trainer(
        task, task.model(), features(90), encoded(40, seed=1), config, Accelerator(cpu=True), folder, micro
    )
    progress = trainer.run()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return lines, progress


@pytest.mark.parametrize("task_class", [TinyClassifier, TinyLanguageModel])
@pytest.mark.parametrize("micro", [16, 8, 5])
def test_accumulation_changes_no_loss_also_in_the_partial_last_step(
    tmp_path: Path, task_class: type[TinyClassifier], micro: int
) -> None:
    whole, _ = train(tmp_path / "whole", task_class)
    cut, _ = train(tmp_path / "cut", task_class, micro)
    steps = [line for line in whole if "loss" in line]
    assert len(steps) == 6, "90 examples are two whole steps of 32 and a partial one of 26, twice"
    for one, other in zip(steps, [line for line in cut if "loss" in line], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=2e-5)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=2e-3)
    pairs = zip(
        [line for line in whole if "validation_loss" in line],
        [line for line in cut if "validation_loss" in line],
        strict=True,
    )
    assert all(a["validation_loss"] == pytest.approx(b["validation_loss"], abs=2e-4) for a, b in pairs)


def test_a_token_weighted_loss_is_the_mean_over_tokens_not_over_micro_batches(tmp_path: Path) -> None:
    """The first step's loss equals the plain mean over all tokens of its examples."""
    lines, _ = train(tmp_path, TinyLanguageModel, micro=5)
    task = TinyLanguageModel(CONFIG, 0.0)
    rows = features(90)
    batch = task.collate(rows[Plan(np.asarray(rows["length"]), 32, 0).global_batch(1)])
    with torch.no_grad():
        logits = task.model()(batch["input_ids"])
    mean = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
    assert next(line for line in lines if "loss" in line)["loss"] == pytest.approx(float(mean), abs=1e-5)


def test_it_learns_and_keeps_the_best_validation_loss(tmp_path: Path) -> None:
    lines, progress = train(tmp_path, epochs=8)
    losses = {line["step"]: line["validation_loss"] for line in lines if "validation_loss" in line}
    assert len(losses) == 9
    assert progress.best_loss == min(losses.values()) == losses[progress.best_step]
    assert losses[progress.best_step] < 0.5 * losses[0]


def test_early_stopping_waits_for_its_patience(tmp_path: Path) -> None:
    lines, progress = train(
        tmp_path, epochs=30, learning_rate=0.5, scheduler="constant", warmup=0.0, early_stopping_patience=2
    )
    evaluations = [line["step"] for line in lines if "validation_loss" in line]
    assert progress.finished and progress.step < 90
    assert evaluations.index(progress.best_step) == len(evaluations) - 3


def test_a_finished_run_trains_no_further(tmp_path: Path) -> None:
    before, one = train(tmp_path)
    after, two = train(tmp_path)
    assert before == after
    assert dataclasses.asdict(one) == dataclasses.asdict(two)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    task = TinyClassifier(CONFIG)
    arguments = (features(90), encoded(40, seed=1), CONFIG, Accelerator(cpu=True), tmp_path, 32)
    Trainer(task, task.model(), *arguments, identity={"learning_rate": 1}).run()
    with pytest.raises(UserError, match=r"another configuration \(learning_rate\)"):
        Trainer(task, task.model(), *arguments, identity={"learning_rate": 2}).run()


def test_a_loss_that_is_not_finite_names_step_and_examples_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    class Poisoned(TinyClassifier):
        calls = 0

        def loss(self, model, batch):
            loss = super().loss(model, batch)
            if torch.is_grad_enabled():
                self.calls += 1
            return loss * float("nan") if self.calls == 5 else loss

    with pytest.raises(
        UserError, match=r"the loss is nan in step 5 \(examples train:\d+, .* and 24 more\): .*step-000004 is kept"
    ):
        train(tmp_path, Poisoned, checkpoint_every=2)
    assert (
        sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000003", "step-000004"]
        or (tmp_path / "checkpoints" / "step-000004").exists()
    )


def fp16_on_a_cpu(scale: float) -> Accelerator:
    """What a GPU of an older kind gets; the kit itself offers no fp16 on a CPU."""
    accelerator = Accelerator(cpu=True)
    accelerator.state._mixed_precision, accelerator.native_amp = "fp16", True
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return accelerator


def test_steps_that_the_fp16_scaler_leaves_out_are_no_error(tmp_path: Path) -> None:
    task = TinyClassifier(CONFIG)
    model = task.model()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    Trainer(task, model, features(90), encoded(40, seed=1), CONFIG, fp16_on_a_cpu(2.0**21), tmp_path, 32).run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    counted = [line for line in lines if "loss" in line]
    assert 0 < len(counted) < 6, "the scale is too large at first, and halved until it is not"
    assert all(np.isfinite([line["loss"], line["gradient_norm"]]).all() for line in counted)
    assert any(not torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_very_many_steps_in_a_row_that_the_scaler_leaves_out_are_an_error(tmp_path: Path) -> None:
    task = TinyClassifier(CONFIG)
    accelerator = fp16_on_a_cpu(2.0**120)
    trainer = Trainer(task, task.model(), features(90), encoded(40, seed=1), CONFIG, accelerator, tmp_path, 32)
    log = Log(accelerator, trainer.metrics, 1, trainer.progress, trainer._describe, trainer._not_finite)
    for _ in range(SKIPPED_STEPS - 1):
        assert not log._counts(1, 0.5, math.inf)
    with pytest.raises(UserError, match="gradient's norm is inf in step 1"):
        log._counts(1, 0.5, math.inf)
    assert log._counts(1, 0.5, 1.0) and not log._counts(1, math.inf, math.inf)
    accelerator.scaler = None
    with pytest.raises(UserError, match="loss is inf in step 1"):
        log._counts(1, math.inf, 1.0)


@pytest.mark.parametrize(("precision", "expected"), [("no", torch.float32), ("bf16", torch.bfloat16)])
def test_every_stage_computes_in_the_precision_that_was_chosen(
    tmp_path: Path, precision: str, expected: torch.dtype
) -> None:
    class AskedOtherwise(TinyClassifier):
        def predict(self, model, batch):
            return list(type(model).forward(model, batch["input_ids"]).float().numpy())

    config = dataclasses.replace(CONFIG, freeze_epochs=1)
    task = AskedOtherwise(config)
    model = task.model()
    seen: dict[str, set[torch.dtype]] = {}

    def note(head: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        stage = "all" if all(parameter.requires_grad for parameter in model.parameters()) else "frozen"
        seen.setdefault(stage if torch.is_grad_enabled() else "validation", set()).add(output.dtype)

    model.head.register_forward_hook(note)
    Trainer(
        task,
        model,
        features(90),
        encoded(40, seed=1),
        config,
        Accelerator(cpu=True, mixed_precision=precision),
        tmp_path,
        32,
    ).run()
    assert seen == {"frozen": {expected}, "all": {expected}, "validation": {expected}}


def test_frozen_backbone_stays_as_it_was(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, freeze="backbone", head_learning_rate=1e-2)
    task = TinyClassifier(config)
    model = task.model()
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    Trainer(task, model, features(90), encoded(40, seed=1), config, Accelerator(cpu=True), tmp_path, 32).run()
    changed = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_no_decay_on_biases_and_norms_and_two_rates() -> None:
    config = dataclasses.replace(CONFIG, head_learning_rate=0.1)
    model = TinyClassifier(config).model()
    groups = make_optimizer(model, ("head",), config, "cpu").param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen = {names[id(p)]: (group["peak"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert len(seen) == 9
    assert seen["head.weight"] == (0.1, 0.01) and seen["head.bias"] == (0.1, 0.0)
    assert seen["norm.weight"] == (0.01, 0.0) and seen["embedding.weight"] == (0.01, 0.01)


@pytest.mark.parametrize(
    ("name", "middle", "end"), [("linear", 0.5, 0.01), ("cosine", 0.5, 0.001), ("constant", 1.0, 1.0)]
)
def test_schedules(name: str, middle: float, end: float) -> None:
    config = dataclasses.replace(CONFIG, scheduler=name, warmup=0.0)
    values = [schedule(step, 101, config) for step in range(1, 102)]
    assert values[0] == 1.0
    assert values[50] == pytest.approx(middle, abs=0.01)
    assert values[-1] == pytest.approx(end, abs=0.01)
    warm = dataclasses.replace(config, warmup=0.5)
    assert [schedule(step, 10, warm) for step in range(1, 6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("accelerate").setLevel(logging.ERROR)


def test_running_out_of_memory_names_the_size_to_go_on_with(tmp_path: Path) -> None:
    class Full(TinyClassifier):
        def forward(self, model, batch):
            if torch.is_grad_enabled():
                raise torch.OutOfMemoryError("no memory")
            return super().forward(model, batch)

    with pytest.raises(UserError, match=r"memory ran out after step 0: .*--micro_batch_size 16"):
        train(tmp_path, Full)


def test_batch_norm_stays_as_it_was_pretrained(tmp_path: Path) -> None:
    class Normed(TinyClassifier):
        def model(self):
            model = super().model()
            model.norm = torch.nn.Sequential(
                torch.nn.Flatten(0, 1), torch.nn.BatchNorm1d(16), torch.nn.Unflatten(0, (-1, 1))
            )
            model.norm.forward = lambda hidden: model.norm[1](hidden.transpose(1, 2)).transpose(1, 2)
            return model

    task = Normed(CONFIG)
    model = task.model()
    Trainer(task, model, features(90), encoded(40, seed=1), CONFIG, Accelerator(cpu=True), tmp_path, 32).run()
    assert torch.equal(model.norm[1].running_mean, torch.zeros(16)), "no batch may leave its statistics behind"
    assert not torch.equal(model.norm[1].weight, torch.ones(16)), "but its weights are trained"


@pytest.mark.parametrize("task_class", [TinyClassifier, TinyLanguageModel])
def test_first_the_head_alone_then_everything(tmp_path: Path, task_class: type[TinyClassifier]) -> None:
    """What stood in the model at each step of two passes of three steps, of which the first is the head's."""
    before: list[dict[str, torch.Tensor]] = []

    class Watched(task_class):
        def forward(self, model, batch):
            if torch.is_grad_enabled():
                before.append({name: tensor.detach().clone() for name, tensor in model.named_parameters()})
            return super().forward(model, batch)

    lines, _ = train(tmp_path, Watched, freeze_epochs=1, head_learning_rate=1e-2, warmup=0.0, evaluate_every=6)
    moved = [
        {name for name in one if not torch.equal(one[name], other[name])} for one, other in itertools.pairwise(before)
    ]
    assert moved[:3] == [{"head.weight", "head.bias"}] * 3
    assert moved[3:] == [set(before[0])] * 2
    rates = [line["learning_rate"] for line in lines if "loss" in line]
    assert rates == pytest.approx([1e-2, 2 / 3 * 1e-2, 1 / 3 * 1e-2] * 2), "each stage has its own rise and fall"


@pytest.mark.parametrize("task_class", [TinyClassifier, TinyLanguageModel])
def test_accumulation_changes_no_loss_with_stages_either(tmp_path: Path, task_class: type[TinyClassifier]) -> None:
    options = {"freeze_epochs": 1, "head_learning_rate": 1e-2, "layer_decay": 0.8}
    whole, cut = (
        [line["loss"] for line in train(tmp_path / str(micro), task_class, micro, **options)[0] if "loss" in line]
        for micro in (32, 8)
    )
    assert len(whole) == 6 and whole == pytest.approx(cut, abs=5e-5)


def test_every_step_is_in_the_log_also_where_a_stage_ends_between_two_lines(tmp_path: Path) -> None:
    lines, progress = train(tmp_path, freeze_epochs=1, head_learning_rate=1e-2, log_every=10, evaluate_every=50)
    assert [line["step"] for line in lines if "loss" in line] == [3, 6]
    assert progress.examples == 180


def test_patience_does_not_end_the_training_before_everything_was_trained(tmp_path: Path) -> None:
    options = {"learning_rate": 0.5, "head_learning_rate": 0.5, "scheduler": "constant", "warmup": 0.0}
    _, progress = train(tmp_path, epochs=30, freeze_epochs=12, early_stopping_patience=2, **options)
    assert progress.finished and 36 + 2 * 3 <= progress.step < 90


# A rate that destroys what was learned: the last step is not the best one.
WORSENING = {"epochs": 3, "learning_rate": 0.5, "scheduler": "constant", "warmup": 0.0, "checkpoint_every": 1}


def files(folder: Path) -> dict[str, str]:
    """{step: sha256 of its weights}"""
    return {path.name: sha256(path / "model.safetensors") for path in (folder / "checkpoints").iterdir()}


def test_a_resume_from_another_run_brings_the_best_checkpoint_along(tmp_path: Path) -> None:
    _, theirs = train(tmp_path / "theirs", **WORSENING)
    assert theirs.best_step < 8 < theirs.step == 9
    before = files(tmp_path / "theirs")
    _, mine = train(tmp_path / "mine", resume=str(tmp_path / "theirs/checkpoints/step-000008"), **WORSENING)
    assert (mine.step, mine.best_step, mine.best_loss) == (9, theirs.best_step, theirs.best_loss)
    best = f"step-{mine.best_step:06d}"
    assert files(tmp_path / "mine")[best] == before[best]
    assert files(tmp_path / "theirs") == before, "the other run stays as it is"


def test_a_resume_without_the_best_checkpoint_is_refused_at_once(tmp_path: Path) -> None:
    _, theirs = train(tmp_path / "theirs", **WORSENING)
    shutil.rmtree(tmp_path / f"theirs/checkpoints/step-{theirs.best_step:06d}")
    with pytest.raises(BrokenCheckpoint, match=f"step-{theirs.best_step:06d} cannot be read"):
        train(tmp_path / "mine", resume=str(tmp_path / "theirs/checkpoints/step-000009"), **WORSENING)
    assert not (tmp_path / "mine/checkpoints").exists()


def test_going_back_to_an_earlier_checkpoint_leaves_nothing_of_what_came_after_it(tmp_path: Path) -> None:
    class Stopped(TinyClassifier):
        def forward(self, model, batch):
            if torch.is_grad_enabled():
                raise UserError("stopped")
            return super().forward(model, batch)

    train(tmp_path, **WORSENING)
    after = files(tmp_path)
    # Another timeline, whose later steps have weights that this one never reaches.
    last = tmp_path / "checkpoints/step-000009"
    model = TinyClassifier(CONFIG).model()
    for step in (9, 12):
        names = checkpoint.trainable(model)
        tensors = checkpoint.tensors_of(model, torch.optim.AdamW(model.parameters()), names)
        checkpoint.commit(last.parent, step, tensors, checkpoint.read_state(last))
    assert files(tmp_path)["step-000009"] != after["step-000009"]
    back = {**WORSENING, "resume": str(tmp_path / "checkpoints/step-000008")}
    with pytest.raises(UserError, match="stopped"):
        train(tmp_path, Stopped, **back)
    assert max(files(tmp_path)) == "step-000008", (
        "a resume that is killed before its first checkpoint goes on from here, too"
    )
    train(tmp_path, **back)
    assert files(tmp_path)["step-000009"] == after["step-000009"]


@pytest.mark.parametrize(
    ("resume", "how"), [("auto", "the same command again"), ("a path", "the same command without --resume again")]
)
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, resume: str, how: str) -> None:
    class Stopped(TinyClassifier):
        stopped = False

        def loss(self, model, batch):
            if torch.is_grad_enabled() and not self.stopped:
                self.stopped = True
                os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(model, batch)

    if resume != "auto":
        train(tmp_path / "a")
        resume = str(tmp_path / "a/checkpoints/step-000003")
    with pytest.raises(Interrupted, match=rf"stopped by SIGTERM after step \d of 6; .* give {how} to go on") as caught:
        train(tmp_path / "b", Stopped, resume=resume)
    assert caught.value.status == 128 + signal.SIGTERM


def from_random(folder: Path, micro: int, padded: bool = False) -> tuple[list[float], torch.nn.BatchNorm1d]:
    """The losses of a training from random weights, and its BatchNorm; `padded` ends every step with an empty slot."""
    folder.mkdir(exist_ok=True)
    config = dataclasses.replace(CONFIG, pretrained=False)
    task, rows = TinyNormed(config, 0.0), features(90)
    nothing = Encoded(rows.select([]), rows.select([]))
    trainer = Trainer(task, task.model(), rows, nothing, config, Accelerator(cpu=True), folder, micro)
    made = trainer._micro_batches

    def with_an_empty_slot(planned):
        step, batch, micro_batches = made(planned)
        return step, batch, [*micro_batches, (Slot(batch[:5], 99, 0.0), task.collate(rows[batch[:5]]))]

    if padded:
        trainer._micro_batches = with_an_empty_slot
    trainer.run()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines], trainer.model.head[0]


def test_an_empty_slot_leaves_nothing_in_batch_norm(tmp_path: Path) -> None:
    losses, norm = from_random(tmp_path / "plain", 16)
    padded_losses, padded_norm = from_random(tmp_path / "padded", 16, padded=True)
    assert padded_losses == losses
    assert padded_norm.num_batches_tracked == norm.num_batches_tracked == 12
    assert torch.equal(padded_norm.running_mean, norm.running_mean)


def test_a_micro_batch_of_one_example_has_no_statistics(tmp_path: Path) -> None:
    """The steps of 32, 32 and 26 examples are cut into 25 + 7, 25 + 7 and 25 + 1."""
    losses, norm = from_random(tmp_path, 25)
    assert len(losses) == 6 and np.isfinite(losses).all()
    assert norm.num_batches_tracked == 2 * 5


def test_the_wall_time_of_a_training_goes_on_after_a_resume(tmp_path: Path) -> None:
    class Slow(TinyClassifier):
        """Its evaluations take time, and the first session of it stops in the fifth step."""

        left = 4

        def statistics(self, predictions, references):
            time.sleep(0.3)
            return super().statistics(predictions, references)

        def loss(self, model, batch):
            self.left -= torch.is_grad_enabled()
            if self.left < 0:
                raise UserError("stopped")
            return super().loss(model, batch)

    def session(left: int) -> Trainer:
        task = Slow(CONFIG, 0.0)
        task.left = left
        trainer = Trainer(
            task, task.model(), features(90), encoded(40, seed=1), CONFIG, Accelerator(cpu=True), tmp_path, 32
        )
        with contextlib.suppress(UserError):
            trainer.run()
        return trainer

    first, second = session(4), session(90)
    assert (first.earlier_seconds, first.progress.step, second.progress.step) == (0.0, 4, 6)
    assert second.earlier_seconds == first.progress.wall_seconds >= 0.6, "two evaluations until step 3"
    assert second.progress.wall_seconds >= 0.9, "and one after it"
    assert session(90).earlier_seconds == second.progress.wall_seconds, "a finished training keeps its time"
