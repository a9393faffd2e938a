"""What the kit does on a GPU, in one command of at most nine minutes on a bare machine with one.

    python -m tests.benchmarks.gpu [--dry] [--write]

Each part runs in a process of its own with a time limit, so that one that fails or hangs costs no other; what it says
then stands in the result. Rows are made up. Needs the packages of pyproject.toml (`pip install -e . --no-index
--find-links FOLDER` takes them from wheels that were brought along) and the starter model in the cache of the kit.
`--dry` walks the same paths, small, on a CPU.
"""

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from statistics import median
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "projects/text_classification/results/gpu.json"
PROJECT = "text_classification"
# Seconds for all parts, and for one.
IN_ALL, FOR_ONE = 540.0, 150.0
LABELS = ("food", "music", "weather")
SHAPES = ("minilm", "bert-base")
# Of a training of `--dry`.
SMALL = {"count": 32, "words": 8, "global_batch_size": 8}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dry", action="store_true", help="small, on a CPU")
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.folder, options.dry)))
        return
    if missing := missing_packages():
        raise SystemExit(f"these packages are missing: {', '.join(missing)}. Install them, from wheels where need be.")
    results = measured(options.dry)
    print(json.dumps(results, indent=1))
    if options.write:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if failed := [name for name, part in results["parts"].items() if "failed" in part]:
        raise SystemExit(f"these parts failed: {', '.join(failed)}.")


def missing_packages() -> list[str]:
    """The packages that the kit needs and this machine lacks."""
    from packaging.requirements import Requirement

    needed = [Requirement(one) for one in requires("finetuning-portfolio-kit") or []]
    missing = []
    for requirement in needed:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            try:
                version(requirement.name)
            except PackageNotFoundError:
                missing.append(str(requirement))
    return missing


def measured(dry: bool) -> dict[str, Any]:
    """All parts, each in a process of its own."""
    import torch

    from common.system.hardware import default_device, describe

    if not dry and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no GPU: --dry walks the same paths on a CPU.")
    started, parts = time.monotonic(), {}
    for name in PARTS:
        seconds = min(FOR_ONE, IN_ALL - (time.monotonic() - started))
        parts[name] = in_a_process(name, dry, seconds)
        print(f"{name}: {json.dumps(parts[name])[:300]}", file=sys.stderr, flush=True)
    versions = {name: version(name) for name in ("torch", "transformers", "accelerate")}
    device = torch.device("cpu") if dry else default_device()
    return {"device": describe(device)["device"], "dry": dry, "versions": versions, "parts": parts}


def in_a_process(part: str, dry: bool, seconds: float) -> dict[str, Any]:
    """What a part measured, or why it did not: {"failed": ...}."""
    if seconds < 1:
        return {"failed": "no time was left"}
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"CUDA_VISIBLE_DEVICES": ""} if dry else {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.gpu", "--part", part, "--folder", folder]
        try:
            asked = subprocess.run(
                [*command, *(["--dry"] if dry else [])],
                cwd=REPOSITORY,
                env=environment,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"it took longer than {seconds:.0f} s"}
    if asked.returncode:
        return {"failed": asked.stderr.strip().splitlines()[-1][:300] if asked.stderr.strip() else "no word"}
    result: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
    return result


# One training


def options(folder: Path, **changes: Any) -> Any:
    """Options of a training without evaluations on made-up rows."""
    from projects.text_classification.config import TextClassificationConfig

    given = TextClassificationConfig(train_file=str(folder / "train.csv"), epochs=100, log_every=1, run_name="gpu")
    return replace(given, **changes)


def rows(count: int, words: int) -> dict[str, list[str]]:
    """Made-up texts whose label can be learned; half of them shorter than `words`."""
    chance = random.Random(0)
    texts, labels = [], []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        length = words if number % 2 else chance.randrange(3, words)
        texts.append(" ".join(chance.choice((label, "the", "of", "and", "we", "it")) for _ in range(length)))
        labels.append(label)
    return {"text": texts, "reference": labels}


def start(folder: Path, shape: str = "minilm", count: int = 512, words: int = 60, **changes: Any) -> dict[str, Any]:
    """Task, model and features that a training begins with: `Trainer(**...)` takes them."""
    import torch
    from datasets import Dataset

    from common.models.pretrained import pretrained
    from projects.text_classification.task import TextClassification

    task = TextClassification(options(folder, **changes))
    task.settings["labels"] = list(LABELS)
    source = source_of(shape, pretrained("starter:minilm-l6").folder, folder)
    task.load_processor(source)
    given = rows(count, words)
    ids = {"id": [str(number) for number in range(count)], "row": list(range(count))}
    features = Dataset.from_dict({**ids, **task.encode(given)})
    torch.manual_seed(0)
    return {"task": task, "model": task.prepare(source, features), "train": features, "config": task.config}


def source_of(shape: str, minilm: Path, folder: Path) -> Path:
    """The folder of the pretrained model; for BERT-base random weights of its shape, with MiniLM's tokenizer."""
    if shape == "minilm":
        return minilm
    from transformers import BertConfig, BertModel

    target = folder / shape
    if not target.exists():
        BertModel(BertConfig()).save_pretrained(target)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(minilm / name, target / name)
    return target


def train(
    folder: Path, begun: dict[str, Any], precision: str = "auto", size: int | None = None, cpu: bool = False
) -> dict[str, Any]:
    """Train as the kit does, on the GPU where there is one; losses, seconds, share of waiting, memory."""
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    from common.data.features import Encoded
    from common.system.hardware import make_accelerator, peak_memory_bytes
    from common.training.loop import Trainer

    folder.mkdir(parents=True, exist_ok=True)
    AcceleratorState._reset_state(reset_partial_state=True)  # another device than in the training before
    accelerator = Accelerator(cpu=True, mixed_precision="no") if cpu else make_accelerator(precision, None)[0]
    if accelerator.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    nothing = Encoded(begun["train"].select([]), begun["train"].select([]))
    size = size or begun["config"].global_batch_size
    trainer = Trainer(**begun, validation=nothing, accelerator=accelerator, folder=folder, micro_batch_size=size)
    progress = trainer.run()
    lines = [json.loads(line) for line in trainer.metrics.read_text(encoding="utf-8").splitlines()]
    return {
        "precision": accelerator.mixed_precision,
        "losses": [line["loss"] for line in lines if "loss" in line],
        "seconds": progress.seconds,
        "examples": progress.examples,
        "waiting_share": progress.seconds_waiting / progress.seconds,
        "peak_memory_bytes": peak_memory_bytes(accelerator.device),
        "model": trainer.model,
    }


# The parts


def quick_tests(_: Path, dry: bool) -> dict[str, Any]:
    """The quick tests of loop, checkpoints and hardware, which take a GPU where there is one."""
    chosen = ["tests/common/system/test_errors.py"] if dry else ["tests/common/training", "tests/common/system"]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *chosen]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"passed": asked.returncode == 0, "summary": asked.stdout.strip().splitlines()[-1]}


def precisions(folder: Path, dry: bool) -> dict[str, Any]:
    """Some steps in each precision: is the loss finite, and does it fall?"""
    found = {}
    for precision in ("fp32",) if dry else ("fp32", "bf16", "fp16"):
        begun = start(folder, max_steps=2, **SMALL) if dry else start(folder, max_steps=40)
        run = train(folder / precision, begun, precision)
        losses = run["losses"]
        found[precision] = {"first": losses[0], "last": losses[-1], "finite": all(map(math.isfinite, losses))}
    return found


def starters(folder: Path, dry: bool) -> dict[str, Any]:
    """Some steps of each project's starter in the precisions of GPUs: is the loss finite, and how fast does it go?"""
    found: dict[str, Any] = {}
    for file in sorted(REPOSITORY.glob("projects/*/starter.yaml")):
        project = file.parent.name
        for precision in ("fp32",) if dry else ("bf16", "fp16"):
            run = train(folder / project / precision, begun_starter(project, file, dry), precision)
            finite = all(map(math.isfinite, run["losses"]))
            rate = run["examples"] / run["seconds"]
            found.setdefault(project, {})[precision] = {"finite": finite, "examples_per_second": rate}
    return found


def begun_starter(project: str, file: Path, dry: bool) -> dict[str, Any]:
    """What the training of a project's starter begins with."""
    import torch

    from common.data.features import encoded
    from common.models.pretrained import pretrained
    from common.task.projects import load_task_class, parse_options

    small = ["--max_steps", "2", "--global_batch_size", "4"] if dry else ["--max_steps", "30"]
    given = ["--config", str(file), "--evaluate_every", "1000", "--log_every", "1", "--run_name", "gpu", *small]
    task = load_task_class(project)(parse_options(project, given))
    source = pretrained(task.config.model, task.config.revision)
    rows = task.data().splits["train"]
    task.load_processor(source.folder)
    features = encoded(task.encode, rows.select(range(min(len(rows), 16 if dry else 4_096))))
    torch.manual_seed(0)
    model = task.prepare(source.folder, features)
    return {"task": task, "model": model, "train": features, "config": task.config}


def same_losses(folder: Path, dry: bool) -> dict[str, Any]:
    """The losses of the same steps on the CPU and on the GPU, in fp32 and without dropout."""
    import torch

    found = {}
    for where in ("cpu", "gpu"):
        begun = start(folder, max_steps=2 if dry else 10, gradient_clip=0.0, **(SMALL if dry else {}))
        for module in begun["model"].modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for layer in begun["model"].bert.encoder.layer:
            layer.attention.self.dropout.p = 0.0
        found[where] = train(folder / where, begun, "fp32", cpu=where == "cpu")
    pairs = list(zip(found["cpu"]["losses"], found["gpu"]["losses"], strict=True))
    return {"steps": len(pairs), "largest_relative_difference": max(abs(a - b) / abs(a) for a, b in pairs)}


def resume(folder: Path, dry: bool) -> dict[str, Any]:
    """Is a run that goes on from its middle bit-equal to one that was never stopped?"""
    import torch

    steps, small = (2, SMALL) if dry else (20, {})
    found = {}
    for name, deterministic in (("as it is", False), ("deterministic algorithms", True)):
        torch.use_deterministic_algorithms(deterministic)
        given = {"max_steps": steps, "checkpoint_every": steps // 2, **small}
        whole = train(folder / name / "whole", start(folder, **given))["model"]
        checkpoints = folder / name / "whole/checkpoints"
        middle = next(path for path in checkpoints.iterdir() if int(path.name.rpartition("-")[2]) == steps // 2)
        shutil.copytree(middle, folder / name / "again/checkpoints" / middle.name)
        again = train(folder / name / "again", start(folder, **given))["model"]
        pairs = zip(whole.state_dict().values(), again.state_dict().values(), strict=True)
        found[name] = {"bit_equal": all(torch.equal(one, other) for one, other in pairs)}
    return found


def speed(folder: Path, dry: bool) -> dict[str, Any]:
    """Examples a second of the kit and of transformers.Trainer, which take turns; memory against the estimate."""
    found = {}
    for shape in SHAPES[:1] if dry else SHAPES:
        loops = {"the kit": kit_loop, "Trainer, best settings": best_trainer, "Trainer, defaults": default_trainer}
        rates: dict[str, list[float]] = {name: [] for name in loops}
        about: dict[str, Any] = {}
        for _ in range(1 if dry else 3):
            for name, loop in loops.items():
                of_run = loop(folder, shape, dry)
                rates[name].append(of_run.pop("examples") / of_run.pop("seconds"))
                about |= of_run
        best = median(rates["the kit"])
        shares = {name: best / median(values) for name, values in rates.items()}
        found[shape] = {"examples_per_second": rates, "the_kit_over": shares, **about}
    return found


def sizes(dry: bool) -> dict[str, Any]:
    """Rows, words and batch of the speed runs."""
    return SMALL if dry else {"count": 4_096, "words": 100, "global_batch_size": 64}


def kit_loop(folder: Path, shape: str, dry: bool) -> dict[str, Any]:
    """One epoch of the kit, with what it costs."""
    from common.system.hardware import make_accelerator
    from common.training.preflight import find_micro_batch

    begun = start(folder, shape, epochs=1, **sizes(dry))
    accelerator, precision = make_accelerator("auto", None)
    model, config = begun["model"], begun["config"]
    fits = find_micro_batch(begun["task"], model, begun["train"], config, accelerator, precision)
    run = train(Path(tempfile.mkdtemp(dir=folder)), begun, size=fits.micro_batch_size)
    tokens = sum(begun["train"]["length"])
    parameters = sum(parameter.numel() for parameter in begun["model"].bert.encoder.parameters())
    operations = 6 * parameters * tokens / run["seconds"]  # forward and backward (Kaplan et al. 2020, section 2.1)
    return {
        "seconds": run["seconds"],
        "examples": run["examples"],
        "waiting_share": run["waiting_share"],
        "precision": run["precision"],
        "operations_per_second": operations,
        "share_of_plain_products": operations / product_speed(accelerator.device, precision.name, dry),
        "peak_memory_bytes": run["peak_memory_bytes"],
        "estimated_memory_bytes": fits.memory_bytes,
    }


def product_speed(device: Any, precision: str, dry: bool) -> float:
    """Operations a second of large matrix products: what this device reaches where nothing else is done."""
    import torch

    from common.system.hardware import autocast_dtype

    size, times = (256, 3) if dry else (8_192, 20)
    matrix = torch.randn(size, size, device=device, dtype=autocast_dtype(precision) or torch.float32)
    for repeat in range(2):  # the first one warms up
        started = time.perf_counter()
        for _ in range(times if repeat else 1):
            matrix @ matrix
        if device.type == "cuda":
            torch.cuda.synchronize()
    return 2 * size**3 * times / (time.perf_counter() - started)


def best_trainer(folder: Path, shape: str, dry: bool) -> dict[str, Any]:
    """One epoch of transformers.Trainer with the settings that make it fastest."""
    import torch

    from common.system.hardware import cpu_has_bf16

    bf16 = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else cpu_has_bf16()
    grouped = {"train_sampling_strategy": "group_by_length", "length_column_name": "length"}
    return transformers_trainer(folder, shape, dry, {**grouped, "bf16": bf16, "dataloader_num_workers": 0})


def default_trainer(folder: Path, shape: str, dry: bool) -> dict[str, Any]:
    """One epoch of transformers.Trainer as it comes."""
    return transformers_trainer(folder, shape, dry, {})


def transformers_trainer(folder: Path, shape: str, dry: bool, settings: dict[str, Any]) -> dict[str, Any]:
    """One epoch of transformers.Trainer from the same weights, rows and global batch."""
    from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer, TrainingArguments

    begun = start(folder, shape, **sizes(dry))
    begun["task"].save(begun["model"], folder / "saved")
    model = AutoModelForSequenceClassification.from_pretrained(folder / "saved")
    tokenizer, features = begun["task"].processor, begun["train"].remove_columns(["id", "row"])
    arguments = TrainingArguments(
        str(folder / "trainer"),
        num_train_epochs=1,
        per_device_train_batch_size=8 if dry else 64,
        learning_rate=1e-4,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=dry,
        **settings,
    )
    collator = DataCollatorWithPadding(tokenizer)
    trainer = Trainer(model, arguments, train_dataset=features, data_collator=collator, processing_class=tokenizer)
    started = time.perf_counter()
    trainer.train()
    return {"seconds": time.perf_counter() - started, "examples": len(features)}


def out_of_memory(folder: Path, dry: bool) -> dict[str, Any]:
    """With hardly any memory the micro-batch is halved until it fits; the global batch stays."""
    import torch

    from common.system.hardware import make_accelerator
    from common.training.preflight import find_micro_batch

    begun = start(folder, count=64 if dry else 2_048, words=8 if dry else 250, global_batch_size=64 if dry else 2_048)
    accelerator, precision = make_accelerator("auto", None)
    task, plain_loss = begun["task"], begun["task"].loss
    if dry:  # a CPU has no limit that one could set

        def loss(model: Any, batch: Any) -> Any:
            if len(batch["input_ids"]) > 8:
                raise torch.OutOfMemoryError("tried to allocate more than there is")
            return plain_loss(model, batch)

        task.loss = loss
    else:
        torch.cuda.set_per_process_memory_fraction(0.05)
    fits = find_micro_batch(task, begun["model"], begun["train"], begun["config"], accelerator, precision)
    return {"global_batch": begun["config"].global_batch_size, "micro_batch": fits.micro_batch_size}


PARTS: dict[str, Callable[[Path, bool], dict[str, Any]]] = {
    "quick_tests": quick_tests,
    "precisions": precisions,
    "starters": starters,
    "same_losses": same_losses,
    "resume": resume,
    "speed": speed,
    "out_of_memory": out_of_memory,
}


if __name__ == "__main__":
    main()
