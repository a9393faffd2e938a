"""Numbers in READMEs come from projects/NAME/results/*.json, through `kit results NAME`, and so do their pictures.

A project's README asks for a table with `<!-- results: TABLE -->`, that of the repository with `NAME/TABLE`.
"""

import html
import json
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from common.portfolio import read_portfolio
from common.reporting import wording
from common.reporting.markdown import inline
from common.reporting.picture import describe, draw, question
from common.run import Run, published
from common.system.errors import UserError, nearest
from common.system.files import read_json, write_bytes, write_json, write_text

NOTHING = "Nothing is measured yet."
BLOCK = re.compile(r"(<!-- results: ([\w/]+) -->\n).*?(<!-- end -->)", re.DOTALL)
# What fills a block, from {name: content} of the result files.
Table: TypeAlias = Callable[[dict[str, Any]], str]
# The run that a project is shown by.
SHOWN = "starter"
MEASURED = re.compile(r"^# measured:.*$", re.MULTILINE)
SEED = re.compile(r"(.+)-seed(\d+)$")


def keep_results(run: Path, project: Path) -> Path:
    """Copy a run's results beside its project, without the inputs and the paths of this machine, and return the file.

    Raises UserError where the run is not finished, or is one of another project.
    """
    if not Run(run).results.exists():
        raise UserError(f"{run} holds no results: give the folder of a finished run.")
    if (other := read_json(Run(run).results)["project"]) != project.name:
        raise UserError(
            f"{run} is a run of {other}, not of {project.name}: `kit results {other} --add {run}` keeps it."
        )
    results = published(Run(run))[0]
    for row in _objects([results["worst_errors"], results["examples_to_try"], results["sections"]]):
        for text_of_the_data in ("input", "reference", "prediction"):
            row.pop(text_of_the_data, None)
    target = project / "results" / f"{run.name}.json"
    target.parent.mkdir(exist_ok=True)
    write_json(target, results)
    return target


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in nested JSON."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(child)


def write_readme(project: Path, only_check: bool = False) -> str:
    """Fill the READMEs' `<!-- results: NAME -->` blocks and the YAML files' `# measured:` lines; say what changed.

    Raises UserError where a block has an unknown name, or, with `only_check`, where a README is behind.
    """
    readmes = sorted(project.rglob("README.md"))
    if not readmes:
        known = [folder.name for folder in project.parent.iterdir() if (folder / "README.md").exists()]
        raise UserError(
            f"there is no project {project.name!r}{nearest(project.name, known)}: there is {', '.join(sorted(known))}."
        )
    content = _content(project)
    if not only_check:
        _refresh_words(project, content)
    texts = {file: (text := file.read_text(encoding="utf-8"), _filled(text, content)) for file in readmes}
    front = project.parent.parent / "README.md"
    if project.parent.name == "projects" and front.exists():
        text = front.read_text(encoding="utf-8")
        tables = {f"{project.name}/{name}": table for name, table in TABLES.items()}
        tables["projects"] = lambda _: projects_table(project.parent)
        texts[front] = (text, _filled(text, content, tables, others=True))
    for file in sorted(project.glob("*.yaml")):
        if file.stem in content:
            text = file.read_text(encoding="utf-8")
            texts[file] = (text, MEASURED.sub(_measured(content[file.stem]), text))
    changed = {file: after for file, (before, after) in texts.items() if after != before}
    drawn = _pictures(project, content)
    if (changed or drawn) and only_check:
        names = ", ".join(map(str, [*changed, *drawn]))
        raise UserError(f"{names} does not show what the results say: run `kit results {project.name}`.")
    for file, after in changed.items():
        write_text(file, after)
    for file, picture in drawn.items():
        write_bytes(file, picture)
    names = ", ".join(
        file.relative_to(project if file.is_relative_to(project) else project.parent.parent).as_posix()
        for file in [*changed, *drawn]
    )
    return (
        f"{names} written from {len(content)} result files"
        if names
        else f"{len(readmes)} READMEs agree with {len(content)} result files"
    )


def _content(project: Path) -> dict[str, Any]:
    """{name: content} of a project's result files."""
    files = sorted((project / "results").glob("*.json"), key=lambda path: path.stem)
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def _refresh_words(project: Path, content: dict[str, Any]) -> None:
    """Write what portfolio.yaml says by now into the results that the headline shows.  Raises UserError as it does."""
    if results := _runs(content).get(SHOWN):
        described = {"question": results["task"]["title"], **results["task"]}
        words = read_portfolio().words(project.name, SHOWN, described)
        if results.get("portfolio") != words:
            results["portfolio"] = words
            write_json(project / "results" / f"{SHOWN}.json", results)


def _filled(text: str, content: dict[str, Any], tables: dict[str, Table] | None = None, others: bool = False) -> str:
    """A README with its blocks filled from the results; where it has `others`, unknown ones are left as they are."""
    known = TABLES if tables is None else tables

    def fill(match: re.Match[str]) -> str:
        if match[2] not in known:
            if others:
                return match[0]
            raise UserError(f"a README asks for an unknown table {match[2]!r}: there is {', '.join(known)}.")
        try:
            table = known[match[2]](content)
        except KeyError:  # its file is not among the results
            table = NOTHING
        return f"{match[1]}\n{table}\n\n{match[3]}"

    return BLOCK.sub(fill, text)


def _pictures(project: Path, content: dict[str, Any]) -> dict[Path, bytes]:
    """{file: picture} of those pictures of the project's result that say something else than the result does."""
    if SHOWN not in content or "primary_metric" not in (results := content[SHOWN]):
        return {}
    files: dict[Literal["light", "dark"], Path] = {
        "light": project / "results" / f"{SHOWN}-light.svg",
        "dark": project / "results" / f"{SHOWN}-dark.svg",
    }
    said = html.escape(describe(results), quote=False)
    behind = {
        theme: file
        for theme, file in files.items()
        if not file.exists() or f">{said}<" not in file.read_text(encoding="utf-8")
    }
    return {file: draw(results, theme, "svg") for theme, file in behind.items()}


def _measured(result: wording.Results) -> str:
    """The line of a YAML file that says what it takes and reaches."""
    training, kind = result["training"], wording.primary(result)
    score = wording.plain(wording.with_interval(result["metrics"][result["primary_metric"]], kind))
    minutes, memory = training["seconds_with_evaluation"] / 60, training["peak_memory_bytes"] / 2**30
    cost = f"training {minutes:.1f} min, {memory:.1f} GiB, on {training['device']} ({training['precision']})"
    return f"# measured: {kind['title']} {score} on {result['examples']:,} test rows; {cost}"


def _runs(content: dict[str, Any]) -> dict[str, wording.Results]:
    return {name: value for name, value in content.items() if "primary_metric" in value}


def _table(header: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """A table whose first columns hold texts, the others numbers."""
    lines = [header, ["---"] * texts + ["---:"] * (len(header) - texts), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
    return _table(["test set", "rows", f"fine-tuned ({wording.heading(kind)})", "best baseline", "difference"], rows)


def claims_list(content: dict[str, Any]) -> str:
    """What was measured of the kit itself, a line each."""
    speed, kills, memory = content["speed"], content["resume_kills"], content["memory"]
    ratios = sorted((loop["ratio"], name) for name, loop in speed["loops"].items() if loop["ratio"] != 1)
    faster = " and ".join(f"**{ratio:.2f} times** as fast as {name}" for ratio, name in ratios)
    what = speed["what"].partition(";")[0].rstrip(".")
    peaks = {int(rows): run["peak_anonymous_bytes"] / 2**20 for rows, run in memory["runs"].items()}
    few, many = min(peaks), max(peaks)
    return "\n".join(
        [
            f"- Speed: {faster}, in {what[:1].lower()}{what[1:]}.",
            f"- Resume: of **{kills['kills']}** runs killed at random moments, **{kills['identical']}** went on and "
            "ended with the same bits as a run that was never stopped.",
            f"- Memory: **{many:,} rows** take {peaks[many]:,.0f} MiB to train on, {few:,} rows {peaks[few]:,.0f} MiB.",
        ]
    )


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
    return _table(["project", "question", "starter, on its test split", "best baseline", "weakest on"], rows, texts=5)


def runs_table(content: dict[str, Any]) -> str:
    """Each run on its test split, and on its out-of-domain sets; a column for each baseline that any run has."""
    runs = _runs(content)
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
    return _table(["run: test set", "rows", model_column, *titles.values(), "against the best baseline"], rows)


def _against(comparison: wording.Comparison | None, kind: wording.Kind) -> str:
    """The difference to the best baseline, if one was measured."""
    if not comparison:
        return ""
    return f"{wording.difference(comparison, kind)}, {wording.p_value(comparison['p_value'])}"


def outside_list(content: dict[str, Any]) -> str:
    """What can be said of the runs that were measured out of domain, too."""
    said = {name: wording.elsewhere(result) for name, result in _runs(content).items()}
    return "\n".join(f"- {inline(name)}: {inline(sentence)}" for name, sentence in said.items() if sentence) or NOTHING


def seeds_table(content: dict[str, Any]) -> str:
    """Runs that differ only in their seed, each beside its best baseline, and their mean and standard deviation."""
    seeds = {name: result for name, result in _runs(content).items() if SEED.match(name) and result["comparison"]}
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
    return _table(["run", *columns], rows)


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


def ablation_table(content: dict[str, Any]) -> str:
    """What each part of the recipe brings, on validation rows."""
    ablation = content["ablation"]
    rows = [
        [
            name,
            *[f"{score:.3f}" for score in variant["scores"]],
            f"{statistics.mean(variant['scores']):.3f}",
            f"{statistics.median(variant['seconds']):.0f} s",
        ]
        for name, variant in ablation["variants"].items()
    ]
    return f"{ablation['what']}\n\n" + _table(
        ["recipe", *[f"seed {seed}" for seed in ablation["seeds"]], "mean", "training"], rows
    )


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
    table = _table(
        ["loop", *[f"run {place + 1}" for place in range(count)], "median", "speed of the kit over this one's"], rows
    )
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
    if planted := content.get("duplicates", {}).get("planted"):
        found = f"{wording.share(planted['recall'])}, {wording.share(planted['precision'])}"
        rows.append([f"{planted['pairs']:,} planted pairs of nearly equal texts: recall, precision", found])
    return _table(["what", "measured"], rows)


def training_table(content: dict[str, Any]) -> str:
    """What each run took, and how long its loop waited for data."""
    rows = []
    for name, result in _runs(content).items():
        training = result["training"]
        speed, waiting = f"{training['examples_per_second']:.0f}", wording.share(training["waiting_share"])
        machine = f"{training['device']} ({training['precision']})"
        rows.append([name, f"{training['train_rows']:,}", _minutes(result), speed, waiting, machine])
    return _table(["run", "training rows", "training", "examples a second", "waiting for data", "on"], rows)


def curve_table(content: dict[str, Any]) -> str:
    """The score over a part of the training rows, with what it cost, and what others published."""
    curve = content["learning_curve"]
    rows = [
        [
            part,
            f"{found['sentences']:,}",
            *[f"{found[name]:.3f}" for name in ("f1", "precision", "recall")],
            *[f"{scores[part]:.2f}" if part in scores else "" for scores in curve["published"].values()],
            f"{found['minutes']:.1f} min",
            f"{found['device']} ({found['computed_in']})",
        ]
        for part, found in curve["parts"].items()
    ]
    head = ["rows", "sentences", "F1", "precision", "recall", *map(inline, curve["published"]), "training", "on"]
    return f"{curve['what']}\n\n{_table(head, rows)}"


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
    return f"{found['what']}\n\n{_table(['run', 'questions', 'F1', 'exact match', 'no answer said'], rows)}"


def gpt_table(content: dict[str, Any]) -> str:
    """The lesson's GPT beside that of transformers."""
    gpt = content["gpt"]
    rows = [
        [name, f"{statistics.median(loop['tokens_per_second']):,.0f}", f"{loop['validation_loss']:.3f}"]
        for name, loop in gpt["loops"].items()
    ]
    return f"{gpt['what']}\n\n" + _table(["model", "tokens a second, median", "validation loss"], rows)


def demo_table(content: dict[str, Any]) -> str:
    """What the demo costs beside Gradio alone."""
    demo = content["demo"]
    rows = [
        [
            name,
            f"{figures['p50_ms']:.0f} ms",
            f"{figures['requests_per_second_of_32']:.1f}",
            f"{figures['p95_ms_of_32']:,.0f} ms",
            f"{figures['errors']:.0f}",
        ]
        for name, figures in demo["medians"].items()
    ]
    table = _table(
        [
            "app",
            "one visitor, median",
            f"requests a second of {demo['clients']}",
            f"95 % of {demo['clients']} within",
            "errors",
        ],
        rows,
    )
    ours, trivial = (demo["measured"][name]["p50_ms"] for name in ("the demo", "the same app, no model"))
    added = [one - other for one, other in zip(ours, trivial, strict=True)]
    model = (
        f"The model adds {statistics.median(added):.0f} ms to one request "
        f"({min(added):.0f} to {max(added):.0f} in the rounds)."
    )
    throughput = (
        f"{demo['clients']} visitors get {demo['throughput_of_trivial']:.2f} times the throughput of the app "
        f"without a model, and {demo['throughput_of_pipeline']:.2f} times that of `Interface.from_pipeline`."
    )
    setting = f"On {demo['device']}, clients included; medians of {len(added)} rounds that take turns."
    return f"{setting}\n\n{table}\n\n{model} {throughput}"


def visitors_line(content: dict[str, Any]) -> str:
    """What visitors wait, and what the demo's memory does, while one more floods it."""
    found = content["visitors"]
    answered = wording.share(found["said"].get("visitor: answer", 0) / found["questions"])
    memory = found["memory_mib"]
    seconds = {name: f"{found[f'{name}_seconds']:.1f} s" for name in ("p50", "p95", "slowest")}
    return (
        f"On {found['device']}, clients included, {found['minutes']:.0f} minutes: {found['visitors']} visitors ask a "
        f"question every few seconds, and one more sends the longest texts, {found['flood']} at a time. Of the "
        f"{found['questions']:,} questions of the {found['visitors']}, {answered} were answered, half within "
        f"{seconds['p50']}, 95 % within {seconds['p95']}, all within {seconds['slowest']}. After a minute, "
        f"the demo held {memory['median']:,.0f} MiB of memory, {memory['least']:,.0f} at least and "
        f"{memory['most']:,.0f} at most."
    )


def attribution_table(content: dict[str, Any]) -> str:
    """How soon the answer's probability falls and rises when words go and come in each order."""
    measured = content["attribution"]
    rows = []
    for name, figures in measured["methods"].items():
        cells = []
        for kind in ("deletion", "insertion"):
            mean, low, high = figures[kind]["against_leave_one_out"]
            against = f" ({mean:+.3f}, {low:+.3f} to {high:+.3f})" if mean else ""
            cells.append(f"{figures[kind]['area']:.3f}{against}")
        rows.append([name, *cells, f"{figures['seconds_per_text']:.2f} s"])
    table = _table(["order of the words", "words go: lower is better", "words come: higher is better", "a text"], rows)
    lead = (
        f"Mean probability of the answer while the words of {measured['rows']:,} test rows go, and come, a tenth at a "
        f"time; in brackets the difference from leaving out one word at a time, with its 95 % interval. "
        f"On {measured['device']}."
    )
    return f"{lead}\n\n{table}"


def unlike_table(content: dict[str, Any]) -> str:
    """The share of each set that each way finds to be unlike the training data, and how well it tells them apart."""
    measured = content["unlike"]
    ways = measured["ways"]
    rows = []
    for name, count in measured["rows"].items():
        cells = []
        for way in ways.values():
            apart = f" (AUROC {way[name]['auroc']:.3f})" if "auroc" in way[name] else ""
            cells.append(f"{wording.share(way[name]['found'], 0)}{apart}")
        right = [wording.share(value) for value in measured["right"].get(name, ())] or ["", ""]
        rows.append([inline(name), f"{count:,}", *cells, *right])
    lead = (
        f"Found to be unlike the training data, each way with the limit that 95 % of the validation rows keep. "
        f"{measured['remembered']:,} training rows are remembered ({measured['bytes'] / 2**20:.1f} MiB). "
        f"A question takes {measured['with_ms']:.1f} ms with the look-up, {measured['without_ms']:.1f} ms without, "
        f"on {measured['device']}. The last two columns count all rows of a set."
    )
    columns = ["inputs", "rows", *ways, "right on what is found unlike", "right on the rest"]
    return f"{lead}\n\n{_table(columns, rows)}"


TABLES: dict[str, Table] = {
    "headline": headline,
    "sets": sets_table,
    "claims": claims_list,
    "runs": runs_table,
    "outside": outside_list,
    "seeds": seeds_table,
    "ablation": ablation_table,
    "speed": speed_table,
    "checks": checks_table,
    "demo": demo_table,
    "visitors": visitors_line,
    "attribution": attribution_table,
    "unlike": unlike_table,
    "training": training_table,
    "gpt": gpt_table,
    "curve": curve_table,
    "elsewhere": elsewhere_table,
}
