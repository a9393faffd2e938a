"""Start a classification head where a logistic regression on the frozen features ends.

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

from common.inference import head_inputs
from common.task import Task, column

# Inverse strengths of the regression's L2 penalty that are tried on held-out training rows. The head is
# started with a tenth of the best: small weights pass small gradients on to the pretrained layers, and
# fine-tuning ended better that way on validation rows of banking77, movie snippets and tweets (one seed each).
STRENGTHS = (1.0, 10.0, 100.0)
CALMER = 0.1
SELECTION_ROWS = 5_000
# More rows than this do not make the start better, and the regression's time grows with them.
ROWS = 20_000


def new_head(auto_class: Any, source: Path, labels: list[str], pretrained: bool) -> nn.Module:
    """The model of the folder `source` with a head for these labels; without `pretrained` all its weights are random."""
    from transformers import AutoConfig

    names = dict(enumerate(labels))
    options = {"id2label": names, "label2id": {name: number for number, name in names.items()}}
    if pretrained:
        model: nn.Module = auto_class.from_pretrained(source, ignore_mismatched_sizes=True, trust_remote_code=False, **options)
        return model
    model = auto_class.from_config(AutoConfig.from_pretrained(source, trust_remote_code=False, **options), trust_remote_code=False)
    for module in model.modules():
        # transformers draws these around zero, the scales of BatchNorm, too: what a deep network of them sees fades to nothing.
        if isinstance(module, nn.Conv2d | nn.modules.batchnorm._BatchNorm):
            module.reset_parameters()  # PyTorch's own start
            if not isinstance(module, nn.Conv2d):
                module.momentum = 0.1  # the statistics have to follow weights that move far
    return model


def start_head(task: Task, model: nn.Module, train: Dataset, seed: int) -> None:
    """Set the head's weights so that the untrained model answers like a regression on its own features.

    `model` ends in a linear layer with one output per label of the task; `train` are encoded features. At
    most `ROWS` of them are used. A model whose last layer reads one vector per token is left as it is.
    """
    head = [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == len(task.labels)][-1]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(train))[:ROWS])
    train = train.select(chosen)
    inputs = head_inputs(task, model, head, train, "starting the head")
    if inputs.ndim == 2:
        weight, bias = probe(inputs, column(train, "label"), head.out_features)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(weight))
            if head.bias is not None:
                head.bias.copy_(torch.from_numpy(bias))


def probe(inputs: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(c, d) weight and (c,) bias of a logistic regression on the raw inputs.

    It is fitted on centred inputs of unit mean norm, where one penalty means the same for every encoder, and
    folded back. Labels that no row has keep a weight of zero and the smallest bias.
    """
    mean = inputs.mean(axis=0)
    norm = float(np.linalg.norm(inputs - mean, axis=1).mean()) or 1.0
    scaled = (inputs - mean) / norm
    regression = _fit(scaled, labels, CALMER * _best_strength(scaled, labels))
    weight, bias = regression.coef_ / norm, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn keeps one row of weights; half of it each, and both outputs learn alike
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    bias = bias - weight @ mean
    full_weight = np.zeros((classes, inputs.shape[1]), dtype=np.float32)
    full_bias = np.full(classes, bias.min(), dtype=np.float32)
    full_weight[regression.classes_], full_bias[regression.classes_] = weight, bias
    return full_weight, full_bias


def _best_strength(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The strength with the lowest loss on a fifth of the rows that the regression did not see."""
    from sklearn.metrics import log_loss

    order = np.random.default_rng(0).permutation(len(inputs))[:SELECTION_ROWS]
    held_out, seen = np.split(order, [len(order) // 5])
    held_out = held_out[np.isin(labels[held_out], labels[seen])]
    if not len(held_out) or len(np.unique(labels[seen])) < 2:
        return STRENGTHS[0]

    def loss(strength: float) -> float:
        regression = _fit(inputs[seen], labels[seen], strength)
        return float(log_loss(labels[held_out], regression.predict_proba(inputs[held_out]), labels=regression.classes_))

    return min(STRENGTHS, key=loss)


def _fit(inputs: NDArray[np.float32], labels: NDArray[np.int64], strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1_000).fit(inputs, labels)
