"""The model card: README.md of a run, rendered from its results and manifest."""

import re
from pathlib import Path
from typing import Any

from common.reporting import wording
from common.reporting.picture import write_picture
from common.reporting.report import render, write_report
from common.run import Run, published
from common.system.files import write_text

TEMPLATE = "card.md.j2"
SHOWN_ERRORS = 5
HUB_ID = re.compile(r"^([\w.-]+/[\w.-]+)(@[0-9a-f]{40})?(, .*)?$")
# The Hub has one type for all averages of a metric; the metric's name tells them apart.
AVERAGE = re.compile(r"^(macro|micro|weighted)_")


def write_pages(run: Run) -> tuple[Path, Path]:
    """Write what people look at, the report, the picture and the model card; return the files of report and card."""
    write_picture(run)
    return write_report(run), write_card(run)


def write_card(run: Run) -> Path:
    """Write the card of a run, and return its file."""
    write_text(run.card, render_card(run))
    return run.card


def render_card(run: Run) -> str:
    """The card as text: metadata with a model-index, then what a reader has to know before using the model."""
    from huggingface_hub import ModelCard

    results, manifest = published(run)
    errors = results["worst_errors"][:SHOWN_ERRORS]
    shown = {
        "errors": errors,
        "with_confidence": any("confidence" in row for row in errors),
        "pictures": {
            row["id"]: file.relative_to(run.folder).as_posix() for row in errors if (file := run.input(row["id"]))
        },
        "weak": weak_slices(results),
    }
    text = re.sub(r"\n{3,}", "\n\n", render(TEMPLATE, run, results, manifest, **shown))
    return str(ModelCard(f"---\n{_metadata(results, manifest).to_yaml()}\n---\n\n{text.strip()}\n")) + "\n"


def weak_slices(results: wording.Results) -> list[dict[str, Any]]:
    """The slices whose whole interval is worse than the score on all rows, the weakest first."""
    metric, kind = results["primary_metric"], wording.primary(results)
    whole = results["metrics"][metric]["value"]
    measured = [row for row in results["slices"] if "metrics" in row]
    weak = [row for row in measured if wording.clearly_worse(row["metrics"][metric], whole, kind)]
    return sorted(weak, key=lambda row: wording.how_bad(row["metrics"][metric], kind))


def licence(manifest: dict[str, Any]) -> str:
    """The pretrained model's licence as the Hub writes it, which the fine-tuned one inherits; else `other`."""
    return manifest["model"]["licence"].lower() or "other"


def base_model(manifest: dict[str, Any]) -> str | None:
    """The Hub's name of the pretrained model, if it is there and the weights began with it."""
    found = HUB_ID.match(manifest["model"]["origin"]) if manifest["config"]["pretrained"] else None
    return found[1] if found else None


def hub_dataset(manifest: dict[str, Any]) -> str | None:
    """The Hub's name of the data set, if that is where the rows come from: a file's path may look like one."""
    found = HUB_ID.match(manifest["data"]["reference"]) if manifest["config"]["dataset"] else None
    return found[1] if found else None


def _metadata(results: wording.Results, manifest: dict[str, Any]) -> Any:
    """What the Hub reads: task, base model, data, and every measured number as a model-index."""
    from huggingface_hub import ModelCardData

    data_id = hub_dataset(manifest)
    return ModelCardData(
        model_name=f"{results['project']}-{results['run']}",
        eval_results=_measured(results, manifest["data"]["reference"], data_id or results["run"]),
        library_name="transformers",
        pipeline_tag=results["task"]["pipeline_tag"],
        base_model=base_model(manifest),
        datasets=[data_id] if data_id else None,
        metrics=list(results["metrics"]),
        tags=["fine-tuned", "accelerate"],
        license=licence(manifest),
    )


def _measured(results: wording.Results, data: str, data_id: str) -> list[Any]:
    """Every metric of every test set as an entry of the model-index."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=results["task"]["pipeline_tag"],
            dataset_type=data_id,
            dataset_name=data if part_name == "test" else f"{part_name} (out of domain)",
            dataset_split=part_name,
            metric_type=AVERAGE.sub("", metric),
            metric_name=metric,
            metric_value=round(interval["value"], 4),
        )
        for part_name, part in wording.parts(results).items()
        for metric, interval in part["metrics"].items()
    ]
