"""The plots of a run, as SVG and PNG: the model against its baselines, and the training's curves."""

import base64
from pathlib import Path
from typing import Any

from common.reporting import wording

INK, MUTED, GRID, ACCENT, SECOND = "#1f2937", "#9ca3af", "#e5e7eb", "#2563eb", "#d97706"


def write_figures(results: wording.Results, steps: list[dict[str, Any]], folder: Path) -> None:
    """Draw every figure into `folder`; `steps` are the lines of metrics.jsonl."""
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(exist_ok=True)
    for name, figure in (("comparison", comparison(results)), ("curves", curves(results, steps))):
        _save(figure, folder, name)


def comparison(results: wording.Results) -> Any:
    """The primary metric of the model and its baselines on every test set, with intervals."""
    metric, kind = results["primary_metric"], wording.primary(results)
    parts, systems = wording.parts(results), [*results["baselines"], "model"]
    figure, axes = _axes(7.2, 0.8 + 0.34 * len(parts) * len(systems))
    y, ticks = 0.0, []
    for part_name, part in reversed(parts.items()):
        for system in systems:
            interval = part["metrics"][metric] if system == "model" else part["baselines"][system][metric]
            _draw_interval(axes, y, interval, kind, ACCENT if system == "model" else MUTED)
            title = "fine-tuned" if system == "model" else wording.baseline_short(results, system)
            ticks.append((y, f"{part_name}: {title}" if len(parts) > 1 else title))
            y += 1
        y += 0.6
    axes.set_ylim(-0.6, y - 1)
    axes.margins(x=0.08)
    axes.set_yticks([y for y, _ in ticks], [title for _, title in ticks])
    axes.set_xlabel(f"{wording.axis(kind)}, with 95 % intervals")
    axes.grid(axis="x", color=GRID)
    return figure


def _draw_interval(axes: Any, y: float, interval: wording.Interval, kind: wording.Kind, color: str) -> None:
    """A dot at the value, a line over the interval where there is one, and the value as text."""
    value = wording.scaled(interval["value"], kind)
    low, high = (value if interval[end] is None else wording.scaled(interval[end], kind) for end in ("low", "high"))
    axes.plot([low, high], [y, y], color=color, linewidth=2, solid_capstyle="butt")
    axes.plot(value, y, "o", color=color, markersize=6)
    text = wording.compact(interval, kind, bounds=False)
    axes.annotate(text, (high, y), (8, -3), textcoords="offset points", fontsize=8, color=INK)


def curves(results: wording.Results, steps: list[dict[str, Any]]) -> Any:
    """Training and validation loss, and the primary metric on the validation rows."""
    metric, kind = results["primary_metric"], wording.primary(results)
    trained = [row for row in steps if "loss" in row]
    evaluated = [row for row in steps if "validation_loss" in row]
    at = [row["step"] for row in evaluated]
    figure, axes = _axes(7.2, 3.2)
    right = axes.twinx()
    right.spines["top"].set_visible(False)
    right.tick_params(colors=INK, labelsize=9)
    lines = [
        *axes.plot([row["step"] for row in trained], [row["loss"] for row in trained], color=MUTED, linewidth=1),
        *axes.plot(at, [row["validation_loss"] for row in evaluated], "o-", color=ACCENT),
        *right.plot(
            at,
            [wording.scaled(row[f"validation_{metric}"], kind) for row in evaluated],
            "s--",
            color=SECOND,
            markersize=4,
        ),
    ]
    axes.axvline(results["training"]["best_step"], color=ACCENT, linewidth=1, linestyle=":")
    axes.set_xlabel("optimizer step (dotted: the checkpoint that was kept)")
    axes.set_ylabel("loss")
    right.set_ylabel(wording.axis(kind))
    names = ["training loss", "validation loss", f"validation {kind['title']}"]
    axes.legend(lines, names, frameon=False, fontsize=8, loc="center right")
    return figure


def _axes(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _save(figure: Any, folder: Path, name: str) -> None:
    """Write PNG and SVG."""
    import matplotlib.pyplot as plt

    figure.savefig(folder / f"{name}.png", dpi=150)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def data_uri(file: Path) -> str:
    """An SVG or PNG file as an address that needs no request."""
    kind = {".svg": "svg+xml", ".png": "png"}[file.suffix]
    return f"data:image/{kind};base64," + base64.b64encode(file.read_bytes()).decode()
