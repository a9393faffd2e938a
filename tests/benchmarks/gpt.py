"""Lesson 8's GPT against transformers' GPT2LMHeadModel: tokens a second and validation loss on tinyshakespeare.

    python -m tests.benchmarks.gpt [--write] [--steps 2000]

Needs KIT_ASSETS. Both begin with the same weights and go through the same batches, in the lesson's own loop and in one
process; they take turns of 10 steps, so that a noisy neighbour hits both. One thread each (OMP_NUM_THREADS=1) is
steadiest.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "projects/foundations/results/gpt.json"
OURS, THEIRS = "lesson 8", "transformers GPT2LMHeadModel"
TURN = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="keep the figures beside the lessons")
    parser.add_argument("--steps", type=int, default=2000, help="fewer only for a look; they are not written")
    options = parser.parse_args()

    import torch
    from transformers import GPT2LMHeadModel
    from transformers.utils import logging

    from common.system.hardware import _cpu_name
    from projects.foundations.lesson08_gpt.lesson import Recipe, mean_loss, shakespeare, training
    from projects.foundations.lesson08_gpt.model import Shape, random_gpt, save_model

    logging.disable_progress_bar()
    train, validation, characters = shakespeare(Path(os.environ["KIT_ASSETS"]))
    recipe, ours = replace(Recipe(), steps=options.steps), random_gpt(Shape(len(characters.signs)))
    with tempfile.TemporaryDirectory() as folder:
        save_model(ours, 0, Path(folder))
        theirs = GPT2LMHeadModel.from_pretrained(folder)
    logits = {OURS: ours, THEIRS: lambda tokens: theirs(tokens, use_cache=False).logits}
    steps = {name: training(model, logits[name], train, recipe) for name, model in ((OURS, ours), (THEIRS, theirs))}
    rates: dict[str, list[float]] = {OURS: [], THEIRS: []}
    for turn in range(recipe.steps // TURN):
        for name in (OURS, THEIRS) if turn % 2 else (THEIRS, OURS):
            started = time.perf_counter()
            losses = list(islice(steps[name], TURN))
            rates[name].append(TURN * recipe.batch * recipe.context / (time.perf_counter() - started))
            print(
                f"step {TURN * (turn + 1):4}   {name:28} training loss {statistics.mean(losses):.3f}"
                f"   {rates[name][-1]:7,.0f} tokens/s",
                flush=True,
            )

    loops = {}
    for name, values in rates.items():
        loss = mean_loss(logits[name], validation, recipe.context)
        loops[name] = {"tokens_per_second": values, "validation_loss": loss}
        print(f"{name:28} median {statistics.median(values):7,.0f} tokens/s   validation loss {loss:.4f}")
    medians = statistics.median(rates[OURS]) / statistics.median(rates[THEIRS])
    turns = statistics.median(a / b for a, b in zip(rates[OURS], rates[THEIRS], strict=True))
    print(f"lesson 8 is faster by {medians:.3f} (medians), {turns:.3f} (median of the turns)")
    if options.write and options.steps == Recipe().steps:
        what = (
            f"tinyshakespeare's characters, nanoGPT's setting for a CPU (4 layers, 4 heads, width 128, context 64, "
            f"batch 12, {recipe.steps:,} steps) with a peak learning rate of {recipe.peak}, "
            f"on {_cpu_name()}, {torch.get_num_threads()} of {os.cpu_count()} cores; same start, same batches, "
            f"same loop, turns of {TURN} steps in one process. Tokens a second are medians over the turns; "
            "the loss is that of the whole validation part, in nats for each character."
        )
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"what": what, "loops": loops}, indent=1) + "\n")


if __name__ == "__main__":
    main()
