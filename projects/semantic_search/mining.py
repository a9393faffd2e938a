"""Hard negatives: documents that the pretrained model ranks high beside a query, and that do not answer it."""

from typing import Any

import numpy as np
from datasets import Dataset
from torch import nn

from common import inference
from common.data.features import in_memory
from common.metrics.ranking import top
from common.system.hardware import default_device, default_precision
from common.system.progress import say
from common.task.contract import Task

# Documents of each query that are looked at, and queries at once.
DEPTH, AT_ONCE = 50, 1_000


def mine(
    task: Task, model: nn.Module, train: Dataset, texts: list[str], left_out: set[int], wanted: int, margin: float
) -> dict[tuple[str, int], list[int]]:
    """{(row, positive): up to `wanted` documents} of the training features, by the model as it is.

    Documents score at most (1 - margin) times what the positive does: those above may be right, too (Moreira et al.
    2024). Those of `left_out`, which answer queries of other splits, are never taken.
    """
    device = default_device()
    options: dict[str, Any] = {"precision": default_precision(), "description": "hard negatives"}
    model.to(device)
    documents = np.stack(
        inference.run(task, model, in_memory(task.encode, {"document": texts}), device, **options).values
    )
    queries = np.stack(inference.run(task, model, train, device, **options).values)
    found, too_near = {}, 0
    for start in range(0, len(train), AT_ONCE):
        features = train[start : start + AT_ONCE]
        scores = queries[start : start + AT_ONCE] @ documents.T
        for row, nearest in enumerate(top(scores, min(DEPTH, len(texts)))):
            positive, relevant = features["positive"][row], set(features["relevant"][row])
            bar = scores[row, positive] - margin * abs(scores[row, positive])
            others = [int(one) for one in nearest if one not in relevant and one not in left_out]
            below = [one for one in others if scores[row, one] <= bar]
            too_near += len(others) - len(below)
            found[features["id"][row], positive] = below[:wanted]
    say(f"hard negatives for {len(found):,} queries; {too_near:,} documents were too near to the right one")
    return found
