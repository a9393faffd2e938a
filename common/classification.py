"""What every classification shares: one label of several for each input, whatever the input is."""

from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.evaluation import metrics
from common.task import Batch, Task


class Classification(Task):
    """A task whose `forward` gives logits, (b, c): its loss is the cross-entropy, its score accuracy and F1."""

    primary_metric = "accuracy"

    def head(self, model: nn.Module) -> tuple[str, ...]:
        base = str(model.base_model_prefix)  # transformers' name of the module that was pretrained
        parameters = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
        if base not in parameters:  # the picture's half of CLIP and its like has another name than the whole
            base = max(parameters, key=lambda name: parameters[name])
        return tuple(f"{name}." for name in parameters if name != base)

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return nn.functional.cross_entropy(outputs.float(), batch["labels"], label_smoothing=label_smoothing, reduction="sum")

    def values(self, outputs: Tensor, batch: Batch) -> list[NDArray[np.float32]]:
        return list(outputs.float().cpu().numpy())

    def statistics(self, features: Dataset, values: list[NDArray[np.float32]]) -> Any:
        return metrics.statistics(np.stack(values).argmax(axis=1), features["label"], len(self.labels))

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return metrics.score(sums)
