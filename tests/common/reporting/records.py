"""Records of made-up test rows, for the pages that show rows."""

import json
from pathlib import Path
from typing import Any

from common.run import Run
from common.system.files import read_json, sha256, write_json
from tests.common.reporting import synthetic


def record(number: int, reference: Any, value: Any, score: float | None, **more: Any) -> dict[str, Any]:
    """A row of the test set; its baseline `words` is wrong where the model is right."""
    found = {"id": f"test:{number}", "set": "test", "reference": reference, "prediction": {"value": value}}
    found |= {"baselines": {"words": {"value": reference}}, "score": score, "baseline_scores": {"words": 1.0}}
    return {**found, "slices": {}, "perturbed": {}, "leaked": False, "input": f"text {number}", **more}


def answers(count: int, names: list[str], set_name: str = "test") -> list[dict[str, Any]]:
    """Rows of which every fourth is wrong, with confidences all over, some not sure, the baseline right in half."""
    found = []
    for n in range(count):
        reference, right = names[n % len(names)], n % 4 != 0
        confidence = round(0.3 + 0.69 * ((n * 37) % 101) / 100, 4)
        prediction: dict[str, Any] = {"value": reference if right else names[(n + 1) % len(names)]}
        prediction |= {"confidence": confidence, **({} if confidence >= 0.5 else {"sure": False})}
        words = {"words": {"value": reference if n % 2 else names[(n + 2) % len(names)]}}
        found.append(
            record(
                n,
                reference,
                None,
                float(right),
                prediction=prediction,
                baselines=words,
                baseline_scores={"words": float(n % 2)},
                input=f"I have asked about {reference} for {n} days now, and nobody answers me",
                set=set_name,
                leaked=n % 50 == 1,
                slices={"length": ("short", "long")[n % 2]},
            )
        )
    return found


def with_records(folder: Path, results: dict[str, Any], records: list[dict[str, Any]]) -> Run:
    """A run whose predictions.jsonl is that of its results."""
    run = synthetic.write_run(folder, results)
    run.predictions.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    write_json(run.results, {**read_json(run.results), "predictions_sha256": sha256(run.predictions)})
    return run


def coverage(sets: list[str], chosen: float) -> dict[str, Any]:
    """Curves on which a higher threshold leaves fewer and better answers; the second set has a gap at its end."""
    thresholds = [0.3, 0.5, chosen, 0.9, 0.99]
    curves = {
        name: {"coverage": [1.0, 0.9, 0.8 - n / 10, 0.4, 0.01], "scores": [0.86 - n / 10, 0.88, 0.9, 0.97, None]}
        for n, name in enumerate(sets)
    }
    return {"thresholds": thresholds, "sets": curves}
