"""The model card: README.md of a run, rendered from its results and manifest."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.reporting import markdown, wording
from common.reporting.picture import describe, question, write_picture
from common.reporting.report import render, write_report
from common.run import Run, published, understood
from common.system.files import write_text

TEMPLATE = "card.md.j2"
SHOWN_ERRORS = 5
# Characters of an example that the Hub offers to try.
LONGEST_EXAMPLE = 2_000
# The author's own words, where there are any.
PARAGRAPHS = {
    "why_this": "Why this",
    "what_surprised_me": "What surprised me",
    "what_i_would_do_next": "What I would do next",
}
HUB_ID = re.compile(r"^([\w.-]+/[\w.-]+)(@[0-9a-f]{40})?(, .*)?$")
# The Hub has one type for all averages of a metric; the metric's name tells them apart.
AVERAGE = re.compile(r"^(macro|micro|weighted)_")


def write_pages(run: Run, with_rows: bool = True) -> tuple[Path, Path]:
    """Write what people look at, the report, the picture and the model card; return the files of report and card.

    Raises UserError where the run's files lack what every page has.
    """
    with understood(run.folder):
        write_picture(run)
        return write_report(run, with_rows), write_card(run)


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
        "question": question(results),
        "picture": run.picture.name,
        "described": describe(results),
        "paragraphs": PARAGRAPHS,
        "link": markdown.link,
    }
    text = re.sub(r"\n{3,}", "\n\n", render(TEMPLATE, run, results, manifest, **shown))
    return str(ModelCard(f"---\n{_metadata(results, manifest, run).to_yaml()}\n---\n\n{text.strip()}\n")) + "\n"


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


def eval_results(results: wording.Results, manifest: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The test score as an entry of `.eval_results/*.yaml`, which is for data sets of the Hub: else nothing.

    Docs: https://huggingface.co/docs/hub/eval-results
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    found = HUB_ID.match(manifest["data"]["reference"]) if hub_dataset(manifest) else None
    if not found:
        return []
    kind, score = wording.primary(results), results["metrics"][results["primary_metric"]]
    measured = wording.plain(wording.with_interval(score, kind))
    entry = EvalResultEntry(
        dataset_id=found[1],
        task_id=manifest["config"].get("dataset_config") or "default",
        dataset_revision=(found[2] or "").removeprefix("@") or None,
        value=round(score["value"], 4),
        date=manifest["finished"][:10],
        source_url=f"https://huggingface.co/{name}",
        source_name="Model card",
        notes=f"{wording.heading(kind)} {measured} on {results['examples']:,} test rows",
    )
    return eval_result_entries_to_yaml([entry])


def _metadata(results: wording.Results, manifest: dict[str, Any], run: Run) -> Any:
    """What the Hub reads: task, base model, data, language, examples, and every measured number as a model-index."""
    from huggingface_hub import ModelCardData

    data_id = hub_dataset(manifest)
    return ModelCardData(
        model_name=f"{results['project']}-{results['run']}",
        eval_results=_measured(results, manifest["data"]["reference"], data_id),
        library_name="transformers",
        pipeline_tag=results["task"]["pipeline_tag"],
        base_model=base_model(manifest),
        datasets=[data_id] if data_id else None,
        language=results.get("portfolio", {}).get("language") or None,
        metrics=list(dict.fromkeys(AVERAGE.sub("", metric) for metric in results["metrics"])),
        tags=["fine-tuned", "accelerate"],
        license=licence(manifest),
        widget=list(_widgets(results, run)) or None,
    )


def _widgets(results: wording.Results, run: Run) -> Iterator[dict[str, str]]:
    """Test rows that the Hub offers to try: those of the demo, as texts, as questions on a text, or as files."""
    for row in results["examples_to_try"]:
        title = {"example_title": wording.excerpt(row["kind"], 60)}
        given = row.get("input")
        if file := run.input(row["id"]):
            yield {"src": file.relative_to(run.folder).as_posix(), **title}
        elif isinstance(given, str) and len(given) <= LONGEST_EXAMPLE:
            yield {"text": wording.printable(given), **title}
        elif isinstance(given, dict) and {"question", "context"} <= given.keys():
            text, context = (wording.printable(given[name]) for name in ("question", "context"))
            if len(context) <= LONGEST_EXAMPLE:
                yield {"text": text, "context": context, **title}


def _measured(results: wording.Results, data: str, data_id: str | None) -> list[Any]:
    """Every metric of every test set as an entry of the model-index."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=results["task"]["pipeline_tag"],
            dataset_type=(data_id or _slug(data)) if part_name == "test" else _slug(part_name),
            dataset_name=data if part_name == "test" else f"{part_name} (out of domain)",
            dataset_split=part_name,
            metric_type=AVERAGE.sub("", metric),
            metric_name=metric,
            metric_value=round(interval["value"], 4),
        )
        for part_name, part in wording.parts(results).items()
        for metric, interval in part["metrics"].items()
    ]


def _slug(name: str) -> str:
    """A name as the Hub writes ids, of data that are not there: `human-rated-snippets-in-vadersentiment`."""
    return re.sub(r"[^\w.-]+", "-", re.sub(r"\(.*", "", name)).strip("-.").lower()[:96] or "own-data"
