"""The tables of READMEs that show a project's runs, from {name: content} of its result files."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from common.reporting import wording
from common.reporting.markdown import as_table, inline
from common.reporting.picture import describe, question
from common.system.files import read_json

NOTHING = "Nothing is measured yet."
# What fills a block of a README.
Table: TypeAlias = Callable[[dict[str, Any]], str]
# The run that a project is shown by.
SHOWN = "starter"
SEED = re.compile(r"(.+)-seed(\d+)$")


def runs_in(content: dict[str, Any]) -> dict[str, wording.Results]:
    """Those of the result files that are a run's."""
    return {name: value for name, value in content.items() if "primary_metric" in value}


def headline(content: dict[str, Any]) -> str:
    """The question, the result in sentences, and its picture."""
    results = content[SHOWN]
    said = " ".join(text for text in (wording.sentence(results), wording.elsewhere(results)) if text)
    picture = (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="results/{SHOWN}-dark.svg">'
        f'<img src="results/{SHOWN}-light.svg" width="840" alt="{html.escape(describe(results))}"></picture>'
    )
    return f"**{inline(question(results))}** {inline(said)}\n\n{picture}"


def sets_table(content: dict[str, Any]) -> str:
    """The shown run on each test set beside the best baseline there, wins and losses alike."""
    results = content[SHOWN]
    kind, metric = wording.primary(results), results["primary_metric"]
    words = {"better": "better", "unclear": "not clearly different", "worse": "**worse**"}
    rows = []
    for name, part in wording.parts(results).items():
        row = [inline(name), f"{part['examples']:,}", wording.number(part["metrics"][metric], kind)]
        if comparison := part["comparison"]:
            best = wording.number(part["baselines"][comparison["against"]][metric], kind)
            against = inline(wording.baseline_short(results, comparison["against"]))
            verdict = words[wording.verdict(comparison, kind)]
            row += [f"{best} ({against})", f"{wording.difference(comparison, kind)}: {verdict}"]
        rows.append(row + [""] * (5 - len(row)))
    return as_table(["test set", "rows", f"fine-tuned ({wording.heading(kind)})", "best baseline", "difference"], rows)


def projects_table(projects: Path) -> str:
    """Each project with what it asks, how good its starter is, by how much better than a baseline, and where worst."""
    rows = []
    for folder in sorted(path.parent for path in projects.glob("*/task.py")):
        file = folder / "results" / f"{SHOWN}.json"
        link = f"[`{folder.name}`](projects/{folder.name}/README.md)"
        if not file.exists():
            rows.append([link, NOTHING, "", "", ""])
            continue
        results = read_json(file)
        kind, comparison = wording.primary(results), results["comparison"]
        score = wording.with_interval(results["metrics"][results["primary_metric"]], kind)
        against = ""
        if comparison:
            name = inline(wording.baseline_short(results, comparison["against"]))
            against = f"{wording.difference_alone(comparison, kind)} against {name}"
        worst = wording.weakest(results)
        weakest = f"{inline(worst[0])}, {wording.number(worst[1], kind)}" if worst else ""
        rows.append([link, inline(question(results)), f"{wording.heading(kind)} {score}", against, weakest])
    return as_table(["project", "question", "starter, on its test split", "best baseline", "weakest on"], rows, texts=5)


def runs_table(content: dict[str, Any]) -> str:
    """Each run on its test split, and on its out-of-domain sets; a column for each baseline that any run has."""
    runs = runs_in(content)
    if not runs:
        return NOTHING
    titles = {name: wording.baseline_short(result, name) for result in runs.values() for name in result["baselines"]}
    metrics = {wording.heading(wording.primary(result)) for result in runs.values()}
    rows = []
    for run_name, result in runs.items():
        metric, kind = result["primary_metric"], wording.primary(result)
        for part_name, part in wording.parts(result).items():
            scores = [
                wording.number(part["baselines"][name][metric], kind) if name in part["baselines"] else ""
                for name in titles
            ]
            model = wording.with_interval(part["metrics"][metric], kind)
            if len(metrics) > 1:
                model = f"{wording.heading(kind)}: {model}"
            name = inline(f"{run_name}: {part_name}")
            rows.append([name, f"{part['examples']:,}", model, *scores, _against(part["comparison"], kind)])
    model_column = f"fine-tuned ({metrics.pop()})" if len(metrics) == 1 else "fine-tuned"
    return as_table(["run: test set", "rows", model_column, *titles.values(), "against the best baseline"], rows)


def _against(comparison: wording.Comparison | None, kind: wording.Kind) -> str:
    """The difference to the best baseline, if one was measured."""
    if not comparison:
        return ""
    return f"{wording.difference(comparison, kind)}, {wording.p_value(comparison['p_value'])}"


def outside_list(content: dict[str, Any]) -> str:
    """What can be said of the runs that were measured out of domain, too."""
    said = {name: wording.elsewhere(result) for name, result in runs_in(content).items()}
    return "\n".join(f"- {inline(name)}: {inline(sentence)}" for name, sentence in said.items() if sentence) or NOTHING


def seeds_table(content: dict[str, Any]) -> str:
    """Runs that differ only in their seed, each beside its best baseline, and their mean and standard deviation."""
    seeds = {name: result for name, result in runs_in(content).items() if SEED.match(name) and result["comparison"]}
    columns = _seed_columns(list(seeds.values()))
    groups: dict[str, dict[str, wording.Results]] = {}
    for name, result in seeds.items():
        run, seed = SEED.findall(name)[0]
        groups.setdefault(run, {})[seed] = result
    rows = []
    for run, results in groups.items():
        rows += [
            [f"{run}, seed {seed}", *(cell(result) for cell in columns.values())] for seed, result in results.items()
        ]
        if len(results) > 1:
            spread = _mean_and_deviation(list(results.values()))
            rows.append([f"**{run}, mean ± sd**", f"**{spread}**", *[""] * (len(columns) - 1)])
    return as_table(["run", *columns], rows)


def _seed_columns(results: list[wording.Results]) -> dict[str, Callable[[wording.Results], str]]:
    """The columns of the table of seeds that these runs can fill: {head: cell of a run}."""
    metrics = {wording.heading(wording.primary(result)) for result in results}
    baselines = {wording.baseline_short(result, result["comparison"]["against"]) for result in results}
    columns: dict[str, Callable[[wording.Results], str]] = {
        f"test {metrics.pop()}" if len(metrics) == 1 else "test": lambda result: _seed_score(result["metrics"], result),
        baselines.pop() if len(baselines) == 1 else "best baseline": lambda result: _seed_score(
            result["baselines"][result["comparison"]["against"]], result
        ),
    }
    if all("only_model_right" in result["comparison"] for result in results):
        columns["only one right"] = lambda result: "{only_model_right} : {only_baseline_right}".format(
            **result["comparison"]
        )
    exact = all(result["comparison"]["test"] == "exact McNemar" for result in results)
    columns["McNemar p" if exact else "p"] = lambda result: f"{result['comparison']['p_value']:.2g}"
    columns["training"] = _minutes
    return columns


def _seed_score(metrics: dict[str, wording.Interval], result: wording.Results) -> str:
    """The primary metric with a digit more than elsewhere: seeds are close to each other."""
    interval, kind = metrics[result["primary_metric"]], wording.primary(result)
    return wording.number(interval, kind, wording.digits(interval, kind) + 1)


def _mean_and_deviation(results: list[wording.Results]) -> str:
    kind, metric = wording.primary(results[0]), results[0]["primary_metric"]
    scores = [result["metrics"][metric] for result in results]
    values = [score["value"] for score in scores]
    return wording.mean_and_deviation(values, kind, max(wording.digits(score, kind) for score in scores) + 1)


def _minutes(result: wording.Results) -> str:
    return f"{result['training']['seconds_with_evaluation'] / 60:.1f} min"


def training_table(content: dict[str, Any]) -> str:
    """What each run took, and how long its loop waited for data."""
    rows = []
    for name, result in runs_in(content).items():
        training = result["training"]
        speed, waiting = f"{training['examples_per_second']:.0f}", wording.share(training["waiting_share"])
        machine = f"{training['device']} ({training['precision']})"
        rows.append([name, wording.rows_seen(training), _minutes(result), speed, waiting, machine])
    return as_table(["run", "training rows", "training", "examples a second", "waiting for data", "on"], rows)


def elsewhere_table(content: dict[str, Any]) -> str:
    """Finished runs on a set that is none of theirs."""
    found = content["elsewhere"]
    rows = []
    for run, measured in found["runs"].items():
        scores = [
            f"{wording.share(measured[name]['value'])} ({wording.share(measured[name]['low'])} to "
            f"{wording.share(measured[name]['high'])})"
            for name in ("f1", "exact_match")
        ]
        rows.append([inline(run), f"{measured['questions']:,}", *scores, wording.share(measured["no_answer_said"])])
    return f"{found['what']}\n\n{as_table(['run', 'questions', 'F1', 'exact match', 'no answer said'], rows)}"


TABLES: dict[str, Table] = {
    "headline": headline,
    "sets": sets_table,
    "runs": runs_table,
    "outside": outside_list,
    "seeds": seeds_table,
    "training": training_table,
    "elsewhere": elsewhere_table,
}
