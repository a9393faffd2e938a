"""Numbers in a project's README come from projects/NAME/results/*.json, through `kit results NAME`."""

import json
import re
import statistics
from pathlib import Path
from typing import Any

from common.config import nearest
from common.errors import UserError
from common.report import SHORT_NAMES, p_value, percent, points
from common.run import Run, for_visitors, read_json, write_json, write_text

BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
MEASURED = re.compile(r"^# measured:.*$", re.MULTILINE)
SEED = re.compile(r"(.+)-seed(\d+)$")


def keep_results(run: Path, project: Path) -> Path:
    """Copy a run's results beside its project, without the texts of its data and the paths of this machine, and return the file.

    Raises UserError where the run is not finished, or is one of another project.
    """
    if not Run(run).results.exists():
        raise UserError(f"{run} holds no results: give the folder of a finished run.")
    results = for_visitors(read_json(Run(run).results))
    if results["project"] != project.name:
        raise UserError(f"{run} is a run of {results['project']}, not of {project.name}: `kit results {results['project']} --add {run}` keeps it.")
    for row in [*results["worst_errors"], *results["examples_to_try"]]:
        row.pop("input", None)
    target = project / "results" / f"{run.name}.json"
    target.parent.mkdir(exist_ok=True)
    write_json(target, results)
    return target


def write_readme(project: Path, only_check: bool = False) -> str:
    """Fill the blocks `<!-- results: NAME -->` of the READMEs and the YAML files' `# measured:` lines; say what changed.

    Raises UserError where a block has an unknown name, or, with `only_check`, where a README is behind.
    """
    readmes = sorted(project.rglob("README.md"))
    if not readmes:
        known = [folder.name for folder in project.parent.iterdir() if (folder / "README.md").exists()]
        raise UserError(f"there is no project {project.name!r}{nearest(project.name, known)}: there is {', '.join(sorted(known))}.")
    content = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((project / "results").glob("*.json"), key=lambda path: path.stem)}

    def fill(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise UserError(f"a README of {project.name} asks for an unknown table {match[2]!r}: there is {', '.join(TABLES)}.")
        return f"{match[1]}\n{TABLES[match[2]](content)}\n\n{match[3]}"

    texts = {readme: (text := readme.read_text(encoding="utf-8"), BLOCK.sub(fill, text)) for readme in readmes}
    for file in sorted(project.glob("*.yaml")):
        if file.stem in content:
            text = file.read_text(encoding="utf-8")
            texts[file] = (text, MEASURED.sub(_measured(content[file.stem]), text))
    changed = {file: after for file, (before, after) in texts.items() if after != before}
    if changed and only_check:
        names = ", ".join(str(file) for file in changed)
        raise UserError(f"{names} does not show what the results say: run `kit results {project.name}`.")
    for file, after in changed.items():
        write_text(file, after)
    names = ", ".join(str(file.relative_to(project)) for file in changed)
    return f"{names} written from {len(content)} result files" if changed else f"{len(readmes)} READMEs agree with {len(content)} result files"


def _measured(result: dict[str, Any]) -> str:
    """The line of a YAML file that says what it takes and reaches."""
    training, metric = result["training"], result["primary_metric"]
    score = f"{metric} {percent(result['metrics'][metric])} on {result['examples']:,} test rows"
    minutes, memory = training["seconds_with_evaluation"] / 60, training["peak_memory_bytes"] / 2**30
    return f"# measured: {score}; training {minutes:.1f} min, {memory:.1f} GiB, on {training['device']} ({training['precision']})"


def _runs(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if "primary_metric" in value}


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def runs_table(content: dict[str, Any]) -> str:
    """Each run on its test split, and on its out-of-domain sets."""
    rows = []
    for name, result in _runs(content).items():
        metric = result["primary_metric"]
        for part_name, part in {"test": result, **result["out_of_domain"]}.items():
            baselines = [f"{100 * interval[metric]['value']:.1f} %" for interval in part["baselines"].values()]
            comparison = part["comparison"]
            verdict = f"{points(comparison)}, {p_value(comparison['p_value'])}"
            rows.append([f"{name}: {part_name}", f"{part['examples']:,}", percent(part["metrics"][metric]), *baselines, verdict])
    if not rows:
        return "Nothing is measured yet."
    names = next(iter(_runs(content).values()))["baselines"]
    header = ["run: test set", "rows", "fine-tuned", *(SHORT_NAMES.get(name, name) for name in names), "against the best baseline"]
    return _table(header, rows)


def seeds_table(content: dict[str, Any]) -> str:
    """Runs that differ only in their seed: each, and mean and standard deviation."""
    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, result in _runs(content).items():
        if match := SEED.match(name):
            groups.setdefault(match[1], []).append((match[2], result))
    rows = []
    for name, runs in groups.items():
        scores = []
        for seed, result in runs:
            metric, comparison, training = result["primary_metric"], result["comparison"], result["training"]
            scores.append(result["metrics"][metric]["value"])
            frozen = result["baselines"]["frozen_encoder_logistic_regression"][metric]["value"]
            minutes = f"{training['seconds_with_evaluation'] / 60:.1f} min"
            counts = f"{comparison['only_model_right']} : {comparison['only_baseline_right']}"
            rows.append([f"{name}, seed {seed}", f"{scores[-1]:.4f}", f"{frozen:.4f}", counts, f"{comparison['p_value']:.2g}", minutes])
        if len(scores) > 1:
            rows.append([f"**{name}, mean ± sd**", f"**{statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}**", "", "", "", ""])
    return _table(["run", "test accuracy", "frozen encoder", "only one right", "McNemar p", "training"], rows)


def ablation_table(content: dict[str, Any]) -> str:
    """What each part of the recipe brings, on validation rows."""
    ablation = content["ablation"]
    rows = [
        [
            name,
            *[f"{score:.3f}" for score in variant["accuracy"]],
            f"{statistics.mean(variant['accuracy']):.3f}",
            f"{statistics.median(variant['seconds']):.0f} s",
        ]
        for name, variant in ablation["variants"].items()
    ]
    return f"{ablation['what']}\n\n" + _table(["recipe", *[f"seed {seed}" for seed in ablation["seeds"]], "mean", "training"], rows)


def speed_table(content: dict[str, Any]) -> str:
    """Examples a second beside transformers.Trainer."""
    speed = content["speed"]
    rows = [
        [
            name,
            *[f"{value:.1f}" for value in entry["examples_per_second"]],
            f"**{statistics.median(entry['examples_per_second']):.1f}**",
            f"{entry['ratio']:.2f}",
        ]
        for name, entry in speed["loops"].items()
    ]
    count = len(next(iter(speed["loops"].values()))["examples_per_second"])
    table = _table(["loop", *[f"run {place + 1}" for place in range(count)], "median", "speed of the kit over this one's"], rows)
    return f"{speed['what']}\n\n{table}\n\nStarting the head costs {speed['head_start_seconds']:.1f} s on top, once."


def checks_table(content: dict[str, Any]) -> str:
    """Memory and resume, as measured."""
    memory, kills = content["memory"], content["resume_kills"]
    mib = {rows: entry["peak_anonymous_bytes"] / 2**20 for rows, entry in memory["runs"].items()}
    rows = [
        [
            "peak anonymous memory, " + ", ".join(f"{int(n):,} rows" for n in mib),
            ", ".join(f"{value:,.0f} MiB" for value in mib.values()) + f": ratio {memory['ratio']:.2f}",
        ],
        ["kills at random moments, bit-identical ends", f"{kills['kills']}, {kills['identical']}"],
    ]
    return _table(["what", "measured"], rows)


def training_table(content: dict[str, Any]) -> str:
    """What each run took, and how long its loop waited for data."""
    rows = []
    for name, result in _runs(content).items():
        training = result["training"]
        minutes = f"{training['seconds_with_evaluation'] / 60:.1f} min"
        waiting = f"{100 * training['waiting_share']:.1f} %"
        rows.append(
            [name, f"{training['train_rows']:,}", minutes, f"{training['examples_per_second']:.0f}", waiting, f"{training['device']} ({training['precision']})"]
        )
    return _table(["run", "training rows", "training", "examples a second", "waiting for data", "on"], rows)


def gpt_table(content: dict[str, Any]) -> str:
    """The lesson's GPT beside that of transformers."""
    gpt = content["gpt"]
    rows = [[name, f"{statistics.median(loop['tokens_per_second']):,.0f}", f"{loop['validation_loss']:.3f}"] for name, loop in gpt["loops"].items()]
    return f"{gpt['what']}\n\n" + _table(["model", "tokens a second, median", "validation loss"], rows)


def demo_table(content: dict[str, Any]) -> str:
    """What the demo costs beside Gradio alone."""
    demo = content["demo"]
    rows = [
        [name, f"{figures['p50_ms']:.0f} ms", f"{figures['requests_per_second_of_32']:.1f}", f"{figures['p95_ms_of_32']:,.0f} ms", f"{figures['errors']:.0f}"]
        for name, figures in demo["medians"].items()
    ]
    table = _table(["app", "one visitor, median", f"requests a second of {demo['clients']}", f"95 % of {demo['clients']} within", "errors"], rows)
    ours, trivial = (demo["measured"][name]["p50_ms"] for name in ("the demo", "the same app, no model"))
    added = [one - other for one, other in zip(ours, trivial, strict=True)]
    return (
        f"On {demo['device']}, clients included; medians of {len(added)} rounds that take turns.\n\n{table}\n\n"
        f"The model adds {statistics.median(added):.0f} ms to one request ({min(added):.0f} to {max(added):.0f} in the rounds). "
        f"{demo['clients']} visitors get {demo['throughput_of_trivial']:.2f} times the throughput of the app without a model, "
        f"and {demo['throughput_of_pipeline']:.2f} times that of `Interface.from_pipeline`."
    )


TABLES = {
    "runs": runs_table,
    "seeds": seeds_table,
    "ablation": ablation_table,
    "speed": speed_table,
    "checks": checks_table,
    "demo": demo_table,
    "training": training_table,
    "gpt": gpt_table,
}
