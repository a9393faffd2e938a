"""Learning rates that fall towards the input, decay of matrices alone, and which modules train."""

import dataclasses
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from common.config import Config
from common.training.optimizer import depths, make_optimizer, train_mode, unfreeze

CONFIG = Config(train_file="none", learning_rate=1e-3, head_learning_rate=1e-2, layer_decay=0.5, weight_decay=0.1)
HEAD = ("classifier",)


def bert() -> nn.Module:
    sizes: dict[str, Any] = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "num_hidden_layers": 3}
    return transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=20, **sizes))


def resnet() -> nn.Module:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 16], depths=[1, 2, 1], layer_type="basic")
    return transformers.ResNetForImageClassification(config)


def efficientnet() -> nn.Module:
    config = transformers.EfficientNetConfig(
        image_size=32,
        width_coefficient=0.1,
        depth_coefficient=0.1,
        hidden_dim=128,
        in_channels=[8, 8, 16],
        out_channels=[8, 16, 16],
        kernel_sizes=[3, 3, 3],
        strides=[1, 2, 1],
        num_block_repeats=[1, 1, 1],
        expand_ratios=[1, 2, 2],
        depthwise_padding=[],
        initializer_range=0.3,
    )
    return transformers.EfficientNetForImageClassification(config)


def vit() -> nn.Module:
    sizes: dict[str, Any] = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "num_hidden_layers": 3}
    return transformers.ViTForImageClassification(transformers.ViTConfig(image_size=16, patch_size=8, **sizes))


# (model, a parameter before the first layer, the layers' name, one after the last)
MODELS = {
    "BERT": (bert, "bert.embeddings.word_embeddings.weight", "bert.encoder.layer.", "bert.pooler.dense.weight"),
    "ResNet": (resnet, "resnet.embedder.embedder.convolution.weight", "resnet.encoder.stages.", "classifier.1.weight"),
    "EfficientNet": (
        efficientnet,
        "efficientnet.embeddings.convolution.weight",
        "efficientnet.encoder.blocks.",
        "efficientnet.encoder.top_conv.weight",
    ),
    "ViT": (vit, "vit.embeddings.patch_embeddings.projection.weight", ".layer", "vit.layernorm.weight"),
}


@pytest.mark.parametrize("name", MODELS)
def test_depths_count_from_the_output_to_the_input(name: str) -> None:
    make, before, layers, after = MODELS[name]
    found = depths(make())
    names = list(found)
    assert found[before] == 2 and found[after] == 0
    assert {found[one] for one in names if layers in one} == {0, 1, 2}
    assert list(found.values()) == sorted(found.values(), reverse=True), "never rising towards the output"


def test_a_model_without_a_list_of_layers_has_one_depth() -> None:
    assert set(depths(nn.Linear(3, 3)).values()) == {0}


def groups(model: nn.Module, **options: object) -> dict[str, tuple[float, float]]:
    """{parameter: (peak rate, weight decay)}"""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model, HEAD, dataclasses.replace(CONFIG, **options), "cpu")
    found = {
        names[id(p)]: (group["peak"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_rates_fall_towards_the_input_and_the_heads_stays(name: str) -> None:
    make, before, _, _ = MODELS[name]
    model = make()
    depth, found = depths(model), groups(model)
    assert found.keys() == depth.keys()
    for parameter, (rate, _) in found.items():
        assert rate == pytest.approx(1e-2 if parameter.startswith("classifier") else 1e-3 * 0.5 ** depth[parameter])
    assert found[before][0] == pytest.approx(2.5e-4)
    assert {rate for rate, _ in groups(model, layer_decay=1.0).values()} == {1e-3, 1e-2}
    assert max(rate for rate, _ in groups(model, head_learning_rate=None).values()) == 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_only_matrices_decay(name: str) -> None:
    model = MODELS[name][0]()
    shapes = {parameter: tensor.ndim for parameter, tensor in model.named_parameters()}
    found = groups(model)
    assert all(decay == (0.1 if shapes[parameter] >= 2 else 0.0) for parameter, (_, decay) in found.items())
    assert {decay for _, decay in found.values()} == {0.0, 0.1}


def test_frozen_parameters_are_not_given_to_the_optimizer() -> None:
    model = vit()
    names = {name for name, _ in model.named_parameters()}
    unfreeze(model, names, HEAD)
    assert groups(model).keys() == {"classifier.weight", "classifier.bias"}
    unfreeze(model, names)
    assert len(groups(model)) == len(list(model.parameters()))


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def test_batch_norm_alone_stays_in_eval_mode_unless_its_weights_are_random() -> None:
    model = efficientnet()
    model.eval()
    train_mode(model, keep_statistics=True)
    assert len(norms(model)) > 5 and not any(module.training for module in norms(model))
    assert all(module.training for module in model.modules() if module not in norms(model)), "dropout among them"
    assert all(parameter.requires_grad for parameter in model.parameters()), "its weight and bias are trained"
    train_mode(model, keep_statistics=False)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("make", [resnet, efficientnet])
def test_gradients_do_not_depend_on_the_micro_batch(make: Any) -> None:
    """1 x 32 and 4 x 8; with BatchNorm in training mode they would differ widely."""
    torch.manual_seed(0)
    model = make()
    for module in model.modules():  # what is drawn at random is another matter
        if isinstance(module, nn.Dropout) or "Dropout" in type(module).__name__:
            module.forward = lambda hidden: hidden
    pictures, labels = torch.randn(32, 3, 32, 32) * torch.linspace(0.2, 3, 32).view(-1, 1, 1, 1), torch.arange(32) % 2

    model.train()
    with torch.no_grad():
        for _ in range(10):  # statistics that fit the weights, as pretrained ones do
            model(pixel_values=pictures)

    def gradient(size: int) -> torch.Tensor:
        model.zero_grad()
        for part in range(0, 32, size):
            logits = model(pixel_values=pictures[part : part + size]).logits
            (nn.functional.cross_entropy(logits, labels[part : part + size], reduction="sum") / 32).backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    def difference() -> float:
        whole, cut = gradient(32), gradient(8)
        return float((whole - cut).norm() / whole.norm())

    train_mode(model, keep_statistics=True)
    assert difference() < 1e-5
    model.train()
    assert difference() > 1e-2, "the comparison can fail"
