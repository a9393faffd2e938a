"""Was fine-tuning needed? What it adds to each of the baselines, on the same rows."""

from typing import Any

from common.evaluation.records import groups_of
from common.metrics.intervals import Bootstrap
from common.task.contract import Prediction, Task


def against_each(task: Task, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """value (the baseline's name), metrics, and the model's difference from it in the primary metric, of each one."""
    references = [record["reference"] for record in records]

    def statistics(found: list[dict[str, Any]]) -> Any:
        return task.statistics([Prediction.from_json(one) for one in found], references)

    bootstrap, primary = Bootstrap(groups_of(records), task.config.seed), task.metrics[0]
    ours = statistics([record["prediction"] for record in records])
    rows = []
    for baseline in records[0]["baselines"]:
        theirs = statistics([record["baselines"][baseline] for record in records])
        scores = {metric: float(value) for metric, value in task.score(theirs.sum(axis=0)).items()}
        difference = bootstrap.difference(ours, theirs, task.score, primary.name, primary.unit == "share")
        rows.append({"value": baseline, "metrics": scores, "difference": difference})
    return rows
