"""What is looked at closely: was fine-tuning needed, what is likely now, what was forgotten, what is only repeated."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from datasets import Dataset
from numpy.typing import NDArray

from common.data.features import column, encoded
from common.data.plan import evaluation_batches
from common.data.splits import Data
from common.evaluation import slices
from common.evaluation.needed import against_each
from common.evaluation.records import unpicked
from common.metrics import language_model
from common.metrics.intervals import Bootstrap
from common.models.causal import IGNORED, Causal, padded
from common.models.ngram import ByteModel
from common.system.hardware import autocast, default_device, default_precision
from common.system.progress import track
from common.task.contract import Prediction

from .texts import ORDER

# Of the text by which forgetting is measured: parts, characters of each, and tokens that are read of each at most.
PARTS, CHARACTERS, TOKENS = 24, 800, 512
BATCH = 16
# What the sections of likelihoods compare.
BEFORE, AFTER = "before", "after"


def by_kind(rows: Dataset, train: Dataset) -> dict[str, Sequence[str | None]]:
    """By the lengths of prompt and answer, by whether a training row has the same answer, by their columns."""
    words = [np.asarray([len(text.split()) for text in rows[name]], np.float64) for name in ("prompt", "reference")]
    trained = set(train["reference"])
    found: dict[str, Sequence[str | None]] = {
        "prompt length": slices.in_thirds(words[0], ("short", "medium", "long"), "words"),
        "answer length": slices.in_thirds(words[1], ("short", "medium", "long"), "words"),
        "answer": ["of a training row, too" if answer in trained else "new" for answer in rows["reference"]],
    }
    return {**found, **slices.by_column(rows)}


def perturbed(rows: Dataset) -> dict[str, list[Any]]:
    """The same wish, said politely."""
    if any(len(chat) > 1 for chat in rows["messages"]):
        return {}
    return {"with a please": [f"Please {prompt[:1].lower()}{prompt[1:]}" for prompt in rows["prompt"]]}


def sections_of(task: Any, records: list[dict[str, Any]]) -> dict[str, Any]:
    """`needed`: what fine-tuning adds to each baseline; `samples`: answers that nobody picked."""
    samples = [
        {
            "id": record["id"],
            "input": record["input"],
            "reference": record["reference"],
            "prediction": record["prediction"]["value"],
            "right": task.is_right(record["prediction"]["value"], record["reference"])
            if task.metrics[0].exact
            else None,
            "stopped": bool(record["prediction"]["details"]["stopped"]),
        }
        for record in unpicked(records, task.config.seed)
    ]
    return {"needed": {"rows": against_each(task, records)}, "samples": {"rows": samples}}


def examined(
    task: Any, model: Causal, untuned: Causal, data: Data, answers: Mapping[str, list[Prediction]]
) -> dict[str, Any]:
    """`likelihood` of right answers and `forgetting` of other text, before and after; `copies` of training answers."""
    test = data.splits["test"]
    trained, written = set(data.splits["train"]["reference"]), [one.value for one in answers["test"]]
    copies = [index for index, answer in enumerate(written) if answer in trained]
    wrong = sum(not task.is_right(written[index], test[index]["reference"]) for index in copies)
    groups = np.asarray(test["group"] if "group" in test.column_names else test["id"])
    right = _compared(
        {BEFORE: answer_statistics(task, untuned, test), AFTER: answer_statistics(task, model, test)},
        Bootstrap(groups, task.config.seed),
    )
    grams = ByteModel(list(data.splits["train"]["reference"]), ORDER)
    by_bytes = [grams.nats(answer) for answer in test["reference"]]
    sums = language_model.statistics(np.asarray(by_bytes), [1] * len(test), list(test["reference"])).sum(axis=0)
    right["bytes"] = {"order": ORDER, "bits_per_byte": float(language_model.score(sums)["bits_per_byte"])}
    texts = other_texts(min(PARTS, len(test)))
    other = _compared(
        {BEFORE: text_statistics(task, untuned, texts), AFTER: text_statistics(task, model, texts)},
        Bootstrap(np.arange(len(texts)), task.config.seed),
    )
    return {
        "likelihood": right,
        "forgetting": {**other, "texts": len(texts), "characters": sum(map(len, texts))},
        "copies": {"answers": len(written), "copied": len(copies), "wrong": wrong},
    }


def _compared(found: dict[str, NDArray[np.float64]], bootstrap: Bootstrap) -> dict[str, Any]:
    """The scores of both, and by how much the second is lower or higher, with intervals."""
    scores = {name: bootstrap.intervals(sums, language_model.score, ()) for name, sums in found.items()}
    difference = {
        name: bootstrap.difference(found[AFTER], found[BEFORE], language_model.score, name, is_share=False)
        for name in ("nats_per_token", "bits_per_byte")
    }
    return {**scores, "difference": difference}


def answer_statistics(task: Any, model: Causal, rows: Dataset) -> NDArray[np.float64]:
    """(n, 3) how likely the right answer to each row is, its end included."""
    features = encoded(task.encode, rows)
    row_of = column(features, "row")
    nats, tokens = np.zeros(len(rows)), [0] * len(rows)
    for indices in evaluation_batches(column(features, "length"), BATCH):
        batch = task.collate(features[indices])
        losses = _losses(model, {name: batch[name] for name in ("input_ids", "attention_mask", "targets")})
        counts = (batch["targets"] != IGNORED).sum(dim=1).tolist()
        for index, of_row, answer in zip(indices.tolist(), losses.split(counts), batch["answers"], strict=True):
            nats[row_of[index]] += float(of_row[len(of_row) - answer :].sum())
            tokens[row_of[index]] += answer
    return language_model.statistics(nats, tokens, list(rows["reference"]))


def text_statistics(task: Any, model: Causal, texts: list[str]) -> NDArray[np.float64]:
    """(n, 3) how likely each text is after its first token, as far as the model can read it at once."""
    most = min(TOKENS, task.tokenizer.model_max_length)
    tokens = task.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids = [of_text[:most] for of_text in tokens["input_ids"]]
    pairs = zip(texts, tokens["offset_mapping"], strict=True)
    read = [text[: offsets[:most][-1][1]] for text, offsets in pairs]
    nats: list[float] = []
    for start in track(range(0, len(texts), BATCH), "what was forgotten"):
        input_ids, mask = padded(ids[start : start + BATCH], task.padding)
        targets = torch.where(mask.bool(), input_ids, IGNORED)
        targets = torch.cat([targets[:, 1:], torch.full_like(targets[:, :1], IGNORED)], dim=1)
        losses = _losses(model, {"input_ids": input_ids, "attention_mask": mask, "targets": targets})
        nats += [float(of_text.sum()) for of_text in losses.split((targets != IGNORED).sum(dim=1).tolist())]
    return language_model.statistics(np.asarray(nats), [len(of_text) - 1 for of_text in ids], read)


@torch.no_grad()
def _losses(model: Causal, batch: dict[str, Any]) -> Any:
    device = default_device()
    with autocast(device, default_precision()):
        return model(**send_to_device(batch, device)).double().cpu()


def other_texts(count: int) -> list[str]:
    """Plain English that every machine has: so many parts of Python's own manual."""
    from pydoc_data.topics import topics

    whole = "\n\n".join(topics[name] for name in sorted(topics))
    starts = np.linspace(0, len(whole) - CHARACTERS, count).astype(int)
    return [whole[start : start + CHARACTERS] for start in starts.tolist()]
