"""Does "Why" find the words that the answer depends on?  Deletion and insertion curves of ways to weigh words.

    python -m tests.benchmarks.attribution RUN [--rows 200] [--write]

For rows of the test split the words are left out one tenth after the other, the weightiest first, and put in one tenth
after the other: the more the order has to do with the answer, the sooner its probability falls, and rises (Petsiuk et
al. 2018, "RISE"). Random order is the floor; all orders are asked about the same model.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "projects/text_classification/results/attribution.json"
TENTHS = np.linspace(0, 1, 11)
# Shorter texts have no curve to speak of.
SHORTEST = 5
STEPS = 32  # of the integral of gradients
Values = NDArray[np.float64]


class Asked:
    """The probability of one answer for texts; each text is asked about once."""

    def __init__(self, predictor: Any, label: str):
        self.predictor, self.label = predictor, label
        self.known: dict[str, float] = {}

    def __call__(self, texts: list[str]) -> Values:
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        for text, answer in zip(new, self.predictor.predict(new), strict=True):
            self.known[text] = self.predictor.task.probabilities(answer)[self.label]
        return np.asarray([self.known[text] for text in texts])


def main() -> None:
    from apps.text_classification import PIECES
    from common.predictor import Predictor
    from common.system.hardware import describe
    from common.system.progress import quiet_libraries
    from projects.text_classification.pieces import pieces

    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    quiet_libraries()
    predictor = Predictor.load(options.run, precision="fp32")
    texts = test_texts(options.run)
    chosen = np.random.default_rng(0).permutation(len(texts))
    areas: dict[str, dict[str, list[float]]] = {name: {"deletion": [], "insertion": []} for name in METHODS}
    curves: dict[str, dict[str, list[list[float]]]] = {name: {"deletion": [], "insertion": []} for name in METHODS}
    seconds: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    done = 0
    for text in (texts[index] for index in chosen.tolist()):
        parts = pieces(text, predictor.task.processor, PIECES)  # type: ignore[attr-defined]
        if len(parts) < SHORTEST:
            continue
        label = predictor.predict([text])[0].value
        for name, weigh in METHODS.items():
            ask = Asked(predictor, label)
            started = time.perf_counter()
            order = np.argsort(-weigh(ask, text, parts), kind="stable")
            seconds[name] += time.perf_counter() - started
            for kind, curve in both_curves(ask, parts, order).items():
                curves[name][kind].append(curve.tolist())
                areas[name][kind].append(float(np.trapezoid(curve, TENTHS)))
        done += 1
        if done % 20 == 0:
            print(done, {name: round(float(np.mean(areas[name]["deletion"])), 4) for name in METHODS}, flush=True)
        if done == options.rows:
            break
    found = summary(areas, curves, seconds)
    print(json.dumps(found, indent=1))
    if options.write:
        device = describe(predictor.device)["device"]
        document = {"run": options.run.name, "device": device, "rows": done, "methods": found}
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def test_texts(run: Path) -> list[str]:
    """The inputs of the test split."""
    records = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    return [record["input"] for record in records if record["set"] == "test"]


def both_curves(ask: Asked, parts: list[str], order: NDArray[np.int64]) -> dict[str, Values]:
    """(11,) the answer's probability when a tenth after the other is left out, and is put in, in that order."""
    from projects.text_classification.pieces import kept_texts

    rank = np.empty(len(parts), dtype=np.int64)
    rank[order] = np.arange(len(parts))
    first = rank[None, :] < np.rint(TENTHS * len(parts))[:, None]  # (11, parts) the weightiest so far
    return {"deletion": ask(kept_texts(parts, ~first)), "insertion": ask(kept_texts(parts, first))}


def shapley_values(ask: Asked, text: str, parts: list[str]) -> Values:
    from apps.text_classification import COALITIONS
    from common.metrics.attribution import coalitions, shapley
    from projects.text_classification.pieces import kept_texts

    kept = coalitions(len(parts), COALITIONS)
    return shapley(kept, ask(kept_texts(parts, kept)))[0]


def leave_one_out(ask: Asked, text: str, parts: list[str]) -> Values:
    from projects.text_classification.pieces import kept_texts

    without: Values = ask([text])[0] - ask(kept_texts(parts, ~np.eye(len(parts), dtype=bool)))
    return without


def integrated_gradients(ask: Asked, text: str, parts: list[str]) -> Values:
    """The gradient of the answer's logit along the way from padding to the text (Sundararajan et al. 2017)."""
    import torch

    task, model = ask.predictor.task, ask.predictor.model
    encoded = task.processor(text, truncation=True, return_offsets_mapping=True, return_tensors="pt")
    starts = encoded.pop("offset_mapping")[0].numpy()
    embed = model.get_input_embeddings()
    words = embed(encoded["input_ids"]).detach()  # (1, tokens, hidden)
    special = torch.tensor(
        task.processor.get_special_tokens_mask(encoded["input_ids"][0], already_has_special_tokens=True)
    )
    padding = embed(torch.full_like(encoded["input_ids"], task.processor.pad_token_id)).detach()
    start = torch.where(special.bool()[None, :, None], words, padding)
    steps = ((torch.arange(STEPS) + 0.5) / STEPS)[:, None, None]
    path = (start + steps * (words - start)).requires_grad_()  # (STEPS, tokens, hidden)
    mask = encoded["attention_mask"].expand(STEPS, -1)
    logits = model(inputs_embeds=path, attention_mask=mask).logits
    (gradient,) = torch.autograd.grad(logits[:, task.labels.index(ask.label)].sum(), path)
    of_token = (gradient.mean(dim=0) * (words - start)[0]).sum(dim=-1).numpy()
    ends = np.cumsum([len(part) for part in parts])
    values = np.zeros(len(parts))
    for (begin, end), value in zip(starts, of_token, strict=True):
        if end > begin:
            values[np.searchsorted(ends, begin, side="right")] += value
    return values


def random_order(ask: Asked, text: str, parts: list[str]) -> Values:
    return np.random.default_rng(len(text)).random(len(parts))


METHODS = {
    "Shapley values": shapley_values,
    "leave one out": leave_one_out,
    "integrated gradients": integrated_gradients,
    "random order": random_order,
}


def summary(areas: Any, curves: Any, seconds: dict[str, float]) -> dict[str, Any]:
    """Each method's mean curves and areas, and how far its areas are from leave-one-out's, with 95 % intervals."""
    found: dict[str, Any] = {}
    for name, by_kind in areas.items():
        rows = len(by_kind["deletion"])
        found[name] = {"seconds_per_text": seconds[name] / rows}
        for kind, values in by_kind.items():
            against = np.asarray(values) - np.asarray(areas["leave one out"][kind])
            half = 1.96 * against.std(ddof=1) / np.sqrt(rows)
            found[name][kind] = {
                "area": float(np.mean(values)),
                "against_leave_one_out": [
                    float(against.mean()),
                    float(against.mean() - half),
                    float(against.mean() + half),
                ],
                "curve": np.mean(curves[name][kind], axis=0).round(4).tolist(),
            }
    return found


if __name__ == "__main__":
    main()
