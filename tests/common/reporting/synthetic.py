"""Finished runs of made-up projects, as far as pages are drawn from them: results.json, manifest.json, metrics.jsonl.

`classifier` has an exact share, `regression` a number where lower is better, `spans` shares that are not exact and a
section of its own.
"""

import copy
import json
from pathlib import Path
from typing import Any

from common.portfolio import Portfolio
from common.run import Run
from common.system.files import write_json

ACCURACY = {"title": "accuracy", "unit": "share", "higher_is_better": True, "exact": True}
MACRO_F1 = {"title": "macro-F1", "unit": "share", "higher_is_better": True, "exact": False}
ERROR = {"title": "mean absolute error", "unit": "number", "higher_is_better": False, "exact": False}
CORRELATION = {"title": "rank correlation", "unit": "number", "higher_is_better": True, "exact": False}
F1, PRECISION, RECALL = ({**MACRO_F1, "title": title} for title in ("F1", "precision", "recall"))

TITLES = {
    "majority": {"title": "always the most frequent label", "short": "majority"},
    "words": {"title": "TF-IDF + logistic regression", "short": "words"},
    "mean": {"title": "always the mean of the training rows", "short": "mean"},
    "table": {"title": "a table of the names in the training rows", "short": "table"},
}


def interval(value: float, spread: float | None = 0.015) -> dict[str, float | None]:
    """An interval, or one of too few groups."""
    return {
        "value": value,
        "low": None if spread is None else value - spread,
        "high": None if spread is None else value + spread,
    }


def compared(
    against: str, metric: str, difference: float, spread: float | None, p_value: float, **more: Any
) -> dict[str, Any]:
    bounds = interval(difference, spread)
    test = {
        "against": against,
        "metric": metric,
        "p_value_bootstrap": p_value,
        "p_value": p_value,
        "test": "paired bootstrap",
        **more,
    }
    return {**test, "difference": difference, "low": bounds["low"], "high": bounds["high"]}


def _results(
    project: str, title: str, tag: str, kinds: dict[str, Any], titles: list[str], **more: Any
) -> dict[str, Any]:
    """What is the same for all three."""
    example = '"what a lovely film"'
    task = {
        "title": title,
        "question": "Does it work?",
        "for_whom": "For those who ask.",
        "intended_use": "Trying out the reports.",
        "pipeline_tag": tag,
        "pipeline_options": "",
        "example": example,
        "about": "",
    }
    training = {
        **{
            "seconds": 182.0,
            "seconds_with_evaluation": 259.7,
            "seconds_before_first_step": 54.2,
            "waiting_share": 0.0131,
            "steps": 240,
        },
        **{
            "best_step": 160,
            "best_validation_loss": 0.35,
            "examples": 7252,
            "train_rows": 7252,
            "validation_rows": 806,
        },
        **{
            "examples_per_second": 39.8,
            "peak_memory_bytes": 2 * 2**30,
            "processes": 1,
            "micro_batch_size": 32,
            "precision": "fp32",
        },
        **{"precision_reason": "this CPU has no bf16 instructions", "seed": 0, "device": "a CPU, 2 cores"},
    }
    results = {
        **{
            "project": project,
            "run": "tiny",
            "split": "test",
            "task": task,
            "portfolio": Portfolio().words(project, "tiny", task),
            "primary_metric": next(iter(kinds)),
            "metric_kinds": kinds,
        },
        **{
            "baseline_titles": {name: TITLES[name] for name in titles},
            "groups": None,
            "examples": 2014,
            "slices": [],
            "robustness": [],
        },
        **{
            "clean": {"leaked_examples": 0, "examples": 2014},
            "worst_errors": [],
            "examples_to_try": [],
            "out_of_domain": {},
            "sections": {},
        },
        **{
            "model": {"origin": "someone/model"},
            "data": {"looked_up": {"test": 1000}},
            "training": training,
            "baseline_rows": 5000,
        },
        **{"inference": {"p50_ms": 22.9, "p95_ms": 33.0, "examples_per_second": 138.2, "precision": "fp32"}},
        **{
            "command": f"accelerate launch projects/{project}/train.py --train_file train.csv",
            "predictions_sha256": "0" * 64,
        },
        **more,
    }
    return copy.deepcopy(results)  # what a test changes is its own


def classifier() -> dict[str, Any]:
    """Three labels, one of them in another script, two of the test sets out of domain."""
    kinds = {"accuracy": ACCURACY, "macro_f1": MACRO_F1}
    names = ["negative", "neutral: neither good nor bad", "إيجابي جدا"]
    matrix = [[880, 120, 15], [60, 400, 40], [0, 30, 469]]
    pairs = [
        {"reference": names[0], "prediction": names[1], "examples": 120},
        {"reference": names[1], "prediction": names[0], "examples": 60},
    ]
    counts = [2, 20, 60, 90, 130, 170, 210, 260, 330, 742]
    bins = [
        {
            "low": i / 15,
            "high": (i + 1) / 15,
            "examples": count,
            "confidence": (i + 0.55) / 15,
            "accuracy": (i + 0.2) / 15,
        }
        for i, count in enumerate(counts, start=5)
    ]
    calibration = {
        **{
            "temperature": 0.92,
            "threshold": 0.71,
            "bins": bins,
            "ece": 0.0257,
            "brier": 0.205,
            "negative_log_likelihood": 0.331,
        },
        **{"ece_uncalibrated": 0.0196, "brier_uncalibrated": 0.2047, "negative_log_likelihood_uncalibrated": 0.33},
    }
    classes = [
        {"label": name, "precision": 0.9, "recall": 0.8 + i / 20, "f1": 0.85, "support": 600}
        for i, name in enumerate(names)
    ]
    scores = {"accuracy": interval(0.864, 0.015), "macro_f1": interval(0.861, 0.016)}
    baselines = {
        name: {metric: interval(value) for metric in kinds} for name, value in (("majority", 0.504), ("words", 0.798))
    }
    counted = {"only_model_right": 266, "only_baseline_right": 141, "test": "exact McNemar"}
    abroad = {
        "examples": 3432,
        "groups": None,
        "metrics": {metric: interval(0.667) for metric in kinds},
        "baselines": baselines,
    }
    wrong = {"reference": "negative", "prediction": "neutral: neither good nor bad"}
    return _results(
        "classifier",
        "Text classification",
        "text-classification",
        kinds,
        ["majority", "words"],
        metrics=scores,
        baselines=baselines,
        comparison=compared("words", "accuracy", 0.066, 0.019, 1e-9, **counted),
        slices=[
            {"slice": "length", "value": "short", "examples": 690, "metrics": {"accuracy": interval(0.874)}},
            {"slice": "length", "value": "long", "examples": 649, "metrics": {"accuracy": interval(0.80)}},
            {"slice": "length", "value": "very long", "examples": 3},
            *(
                {"slice": "label", "value": f"label {i}", "examples": 90, "metrics": {"accuracy": interval(0.86)}}
                for i in range(25)
            ),
        ],
        clean={"leaked_examples": 12, "examples": 2002, "metrics": {"accuracy": interval(0.863)}},
        selective={"threshold": 0.71, "coverage": 0.796, "examples": 1603, "metrics": {"accuracy": interval(0.93)}},
        robustness=[
            {
                "perturbation": "typos in 10% of the words",
                "metrics": {"accuracy": interval(0.827)},
                "answers_changed": 0.0799,
            }
        ],
        worst_errors=[
            {"id": "test:17", "input": "a *film* | of its <time>", **wrong, "confidence": 0.984},
            {"id": "test:18", **wrong, "confidence": 0.97},
        ],
        out_of_domain={
            "tweets": {**abroad, "comparison": compared("words", "accuracy", -0.078, 0.015, 0.0001, **counted)},
            "letters": {**abroad, "comparison": compared("words", "accuracy", 0.011, 0.015, 0.3, **counted)},
        },
        sections={
            "calibration": calibration,
            "confusion": {"pairs": pairs, "labels": names, "matrix": matrix},
            "classes": {"classes": classes},
        },
    )


def many_labels(results: dict[str, Any], count: int = 24) -> dict[str, Any]:
    """The classifier with more labels than a page shows at once."""
    changed = copy.deepcopy(results)
    names = [f"{i} パスワードを忘れた" if i % 2 else f"card payment fee {i}" for i in range(count)]
    matrix = [[40 if x == y else (3 if (x * 7 + y) % 11 == 0 else 0) for x in range(count)] for y in range(count)]
    changed["sections"]["confusion"] |= {"labels": names, "matrix": matrix}
    one = changed["sections"]["classes"]["classes"][0]
    changed["sections"]["classes"]["classes"] = [one | {"label": name} for name in names]
    return changed


def regression() -> dict[str, Any]:
    """A number where lower is better, and one where higher is; groups, of which the second test set has too few."""
    kinds = {"mean_absolute_error": ERROR, "rank_correlation": CORRELATION}
    scores = {"mean_absolute_error": interval(1.42, 0.11), "rank_correlation": interval(0.42, 0.03)}
    guess = {"mean": {"mean_absolute_error": interval(1.77, 0.12), "rank_correlation": interval(0.0, 0.02)}}
    unknown = {"mean_absolute_error": interval(2.318, None), "rank_correlation": interval(0.11, None)}
    against = compared("mean", "mean_absolute_error", -0.35, 0.06, 0.0005, test="paired bootstrap by group")
    return _results(
        "regression",
        "Essay scoring",
        "text-classification",
        kinds,
        ["mean"],
        groups=40,
        metrics=scores,
        baselines=guess,
        comparison=against,
        slices=[
            {
                "slice": "topic",
                "value": "school",
                "examples": 300,
                "metrics": {"mean_absolute_error": interval(1.81, 0.1)},
            },
            {
                "slice": "topic",
                "value": "travel",
                "examples": 300,
                "metrics": {"mean_absolute_error": interval(1.2, 0.1)},
            },
            {"slice": "topic", "value": "art", "examples": 90, "metrics": {"mean_absolute_error": interval(4.0, None)}},
        ],
        robustness=[
            {"perturbation": "typos", "metrics": {"mean_absolute_error": interval(1.5, 0.12)}, "answers_changed": 0.4}
        ],
        worst_errors=[
            {
                "id": "test:3",
                "input": {"question": "Why?", "essay": "Because of the weather. " * 20},
                "reference": 9.5,
                "prediction": 2.25,
            }
        ],
        out_of_domain={
            "letters": {
                **{"examples": 60, "groups": 3, "metrics": unknown, "baselines": {"mean": unknown}},
                "comparison": compared("mean", "mean_absolute_error", 0.2, None, 0.6),
            }
        },
    )


SPAN_TYPES = """<h2>Types of spans</h2>
<p>{% for row in section %}{{ row.type }}: {{ row.scores|with_interval(kind) }}{% endfor %}</p>
"""


def spans(repository: Path) -> dict[str, Any]:
    """Shares that are not exact, a section with a template of its own, which is written below `repository`."""
    template = repository / "projects/spans/templates/sections/span_types.html.j2"
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_text(SPAN_TYPES, encoding="utf-8")
    kinds = {"f1": F1, "precision": PRECISION, "recall": RECALL}
    table = {"table": {metric: interval(0.55) for metric in kinds}}
    span = {"start": 4, "end": 9, "label": "API"}
    return _results(
        "spans",
        "Finding API names",
        "token-classification",
        kinds,
        ["table"],
        metrics={"f1": interval(0.521, 0.031), "precision": interval(0.61), "recall": interval(0.455)},
        baselines=table,
        comparison=compared("table", "f1", -0.029, 0.02, 0.004),
        selective={"threshold": None, "coverage": 0.9, "examples": 1800, "metrics": {"f1": interval(0.57)}},
        worst_errors=[{"id": "test:9", "input": "use torch.nn here", "reference": [span], "prediction": []}],
        sections={"span_types": [{"type": "API", "scores": interval(0.5)}]},
    )


def manifest() -> dict[str, Any]:
    return {
        **{
            "finished": "2026-11-20T10:00:00",
            "git_commit": "0123456789abcdef",
            "git_dirty": False,
            "packages": {"torch": "2.13.0"},
        },
        "config": {"dataset": None, "pretrained": True},
        "model": {
            **{
                "reference": "starter:tiny",
                "origin": "someone/model",
                "licence": "apache-2.0",
                "weights_sha256": "a" * 64,
            },
            "parameters": 24_488_450,
        },
        "data": {
            **{"reference": "train.csv", "terms": "", "rows": {"train": 7252, "validation": 806, "test": 2014}},
            "findings": [
                {
                    "severity": "warning",
                    "where": "train.csv",
                    "rows": 1,
                    "text": "train.csv, row 7: a text that occurred before.",
                }
            ],
        },
    }


def write_run(folder: Path, results: dict[str, Any]) -> Run:
    """A run's folder with these results."""
    run = Run(folder)
    folder.mkdir(parents=True)
    write_json(run.results, results)
    write_json(run.manifest, manifest())
    score = f"validation_{results['primary_metric']}"
    value = results["metrics"][results["primary_metric"]]["value"]
    steps: list[dict[str, Any]] = [{"step": step, "loss": 0.9 - 0.002 * step} for step in range(10, 250, 10)]
    measured = range(40, 241, 40)
    steps += [{"step": step, "validation_loss": 0.6 - 0.001 * step, score: value * (1 - 4 / step)} for step in measured]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in steps), encoding="utf-8")
    return run
