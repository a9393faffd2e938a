"""results.json as a table in the terminal and as a page that stands alone."""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError, select_autoescape
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from common.errors import UserError
from common.progress import console, is_main_process
from common.run import Run, for_visitors, read_json, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common.verify import Check

# A difference whose p-value is not below this is called unclear.
SIGNIFICANT = 0.05
# Rows of `kit verify`'s table for one check.
SHOWN_DIFFERENCES = 10

NAMES = {
    "majority": "always the most frequent label",
    "tfidf_logistic_regression": "words (TF-IDF) + logistic regression",
    "pixels_logistic_regression": "pixels + logistic regression",
    "frozen_encoder_logistic_regression": "the same encoder, frozen, + logistic regression",
}
SHORT_NAMES = {
    "tfidf_logistic_regression": "words",
    "pixels_logistic_regression": "pixels",
    "frozen_encoder_logistic_regression": "frozen",
}


def percent(interval: dict[str, float], digits: int = 1) -> str:
    """`88.0 % (86.5 to 89.4)`."""
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.{digits}f} % ({low:.{digits}f} to {high:.{digits}f})"


def points(comparison: dict[str, Any]) -> str:
    """`+7.7 points (5.9 to 9.5)`."""
    value, low, high = (100 * comparison[key] for key in ("difference", "low", "high"))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"


def p_value(value: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def verdict(comparison: dict[str, Any]) -> Literal["better", "worse", "unclear"]:
    """What can be said of the model against a baseline: something only where interval and test agree."""
    if comparison["p_value"] >= SIGNIFICANT:
        return "unclear"
    return "better" if comparison["low"] > 0 else "worse" if comparison["high"] < 0 else "unclear"


def sentence(results: dict[str, Any]) -> str:
    """The result in one sentence, the unfavourable ones said as plainly."""
    comparison = results["comparison"]
    name = NAMES.get(comparison["against"], comparison["against"])
    said = {"better": "beats", "worse": "loses to", "unclear": "is not clearly better than"}[verdict(comparison)]
    return (
        f"The fine-tuned model gets {percent(results['metrics'][results['primary_metric']])} of {results['examples']:,} test examples right and "
        f"{said} the best baseline ({name}): {points(comparison)}, {p_value(comparison['p_value'])}."
    )


def elsewhere(results: dict[str, Any]) -> str:
    """How it does away from home, in one sentence; empty without out-of-domain sets."""
    parts: dict[str, list[str]] = {"better": [], "unclear": [], "worse": []}
    for name, part in results["out_of_domain"].items():
        parts[verdict(part["comparison"])].append(f"{name} ({100 * part['comparison']['difference']:+.1f} points)")
    words = {"better": "better on", "unclear": "not clearly different on", "worse": "worse on"}
    said = [f"{words[found]} {' and '.join(names)}" for found, names in parts.items() if names]
    return f"Away from home it is {', '.join(said)} than the best baseline there." if said else ""


def sampled(results: dict[str, Any]) -> str:
    """Of how many test rows the near-duplicates are known, where not of all."""
    looked_up = results["data"].get("looked_up", {}).get("test", results["examples"])
    return f" (nearly equal ones were looked for among {looked_up:,} of them)" if looked_up < results["examples"] else ""


def print_results(run: Run) -> None:
    """The table of results and what to do next."""
    if not is_main_process():
        return
    from common.task import load_task_class

    results = read_json(run.results)
    metric = results["primary_metric"]
    names = [SHORT_NAMES.get(name, name) for name in results["baselines"]]
    table = Table(title=f"{metric} in %, with 95 % intervals", title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("test set", "rows", "fine-tuned", *names, "against the best"):
        table.add_column(column, justify="left" if column == "test set" else "right", no_wrap=True)
    for name, part in {"test": results, **results["out_of_domain"]}.items():
        numbers = [_compact(part["metrics"][metric], "value"), *(f"{100 * b[metric]['value']:.1f}" for b in part["baselines"].values())]
        table.add_row(name, f"{part['examples']:,}", *numbers, _compact(part["comparison"], "difference", sign=True))
    console.print()
    console.print(table)
    console.print(sentence(results), elsewhere(results), markup=False, highlight=False)
    example = load_task_class(results["project"]).example
    console.print(f"\nreport:   {run.report}\nnext:     kit predict {example} --run {run.folder}", markup=False, highlight=False)


def print_checks(checks: "Iterable[Check]") -> bool:
    """Print each check as it ends, then a table of what differs; whether nothing does."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("what differs", "claimed", "found"):
        table.add_column(column, overflow="fold")
    failed = 0
    for check in checks:
        verdict = "agree" if not check.differences else f"{len(check.differences):,} differ"
        console.print(f"{'ok  ' if not check.differences else 'FAIL'}  {check.compared:>7,} {check.name}: {verdict}", markup=False, highlight=False)
        failed += bool(check.differences)
        for difference in check.differences[:SHOWN_DIFFERENCES]:
            table.add_row(*(escape(str(part)) for part in (difference.where, difference.claimed, difference.found)))
        if len(check.differences) > SHOWN_DIFFERENCES:
            table.add_row(f"... and {len(check.differences) - SHOWN_DIFFERENCES:,} more", "", "")
    if failed:
        console.print()
        console.print(table)
    return not failed


def _compact(interval: dict[str, Any], value: str, sign: bool = False) -> str:
    """`88.0 (86.5-89.4)`, or with signs `+7.7 (+5.9..+9.5)`."""
    pattern = "{:+.1f} ({:+.1f}..{:+.1f})" if sign else "{:.1f} ({:.1f}-{:.1f})"
    return pattern.format(*(100 * interval[key] for key in (value, "low", "high")))


def write_report(run: Run) -> Path:
    """Write plots/ and the self-contained report.html of a run."""
    results = read_json(run.results)
    steps = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    for name, figure in _figures(results, steps).items():
        _save(figure, run.folder / "plots", name)
    write_text(run.report, render_report(run))
    return run.report


def render_report(run: Run) -> str:
    """The page of a run, with the figures that are under plots/."""
    return _page("report.html.j2", run, read_json(run.results), read_json(run.manifest))


def evidence(run: Run) -> str:
    """The report without the page around it, for a demo's visitors."""
    return _page("evidence.html.j2", run, for_visitors(read_json(run.results)), for_visitors(read_json(run.manifest)))


def _page(template: str, run: Run, results: dict[str, Any], manifest: dict[str, Any]) -> str:
    figures = {file.stem: data_uri(file) for file in sorted((run.folder / "plots").glob("*.svg"))}
    shown = {row["id"]: file for row in results["worst_errors"] if (file := run.input(row["id"]))}
    return render(template, run, results, manifest, figures=figures, pictures={row_id: data_uri(file) for row_id, file in shown.items()})


def render(template: str, run: Run, results: dict[str, Any], manifest: dict[str, Any], **more: Any) -> str:
    """A template of this folder filled from a run.  Raises UserError where the run lacks what the template asks for."""
    try:
        said = {"sentence": sentence(results), "elsewhere": elsewhere(results), "sampled": sampled(results)}
        return _environment().get_template(template).render(r=results, m=manifest, **said, **more)
    except (UndefinedError, KeyError) as error:
        raise UserError(f"{run.folder} comes from another version of the kit ({error}): `kit evaluate {run.folder}` measures it again.") from error


def _environment() -> Environment:
    """Templates of this folder; HTML is escaped, a missing name is an error."""
    loaded = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html.j2"]), undefined=StrictUndefined)
    loaded.filters |= {
        "percent": percent,
        "points": points,
        "p_value": p_value,
        "verdict": verdict,
        "baseline": lambda name: NAMES.get(name, name),
        "cell": _cell,
    }
    return loaded


def _cell(text: str) -> str:
    """A text as it can stand in a Markdown table: on one line, without marks that would end a cell or become HTML."""
    for mark, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;"), ("*", "&#42;"), ("_", "&#95;"), ("[", "&#91;")):
        text = text.replace(mark, written)
    return " ".join(text.split())


def _figures(results: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    import matplotlib

    matplotlib.use("Agg")
    figures = {
        "comparison": _comparison(results),
        "curves": _curves(steps, results["primary_metric"], results["training"]["best_step"]),
        "reliability": _reliability(results["calibration"]),
    }
    if "matrix" in results["confusion"]:
        figures["confusion"] = _confusion(results["confusion"])
    return figures


INK, MUTED, ACCENT, SECOND = "#1f2937", "#9ca3af", "#2563eb", "#d97706"


def _axes(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _comparison(results: dict[str, Any]) -> Any:
    """Every test set: the model and its baselines, with intervals."""
    metric = results["primary_metric"]
    sets = {"test": results, **results["out_of_domain"]}
    systems = [*results["baselines"], "model"]
    figure, axes = _axes(7.2, 0.8 + 0.34 * len(sets) * len(systems))
    place, ticks = 0.0, []
    for name, part in reversed(sets.items()):
        for system in systems:
            interval = part["metrics"][metric] if system == "model" else part["baselines"][system][metric]
            color = ACCENT if system == "model" else MUTED
            axes.plot([100 * interval["low"], 100 * interval["high"]], [place, place], color=color, linewidth=2, solid_capstyle="butt")
            axes.plot(100 * interval["value"], place, "o", color=color, markersize=6)
            axes.annotate(f"{100 * interval['value']:.1f}", (100 * interval["high"], place), (5, -3), textcoords="offset points", fontsize=8, color=INK)
            label = "fine-tuned" if system == "model" else system.replace("_logistic_regression", " + LR").replace("_", " ")
            ticks.append((place, f"{name}: {label}" if len(sets) > 1 else label))
            place += 1
        place += 0.6
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.set_xlabel(f"{metric}, % with 95 % interval")
    axes.grid(axis="x", color="#e5e7eb")
    return figure


def _curves(steps: list[dict[str, Any]], metric: str, best_step: int) -> Any:
    figure, axes = _axes(7.2, 3.2)
    trained = [row for row in steps if "loss" in row]
    evaluated = [row for row in steps if "validation_loss" in row]
    axes.plot([row["step"] for row in trained], [row["loss"] for row in trained], color=MUTED, linewidth=1, label="training loss")
    axes.plot([row["step"] for row in evaluated], [row["validation_loss"] for row in evaluated], "o-", color=ACCENT, label="validation loss")
    axes.axvline(best_step, color=ACCENT, linewidth=1, linestyle=":")
    axes.set_xlabel("optimizer step (dotted: the checkpoint that was kept)")
    axes.set_ylabel("loss")
    right = axes.twinx()
    right.spines["top"].set_visible(False)
    key = f"validation_{metric}"
    right.plot([row["step"] for row in evaluated], [100 * row[key] for row in evaluated], "s--", color=SECOND, markersize=4, label=f"validation {metric}")
    right.set_ylabel(f"{metric}, %")
    lines = [*axes.get_lines()[:2], *right.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], frameon=False, fontsize=8, loc="center right")
    return figure


def _reliability(calibration: dict[str, Any]) -> Any:
    figure, axes = _axes(3.6, 3.4)
    bins = calibration["bins"]
    most = max(row["examples"] for row in bins)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
    for row in bins:
        axes.bar((row["low"] + row["high"]) / 2, row["accuracy"], width=0.055, color=ACCENT, alpha=0.25 + 0.7 * row["examples"] / most)
        axes.plot(row["confidence"], row["accuracy"], "o", color=INK, markersize=3)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share that is right", title=f"calibration error {100 * calibration['ece']:.1f} points")
    axes.title.set_fontsize(9)
    return figure


def _confusion(confusion: dict[str, Any]) -> Any:
    labels, matrix = confusion["labels"], confusion["matrix"]
    size = max(3.4, 0.42 * len(labels) + 1.4)
    figure, axes = _axes(size, size)
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(matrix):
        for x, count in enumerate(row):
            if count:
                axes.text(x, y, count, ha="center", va="center", fontsize=8, color="white" if shares[y][x] > 0.5 else INK)
    axes.set_xticks(range(len(labels)), labels, rotation=45 if len(labels) > 3 else 0, ha="right" if len(labels) > 3 else "center")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="the model said", ylabel="right label")
    return figure


def _save(figure: Any, folder: Path, name: str) -> None:
    """Write PNG and SVG."""
    import matplotlib.pyplot as plt

    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=150)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def data_uri(file: Path) -> str:
    """An SVG or PNG file as an address that needs no request."""
    kind = {".svg": "svg+xml", ".png": "png"}[file.suffix]
    return f"data:image/{kind};base64," + base64.b64encode(file.read_bytes()).decode()
