"""Make a BERT classifier read the mean of its tokens, in plain transformers classes.

Sentence encoders such as MiniLM are trained so that the *mean* of their token vectors means something, but
`BertForSequenceClassification` reads the first token through a pooler. One more encoder layer closes the
gap: its attention is uniform, so it writes the mean of all tokens into every token, the first included. The
result is an ordinary checkpoint of the ordinary class with one layer more.
"""

import copy
import math
from typing import Any

import torch
from torch import nn

# The mean is scaled so far up that the layer's residual connection, which adds the first token itself,
# drowns; the LayerNorm behind it takes the scale out again.
SCALE = 1_000.0
# The pooler starts as tanh(0.3 x): nearly linear for inputs of unit variance, and large enough that the
# learning rate does not turn it over in a few steps.
POOLER = 0.3


def supports(model: nn.Module) -> bool:
    """Whether `add_mean_pooling` knows the model's architecture."""
    return type(model).__name__ == "BertForSequenceClassification"


@torch.no_grad()
def add_mean_pooling(model: Any) -> None:
    """Append the averaging layer and set the pooler to hand its output on, in place.

    Query and key are zero, so every token attends to all tokens alike; value and output are multiples of
    the identity; the feed-forward part adds zero until training finds a use for it.
    """
    bert = model.bert
    size = model.config.hidden_size
    layer = copy.deepcopy(bert.encoder.layer[-1])
    layer.attention.self.layer_idx = len(bert.encoder.layer)
    feed_forward = layer.intermediate.dense.weight
    for parameter in layer.parameters():
        if parameter is not feed_forward:
            parameter.zero_()
    identity = torch.eye(size)
    layer.attention.self.value.weight.copy_(math.sqrt(SCALE) * identity)
    layer.attention.output.dense.weight.copy_(math.sqrt(SCALE) * identity)
    layer.attention.output.LayerNorm.weight.fill_(1.0)
    layer.output.LayerNorm.weight.fill_(1.0)
    bert.encoder.layer.append(layer)
    model.config.num_hidden_layers += 1
    bert.pooler.dense.weight.copy_(POOLER * identity)
    bert.pooler.dense.bias.zero_()
