"""Start a head of linear outputs where a logistic regression on the frozen features ends.

A head of random numbers spends the first epochs undoing the damage that its gradients do to the pretrained
weights; a regression on the same features is there in seconds ("linear probing then fine-tuning", Kumar et
al. 2022, section 3.4).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from common.inference import layer_inputs
from common.models import regression
from common.models.neighbours import last_layer
from common.models.weights import load_model
from common.system.progress import say
from common.task.contract import Task

# The head is started with a tenth of the best strength: small weights pass small gradients on to the pretrained
# layers, and fine-tuning ended better that way on validation rows of three data sets (one seed each).
CALMER = 0.1
SELECTION_ROWS = 5_000
# More rows than this do not make the start better, and the regression's time grows with them.
ROWS = 20_000


def new_head(auto_class: Any, source: Path, classes: list[str], pretrained: bool) -> nn.Module:
    """The model of the folder `source` with a head for these classes; without `pretrained` all weights are random.

    The kind of problem that the pretrained model was made for is forgotten: plain transformers would read the new head
    by it, as independent yes or no, or as bare numbers.
    """
    from transformers import AutoConfig

    names = dict(enumerate(classes))
    label2id = {name: number for number, name in names.items()}
    options: dict[str, Any] = {"id2label": names, "label2id": label2id, "problem_type": None}
    if pretrained:
        return load_model(auto_class, source, complete=False, ignore_mismatched_sizes=True, **options)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False, **options)
    model = auto_class.from_config(config, trust_remote_code=False)
    for module in model.modules():
        # transformers starts these near zero, BatchNorm's scales included, so activations vanish in a deep network.
        if isinstance(module, nn.Conv2d | nn.modules.batchnorm._BatchNorm):
            module.reset_parameters()  # PyTorch's own start
            if not isinstance(module, nn.Conv2d):
                module.momentum = 0.1  # the statistics have to follow weights that move far
    return model


def start_head(
    task: Task, model: nn.Module, train: Dataset, targets: NDArray[np.int64], classes: int, seed: int
) -> None:
    """Set the head's weights so that the untrained model answers like a regression on its own features.

    `model` ends in a linear layer with one output per class; `train` are features and `targets` their (f,) class ids,
    of which at most `ROWS` are used. A model whose last layer is not linear, or reads one vector per token, is left as
    it is, and so is one with more outputs than a regression can have.
    """
    head = last_layer(model, classes)
    if head is None:
        return
    if not regression.is_affordable(classes, head.in_features):
        say(f"warning: the head starts at random: a regression of {classes:,} classes would take too much memory.")
        return
    chosen = regression.draw(targets, ROWS, seed)
    train = train.select(chosen)
    inputs = layer_inputs(task, model, head, train, "starting the head")
    if inputs is not None:
        weight, bias = probe(inputs, targets[chosen], head.out_features)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(weight))
            if head.bias is not None:
                head.bias.copy_(torch.from_numpy(bias))


def probe(
    inputs: NDArray[np.float32], targets: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(c, d) weight and (c,) bias of a logistic regression on the raw (n, d) inputs and (n,) class ids.

    It is fitted on centred inputs of unit mean norm, where one penalty means the same for every encoder, and
    folded back. Classes that no row has keep a weight of zero and the smallest bias.
    """
    mean = inputs.mean(axis=0)
    norm = float(np.linalg.norm(inputs - mean, axis=1).mean()) or 1.0
    scaled = (inputs - mean) / norm
    fitted = regression.fit(scaled, targets, CALMER * _best_strength(scaled, targets))
    weight, bias = regression.linear(fitted)
    weight = weight / norm
    bias = bias - weight @ mean
    full_weight = np.zeros((classes, inputs.shape[1]), dtype=np.float32)
    full_bias = np.full(classes, bias.min(), dtype=np.float32)
    full_weight[fitted.classes_], full_bias[fitted.classes_] = weight, bias
    return full_weight, full_bias


def _best_strength(inputs: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """The strength with the lowest loss on a fifth of the rows that the regression did not see."""
    order = np.random.default_rng(0).permutation(len(inputs))[:SELECTION_ROWS]
    held_out, seen = np.split(order, [len(order) // 5])
    return regression.fit_best(inputs[seen], targets[seen], inputs[held_out], targets[held_out])[0]
