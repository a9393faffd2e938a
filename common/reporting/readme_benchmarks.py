"""The tables of READMEs that show what benchmarks measured, from {name: content} of a project's result files."""

import statistics
from typing import Any

from common.reporting import wording
from common.reporting.markdown import as_table, inline
from common.reporting.readme_runs import Table


def claims_list(content: dict[str, Any]) -> str:
    """What was measured of the kit itself, a line each."""
    speed, kills, memory = content["speed"], content["resume_kills"], content["memory"]
    visitors = content["visitors"]
    off = wording.share(visitors["memory_share_off_median"], 0)
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
            f"- Demo: **{visitors['visitors']} visitors** and one who floods it, for {visitors['minutes']:.0f} minutes "
            f"on {visitors['device']}: 95 % of their answers came within {visitors['p95_seconds']:.1f} s, and its "
            f"memory stayed within {off} of {visitors['memory_mib']['median']:,.0f} MiB.",
        ]
    )


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
    return f"{ablation['what']}\n\n" + as_table(
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
    table = as_table(
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
    return as_table(["what", "measured"], rows)


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
    table = as_table(
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
    columns = ["order of the words", "words go: lower is better", "words come: higher is better", "a text"]
    lead = (
        f"Mean probability of the answer while the words of {measured['rows']:,} test rows go, and come, a tenth at a "
        f"time; in brackets the difference from leaving out one word at a time, with its 95 % interval. "
        f"On {measured['device']}."
    )
    return f"{lead}\n\n{as_table(columns, rows)}"


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
    return f"{lead}\n\n{as_table(columns, rows)}"


def gpt_table(content: dict[str, Any]) -> str:
    """The lesson's GPT beside that of transformers."""
    gpt = content["gpt"]
    rows = [
        [name, f"{statistics.median(loop['tokens_per_second']):,.0f}", f"{loop['validation_loss']:.3f}"]
        for name, loop in gpt["loops"].items()
    ]
    return f"{gpt['what']}\n\n" + as_table(["model", "tokens a second, median", "validation loss"], rows)


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
    return f"{curve['what']}\n\n{as_table(head, rows)}"


def lora_table(content: dict[str, Any]) -> str:
    """The training of adapters beside trl's."""
    lora = content["lora"]
    rows = [
        [
            name,
            *[f"{run['tokens'] / run['seconds']:,.0f}" for run in runs],
            f"**{statistics.median(run['tokens'] / run['seconds'] for run in runs):,.0f}**",
            f"{statistics.median(run['peak_bytes'] for run in runs) / 2**30:.2f} GiB",
        ]
        for name, runs in lora["runs"].items()
    ]
    count = len(next(iter(lora["runs"].values())))
    head = ["loop", *[f"run {place + 1}" for place in range(count)], "median, tokens a second", "peak memory, median"]
    ratios = lora["ratios"]
    compared = (
        f"The kit is {ratios['tokens_per_second']:.2f} times as fast, and takes {ratios['peak_memory']:.2f} times the "
        "memory."
    )
    return f"{lora['what']}\n\n{as_table(head, rows)}\n\n{compared}"


def negatives_table(content: dict[str, Any]) -> str:
    """What a step takes by the examples in it, which are each other's negatives."""
    found = content["negatives"]
    rows = [
        [
            f"{int(size):,}",
            f"{one['peak_memory_bytes'] / 2**30:.2f} GiB",
            f"{one['seconds_a_step']:.1f} s",
            f"{one['device']} ({one['precision']})",
        ]
        for size, one in found["sizes"].items()
    ]
    said = f"{found['steps']} steps, micro-batches of at most {found['micro_batch_size']} examples:"
    return f"{said}\n\n{as_table(['examples in a step', 'peak memory', 'a step', 'on'], rows)}"


def streams_line(content: dict[str, Any]) -> str:
    """What visitors see whose answers grow at the same time."""
    found = content["streams"]
    asked = found["answers"] + sum(found["problems"].values())
    close = found["others_where_two_tokens_were_as_likely"]
    as_likely = f", {close:,} another where two tokens were nearly as likely" if close else ""
    others = f", and {found['others']:,} another one" if found["others"] else ""
    seconds, first = found["seconds"], found["first_word_seconds"]["median"]
    return (
        f"On {found['device']}, clients included: {found['visitors']} visitors at once ask {asked:,} prompts of the "
        f"test split and see each answer grow. {found['answers']:,} were answered, half of them within "
        f"{seconds['median']:.1f} s (the first word within {first:.1f} s), all within {seconds['slowest']:.1f} s; "
        f"{found['as_measured']:,} got the answer that was measured"
        f"{as_likely}{others}."
    )


TABLES: dict[str, Table] = {
    "claims": claims_list,
    "ablation": ablation_table,
    "speed": speed_table,
    "checks": checks_table,
    "demo": demo_table,
    "visitors": visitors_line,
    "attribution": attribution_table,
    "unlike": unlike_table,
    "gpt": gpt_table,
    "lora": lora_table,
    "streams": streams_line,
    "negatives": negatives_table,
    "curve": curve_table,
}
