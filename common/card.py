"""The model card: README.md of a run, rendered from its results and manifest."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.report import render, write_report
from common.run import Run, for_visitors, read_json, write_text

if TYPE_CHECKING:
    from common.task import Task

TEMPLATE = "card.md.j2"
SHOWN_ERRORS = 5
HUB_ID = re.compile(r"^([\w.-]+/[\w.-]+)(@[0-9a-f]{40})?$")


def write_pages(run: Run) -> tuple[Path, Path]:
    """Write what people look at, the report with its plots and the model card, and return the two files."""
    return write_report(run), write_card(run)


def write_card(run: Run) -> Path:
    """Write the card of a run, and return its file."""
    write_text(run.card, render_card(run))
    return run.card


def render_card(run: Run) -> str:
    """The card as text: metadata with a model-index, then what a reader has to know before using the model."""
    from huggingface_hub import ModelCard

    from common.task import load_task_class

    results, manifest = for_visitors(read_json(run.results)), for_visitors(read_json(run.manifest))
    settings = read_json(run.model / "kit.json")
    task = load_task_class(results["project"])
    errors = results["worst_errors"][:SHOWN_ERRORS]
    pictures = {row["id"]: file.relative_to(run.folder).as_posix() for row in errors if (file := run.input(row["id"]))}
    text = render(TEMPLATE, run, results, manifest, task=task, labels=settings["labels"], weak=weak_slices(results), errors=errors, pictures=pictures)
    return str(ModelCard(f"---\n{_metadata(task, results, manifest).to_yaml()}\n---\n\n{text.strip()}\n")) + "\n"


def weak_slices(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The slices whose whole interval lies below the score on all rows, the weakest first."""
    whole = results["metrics"]["accuracy"]["value"]
    weak = [row for row in results["slices"] if "accuracy" in row and row["accuracy"]["high"] < whole]
    return sorted(weak, key=lambda row: float(row["accuracy"]["value"]))


def _metadata(task: "type[Task]", results: dict[str, Any], manifest: dict[str, Any]) -> Any:
    """What the Hub reads: task, base model, data, and every measured number as a model-index."""
    from huggingface_hub import EvalResult, ModelCardData

    name = f"{results['project']}-{results['run']}"
    config = manifest["config"]  # a file's path may look like the id of a Hub data set
    data_id = HUB_ID.match(manifest["data"]["reference"]) if config["dataset"] else None
    base = HUB_ID.match(manifest["model"]["origin"]) if config["pretrained"] else None
    measured = [
        EvalResult(
            task_type=task.pipeline_tag,
            dataset_type=data_id[1] if data_id else results["run"],
            dataset_name=manifest["data"]["reference"] if part_name == "test" else f"{part_name} (out of domain)",
            dataset_split=part_name,
            metric_type={"macro_f1": "f1"}.get(metric, metric),
            metric_name=metric,
            metric_value=round(interval["value"], 4),
        )
        for part_name, part in {"test": results, **results["out_of_domain"]}.items()
        for metric, interval in part["metrics"].items()
    ]
    return ModelCardData(
        model_name=name,
        eval_results=measured,
        library_name="transformers",
        pipeline_tag=task.pipeline_tag,
        base_model=base[1] if base else None,
        datasets=[data_id[1]] if data_id else None,
        metrics=list(results["metrics"]),
        tags=["fine-tuned", "accelerate"],
        license=licence(manifest),
    )


def licence(manifest: dict[str, Any]) -> str:
    """The pretrained model's licence as the Hub writes it, which the fine-tuned one inherits; `other` where it is not known."""
    return manifest["model"]["licence"].lower() or "other"
