"""Make a BERT classifier read the mean of its tokens, in plain transformers classes.

Sentence encoders such as MiniLM are trained so that the *mean* of their token vectors means something, but
`BertForSequenceClassification` reads the first token through a pooler. One more encoder layer closes the
gap: its attention is uniform, so it writes the mean of all tokens into every token, the first included. The
result is an ordinary checkpoint of the ordinary class with one layer more.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.bert.modeling_bert import BertLayer

# The mean is scaled so far up that the layer's residual connection, which adds the first token itself,
# drowns; the LayerNorm behind it takes the scale out again.
SCALE = 1_000.0
# The pooler starts as tanh(0.3 x): nearly linear for inputs of unit variance, and large enough that the
# learning rate does not turn it over in a few steps.
POOLER = 0.3


class MeanLayer(BertLayer):
    """A layer whose attention is uniform, computed as the mean that it is, and for the first token alone.

    The plain class with the same weights gives the same for that token, which is all that the pooler reads; but it
    takes as long as any other layer. So training is done with this class, and what is saved is the plain one.
    """

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        """(batch, 1, hidden) for (batch, tokens, hidden) and transformers' mask, (batch, 1, tokens, tokens)."""
        values = self.attention.self.value(_mean(hidden_states, attention_mask))  # of the mean: the mean of the values
        attended: Tensor = self.feed_forward_chunk(self.attention.output(values, hidden_states[:, :1]))
        return attended


def _mean(hidden_states: Tensor, attention_mask: Tensor | None) -> Tensor:
    """(batch, 1, hidden) the mean of the tokens that the first one may attend to."""
    if attention_mask is None:
        return hidden_states.mean(dim=1, keepdim=True)
    first = attention_mask[:, 0, :1]  # (batch, 1, tokens): true or zero where it may
    weights = (first if first.dtype == torch.bool else first == 0).to(hidden_states.dtype)
    return weights @ hidden_states / weights.sum(dim=-1, keepdim=True)


def supports(model: nn.Module) -> bool:
    """Whether `add_mean_pooling` knows the model's architecture."""
    return type(model).__name__ == "BertForSequenceClassification"


@torch.no_grad()
def add_mean_pooling(model: Any) -> None:
    """Append the averaging layer and set the pooler to hand its output on, in place.

    Query and key are zero, so every token attends to all tokens alike, and stay so: of two zeros neither has a
    gradient. Value and output are multiples of the identity; the feed-forward part adds zero until training finds a
    use for it.
    """
    bert = model.bert
    size = model.config.hidden_size
    layer = MeanLayer(model.config, layer_idx=len(bert.encoder.layer)).train(model.training)
    layer.load_state_dict(bert.encoder.layer[-1].state_dict())
    feed_forward = layer.intermediate.dense.weight
    for parameter in layer.parameters():
        if parameter is not feed_forward:
            parameter.zero_()
    for unused in (layer.attention.self.query, layer.attention.self.key):
        unused.requires_grad_(False)
    identity = torch.eye(size)
    layer.attention.self.value.weight.copy_(math.sqrt(SCALE) * identity)
    layer.attention.output.dense.weight.copy_(math.sqrt(SCALE) * identity)
    layer.attention.output.LayerNorm.weight.fill_(1.0)
    layer.output.LayerNorm.weight.fill_(1.0)
    bert.encoder.layer.append(layer)
    model.config.num_hidden_layers += 1
    bert.pooler.dense.weight.copy_(POOLER * identity)
    bert.pooler.dense.bias.zero_()
