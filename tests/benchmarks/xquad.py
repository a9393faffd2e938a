"""Finished runs of question answering on the English questions of XQuAD, which nobody trains on.

    python -m tests.benchmarks.xquad runs/question_answering/starter [MORE RUNS] [--write]

Needs KIT_ASSETS. 1,190 questions about 240 paragraphs of Wikipedia, each with an answer (Artetxe et al. 2020).
"""

import argparse
import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from common.metrics import answers
from common.metrics.intervals import Bootstrap
from common.predictor import Predictor
from common.system.files import read_json, write_json

RESULTS = Path(__file__).resolve().parents[2] / "projects/question_answering/results/elsewhere.json"

WHAT = "The English questions of XQuAD about paragraphs of Wikipedia, each with an answer; no run was trained on them."


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    file = Path(os.environ["KIT_ASSETS"]) / "data/xquad/xquad.en.json"
    measured = {run.name: measure(run, file) for run in options.runs}
    print(json.dumps(measured, indent=1))
    if options.write:
        before = read_json(RESULTS)["runs"] if RESULTS.exists() else {}
        write_json(RESULTS, {"what": WHAT, "runs": {**before, **measured}})


def measure(run: Path, file: Path) -> dict[str, Any]:
    """F1 and exact match with intervals by paragraph, and how often it says that there is no answer."""
    predictor = Predictor.load(run)
    project = predictor.task.project
    from_cells = importlib.import_module(f"projects.{project}.rows").from_cells
    reader = importlib.import_module(f"projects.{project}.squad").Reader(predictor.task.config)
    rows = [from_cells(*(row[name] for name in reader.names)) for _, row in reader.read(file)]
    predictions = predictor.predict([{"question": row["question"], "context": row["context"]} for row in rows])
    said = [prediction.value for prediction in predictions]
    statistics = answers.statistics(said, [[one["text"] for one in row["reference"]] for row in rows])
    groups = np.asarray([row["context"] for row in rows])
    metrics = Bootstrap(groups).intervals(statistics, answers.score, {"f1", "exact_match"})
    return {"questions": len(rows), **metrics, "no_answer_said": float(np.mean([not value for value in said]))}


if __name__ == "__main__":
    main()
