"""LoRA on the chat model: the loop against trl's SFTTrainer, in tokens a second and peak memory.

    pip install --no-deps trl==1.16.0
    python -m tests.benchmarks.lora [--write]

Both train the same adapters of the same model on the same rows with the same labels, in the same precision, in batches
of the same size and of like lengths, without gradient checkpointing; trl's loss makes no logits that do not count,
either. Each training runs in a process of its own, and they take turns, so that a noisy neighbour hits both.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROWS, BATCH, REPEATS = 128, 16, 3
RESULTS = Path(__file__).resolve().parents[2] / "projects/text_generation/results/lora.json"
# One rate throughout, so that the losses can be compared, too.
SCHEDULE = ("--scheduler", "constant", "--warmup", "0", "--log_every", "50")
KIT, TRL = "the kit", "trl's SFTTrainer"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    parser.add_argument("--one", choices=[KIT, TRL])
    options = parser.parse_args()
    if options.one:
        print(json.dumps(train_kit() if options.one == KIT else train_trl()))
        return
    found: dict[str, list[dict[str, float]]] = {KIT: [], TRL: []}
    for _ in range(REPEATS):
        for name, runs in found.items():
            command = [sys.executable, "-m", "tests.benchmarks.lora", "--one", name]
            asked = subprocess.run(command, capture_output=True, text=True, check=False)
            if asked.returncode:
                raise SystemExit(asked.stderr)
            runs.append(json.loads(asked.stdout.splitlines()[-1]))
            rate, gib = runs[-1]["tokens"] / runs[-1]["seconds"], runs[-1]["peak_bytes"] / 2**30
            print(f"{name:20} {rate:6.0f} tokens/s   {gib:.2f} GiB   loss {runs[-1]['loss']:.3f}", flush=True)
    rates = {name: median(run["tokens"] / run["seconds"] for run in runs) for name, runs in found.items()}
    peaks = {name: median(run["peak_bytes"] for run in runs) for name, runs in found.items()}
    ratios = {"tokens_per_second": rates[KIT] / rates[TRL], "peak_memory": peaks[KIT] / peaks[TRL]}
    print(f"medians: {ratios['tokens_per_second']:.2f} times as fast, {ratios['peak_memory']:.2f} times the memory")
    if options.write:
        from common.system.hardware import _cpu_name, cpu_has_bf16

        what = (
            f"LoRA of rank 16 on every linear layer of SmolLM2-135M-Instruct, {ROWS} voice calls in batches of "
            f"{BATCH}, on {_cpu_name()}, {'with' if cpu_has_bf16() else 'without'} bf16; wall time of the training "
            f"alone, and peak resident memory of its process; processes take turns, and medians are compared."
        )
        RESULTS.write_text(json.dumps({"what": what, "runs": found, "ratios": ratios}, indent=1) + "\n")


def rows() -> tuple[Any, Any, Path]:
    """The task, encoded rows, and the folder of the model."""
    from common.config import parse
    from common.data.features import encoded
    from common.models.pretrained import pretrained
    from common.system.progress import quiet_libraries
    from projects.text_generation.task import TextGeneration

    quiet_libraries()
    starter = Path(__file__).resolve().parents[2] / "projects/text_generation/starter.yaml"
    task = TextGeneration(parse(TextGeneration.config_class, ["--config", str(starter), *SCHEDULE]))
    source = pretrained(task.config.model).folder
    task.load_processor(source)
    train = task.data().splits["train"].shuffle(seed=0).select(range(ROWS))
    return task, encoded(task.encode, train), source


def figures(started: float, features: Any, loss: float) -> dict[str, float]:
    """Seconds, tokens and memory of a training that has just ended."""
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "tokens": sum(features["length"]), "peak_bytes": peak, "loss": loss}


def train_kit() -> dict[str, float]:
    from common.data.features import Encoded
    from common.system.hardware import make_accelerator
    from common.training.loop import Trainer

    task, features, source = rows()
    model = task.prepare(source, features)
    accelerator = make_accelerator("auto", None)[0]
    with tempfile.TemporaryDirectory() as folder:
        nothing = Encoded(features.select([]), features.select([]))
        trainer = Trainer(task, model, features, nothing, task.config, accelerator, Path(folder), BATCH)
        started = time.perf_counter()
        trainer.run()
        lines = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return figures(started, features, json.loads(lines[-1])["loss"])


def train_trl() -> dict[str, float]:
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    from common.system.hardware import cpu_has_bf16

    task, features, source = rows()
    labels = [
        [token if index in learned else -100 for index, token in enumerate(ids)]
        for ids, learned in zip(features["input_ids"], map(set, features["learned"]), strict=True)
    ]
    config = task.config
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=config.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=config.weight_decay,
            bf16=cpu_has_bf16(),
            gradient_checkpointing=False,
            train_sampling_strategy="group_by_length",
            dataset_kwargs={"skip_prepare_dataset": True},
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=50,
            use_cpu=True,
        )
        trainer = SFTTrainer(
            AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32),
            arguments,
            train_dataset=features.select_columns(["input_ids"]).add_column("labels", labels),
            processing_class=task.tokenizer,
            peft_config=LoraConfig(
                r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
        started = time.perf_counter()
        return figures(started, features, trainer.train().training_loss)


if __name__ == "__main__":
    main()
