"""What the demo costs on top of Gradio itself: one visitor, and 32 at once.

    python -m tests.benchmarks.demo RUN [--write]

Three servers, each in a process of its own, are asked through gradio_client: the demo, the same app around a
predictor that does nothing, and `gr.Interface.from_pipeline` with the same model. A single visitor's requests go to
each in turn, so that a busy moment hits all three; so do the rounds of 32 visitors.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "projects/text_classification/results/demo.json"
APPS = ("the demo", "the same app, no model", "Interface.from_pipeline")
ROUNDS, ALONE, CLIENTS, EACH = 5, 40, 32, 6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    parser.add_argument("--serve", choices=APPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.run)
        return
    servers = {name: start(name, options.run) for name in APPS}
    measured: dict[str, dict[str, list[float]]] = {
        name: {"p50_ms": [], "p95_ms_of_32": [], "requests_per_second_of_32": [], "errors": []} for name in APPS
    }
    try:
        clients = {name: client(process) for name, process in servers.items()}
        alone(clients, 10)  # warm up
        for _ in range(ROUNDS):
            single = alone(clients, ALONE)
            for name in APPS:
                measured[name]["p50_ms"].append(statistics.median(single[name]))
                seconds, rate, errors = together(clients[name])
                measured[name]["p95_ms_of_32"].append(statistics.quantiles(seconds, n=20)[-1])
                measured[name]["requests_per_second_of_32"].append(rate)
                measured[name]["errors"].append(errors)
                print(name, {key: round(values[-1], 1) for key, values in measured[name].items()}, flush=True)
    finally:
        for process in servers.values():
            process.kill()
    middle = {
        name: {key: statistics.median(values) for key, values in figures.items()} for name, figures in measured.items()
    }
    demo, trivial, plain = (middle[name] for name in APPS)
    added = [
        ours - theirs for ours, theirs in zip(measured[APPS[0]]["p50_ms"], measured[APPS[1]]["p50_ms"], strict=True)
    ]
    ratios = {
        "added_ms": statistics.median(added),
        "throughput_of_trivial": demo["requests_per_second_of_32"] / trivial["requests_per_second_of_32"],
        "throughput_of_pipeline": demo["requests_per_second_of_32"] / plain["requests_per_second_of_32"],
    }
    print(json.dumps({"medians": middle, **ratios}, indent=1))
    if options.write:
        from common.system.hardware import _cpu_name

        device = f"{_cpu_name()}, {os.cpu_count()} cores"
        RESULTS.write_text(
            json.dumps(
                {"device": device, "clients": CLIENTS, "measured": measured, "medians": middle, **ratios}, indent=1
            )
            + "\n"
        )


def serve(name: str, run: Path) -> None:
    """Serve one of the apps; its address is the only line on stdout."""
    import gradio as gr

    from apps.parts.server import launch
    from apps.text_classification import build
    from common.predictor import Predictor
    from common.task.contract import Prediction

    if name == "Interface.from_pipeline":
        from transformers import pipeline, pipelines

        # Gradio 6.31 asks for modules that transformers 5 loads late or no longer has, and fails with each question.
        for name in ("text_classification", "token_classification", "object_detection"):
            importlib.import_module(f"transformers.pipelines.{name}")
        gone = types.SimpleNamespace(Text2TextGenerationPipeline=types.NoneType, TranslationPipeline=types.NoneType)
        pipelines.text2text_generation = gone  # type: ignore[attr-defined]
        app = gr.Interface.from_pipeline(pipeline("text-classification", model=str(run / "model")))
        app.launch(prevent_thread_lock=True, quiet=True)
    else:
        predictor = Predictor.load(run)
        if name == "the same app, no model":
            predictor.folder = None
            labels = predictor.task.labels  # type: ignore[attr-defined]
            same = Prediction(labels[0], 1.0, details={"logits": [0.0] * len(labels)})
            predictor.predict = lambda texts: [same] * len(texts)  # type: ignore[method-assign]
        app = build(predictor)
        launch(app, prevent_thread_lock=True, quiet=True)
    print(app.local_url, flush=True)
    while True:
        time.sleep(1)


def start(name: str, run: Path) -> "subprocess.Popen[str]":
    """A server in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.demo", str(run), "--serve", name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def client(process: "subprocess.Popen[str]") -> Any:
    """Asks the server one text, as soon as it has said its address."""
    from gradio_client import Client

    assert process.stdout
    address = next(line for line in process.stdout if line.startswith("http")).strip()
    opened = Client(address, verbose=False)
    names = list(opened.view_api(print_info=False, return_format="dict")["named_endpoints"])
    name = "/predict" if "/predict" in names else names[0]  # from_pipeline names its endpoint itself
    return lambda text: opened.predict(text, api_name=name)


def ask(asked: Any, number: int) -> float:
    """Milliseconds of one request."""
    started = time.perf_counter()
    asked(f"A charming little film number {number} that never outstays its welcome.")
    return 1_000 * (time.perf_counter() - started)


def alone(clients: dict[str, Any], requests: int) -> dict[str, list[float]]:
    """Milliseconds of requests one after the other, to each app in turn."""
    found: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(requests):
        for name, asked in clients.items():
            found[name].append(ask(asked, number))
    return found


def together(asked: Any) -> tuple[list[float], float, int]:
    """Milliseconds of requests of many clients at once, requests a second, and how many failed."""
    errors = 0

    def several(first: int) -> list[float]:
        nonlocal errors
        found = []
        for number in range(EACH):
            try:
                found.append(ask(asked, EACH * first + number))
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                errors += 1
        return found

    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        milliseconds = [value for values in pool.map(several, range(CLIENTS)) for value in values]
    return milliseconds, len(milliseconds) / (time.perf_counter() - started), errors


if __name__ == "__main__":
    main()
