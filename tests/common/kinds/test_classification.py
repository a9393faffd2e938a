"""What counts as new in a pretrained classifier."""

import pytest
from torch import nn

from common.kinds.classification import Classification

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
PICTURES = {**SMALL, "image_size": 16, "patch_size": 8}


def models() -> dict[str, nn.Module]:
    import transformers as t

    halves = {"vision_config": PICTURES, "text_config": {**SMALL, "vocab_size": 50}}
    gpt = {"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2}
    return {
        "siglip": t.SiglipForImageClassification(t.SiglipConfig(**halves)),
        "clip": t.CLIPForImageClassification(t.CLIPConfig(**halves)),
        "vit": t.ViTForImageClassification(t.ViTConfig(**PICTURES)),
        "resnet": t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
        ),
        "bert": t.BertForSequenceClassification(t.BertConfig(vocab_size=50, **SMALL)),
        "gpt2": t.GPT2ForSequenceClassification(t.GPT2Config(**gpt)),
    }


HEADS = {
    "siglip": "classifier.",
    "clip": "classifier.",
    "vit": "classifier.",
    "resnet": "classifier.",
    "bert": "classifier.",
    "gpt2": "score.",
}


@pytest.mark.parametrize("name", HEADS)
def test_the_head_is_what_follows_the_pretrained_part(name: str) -> None:
    model = models()[name]
    head = Classification.head(None, model)  # type: ignore[arg-type]
    assert {
        prefix for prefix in head if any(parameter.startswith(prefix) for parameter, _ in model.named_parameters())
    } == {HEADS[name]}
