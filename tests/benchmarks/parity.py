"""Does a demo answer the whole test split as it was measured?

    python -m tests.benchmarks.parity RUN [MORE RUNS]

Every test row goes through the demo's own checks and queue, 64 at a time, and its answer is held against that in
predictions.jsonl. In half precision an answer depends on the batch that it was given in: of a hundred one may then be
further off than `kit verify` allows where the batches are the same.
"""

import argparse
import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from apps.parts.demo import Demo
from common.predictor import Predictor
from common.run import Run, project_of
from common.system.files import read_json
from common.task.contract import Prediction
from common.verify import FLIPS, TOLERANCE

TOGETHER = 64


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    found = [compared(run) for run in parser.parse_args().runs]
    print(json.dumps(found, indent=1))
    sys.exit(any(one["other"] > one["allowed"] for one in found))


def compared(folder: Path) -> dict[str, Any]:
    """How many test rows the demo of a run answers with the same value, and how many with another answer."""
    run = Run(folder)
    precision = read_json(run.results)["inference"]["precision"]
    demo = demo_of(Predictor.load(folder, precision=precision))
    records = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if record["set"] == "test" and demo.example_input(record) is not None]
    answers = asyncio.run(answered(demo, records))
    measured = [Prediction.from_json(record["prediction"]) for record in records]
    pairs = list(zip(measured, answers, strict=True))
    other = [
        record["id"]
        for record, (old, new) in zip(records, pairs, strict=True)
        if not demo.predictor.task.same(old, new, TOLERANCE[precision])
    ]
    equal = sum(old.value == new.value for old, new in pairs)
    allowed = 0 if precision == "fp32" else int(FLIPS * len(records))
    counts = {"rows": len(records), "equal": equal, "other": len(other), "allowed": allowed}
    return {"run": str(folder), "precision": precision, **counts, "first": other[:5]}


def demo_of(predictor: Predictor) -> Demo:
    """The demo of the project that a model belongs to, without its page."""
    assert predictor.folder
    module = importlib.import_module(f"apps.{project_of(read_json(Run(predictor.folder).results))}")
    return module.build.__self__(predictor)  # type: ignore[no-any-return]


async def answered(demo: Demo, records: list[dict[str, Any]]) -> list[Prediction]:
    """The demo's answer to each record."""
    found: list[Prediction] = []
    for start in range(0, len(records), TOGETHER):
        given = [demo.as_input(tuple(demo.as_values(demo.example_input(one)))) for one in records[start:][:TOGETHER]]
        found += await asyncio.gather(*[demo.prediction(await demo.checked(one)) for one in given])
    return found


if __name__ == "__main__":
    main()
