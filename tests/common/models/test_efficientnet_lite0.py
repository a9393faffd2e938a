"""Converted weights do what the published ones do: an independent forward pass, known photographs, input numbers."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio
import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoImageProcessor, AutoModelForImageClassification, EfficientNetForImageClassification

from common.data.packages import fetch
from common.models import efficientnet_lite0 as conversions
from common.models import pretrained as starters
from common.models.efficientnet_lite0 import LITE0_WEIGHTS, imagenet_classes
from common.models.pretrained import MODELS, pretrained
from common.system.files import cache_folder

NAME = "efficientnet-lite0"
# Stage by stage (table 1 of https://arxiv.org/abs/1905.11946): blocks, kernel, stride of the first block.
STAGES = [(1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1)]


@pytest.fixture(scope="module")
def folder() -> Path:
    return pretrained(f"starter:{NAME}").folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    loaded = AutoModelForImageClassification.from_pretrained(folder)
    assert isinstance(loaded, EfficientNetForImageClassification)
    return loaded.eval()


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    return AutoImageProcessor.from_pretrained(folder, backend="pil")


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """The state dict as its authors wrote it."""
    with zipfile.ZipFile(io.BytesIO(fetch(MODELS[NAME].archive))) as archive:
        return torch.load(io.BytesIO(archive.read(LITE0_WEIGHTS)), map_location="cpu", weights_only=True)


def tensorflow_same(pixels: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around (batch, channels, height, width) as TensorFlow's "SAME" puts them: an odd one right and below."""
    around: list[int] = []
    for size in (pixels.shape[3], pixels.shape[2]):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        around += [missing // 2, missing - missing // 2]
    return functional.pad(pixels, around)


def torch_same(pixels: Tensor, kernel: int, stride: int) -> Tensor:
    """As many zeros on each side, which is what PyTorch's own EfficientNets are trained with."""
    return functional.pad(pixels, [kernel // 2] * 4)


class Published:
    """EfficientNet-Lite0 from its paper and its state dict, with nothing of transformers."""

    def __init__(self, weights: dict[str, Tensor], pad: Callable[[Tensor, int, int], Tensor] = tensorflow_same):
        self.weights, self.pad = weights, pad

    def convolution(self, x: Tensor, name: str, stride: int = 1, each: bool = False) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return functional.conv2d(
            self.pad(x, weight.shape[2], stride), weight, stride=stride, groups=len(weight) if each else 1
        )

    def normalised(self, x: Tensor, name: str) -> Tensor:
        mean, variance, scale, shift = (
            self.weights[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, scale, shift, eps=1e-3)

    def block(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = x
        if f"{name}._expand_conv.weight" in self.weights:
            y = functional.relu6(self.normalised(self.convolution(y, f"{name}._expand_conv"), f"{name}._bn0"))
        y = functional.relu6(
            self.normalised(self.convolution(y, f"{name}._depthwise_conv", stride, each=True), f"{name}._bn1")
        )
        y = self.normalised(self.convolution(y, f"{name}._project_conv"), f"{name}._bn2")
        return x + y if x.shape == y.shape else y

    def features(self, pixels: Tensor) -> Tensor:
        """(batch, 3, side, side) to (batch, 1280, side / 32, side / 32)."""
        x = functional.relu6(self.normalised(self.convolution(pixels, "_conv_stem", stride=2), "_bn0"))
        number = 0
        for blocks, kernel, first_stride in STAGES:
            for place in range(blocks):
                assert self.weights[f"_blocks.{number}._depthwise_conv.weight"].shape[2] == kernel
                x = self.block(x, f"_blocks.{number}", first_stride if place == 0 else 1)
                number += 1
        return functional.relu6(self.normalised(self.convolution(x, "_conv_head"), "_bn1"))

    def logits(self, features: Tensor) -> Tensor:
        return functional.linear(features.mean(dim=(2, 3)), self.weights["_fc.weight"], self.weights["_fc.bias"])


def photograph(name: str) -> Image.Image:
    """A real photograph from an installed package."""
    if name in ("china.jpg", "flower.jpg"):
        return Image.fromarray(load_sample_image(name))
    if name == "grace_hopper.jpg":
        return Image.open(Path(matplotlib.get_data_path()) / "sample_data" / name)
    return Image.open(Path(gradio.__file__).parent / "media_assets" / "images" / name)


def prepared(processor: Any, name: str) -> Tensor:
    """(1, 3, 224, 224)"""
    return processor(photograph(name), return_tensors="pt")["pixel_values"]


def test_every_tensor_is_set_and_none_is_left_over(folder: Path, published: dict[str, Tensor]) -> None:
    model, report = AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    gates = [name for name in model.state_dict() if ".squeeze_excite." in name]
    assert len(gates) == 16 * 4 and len(model.state_dict()) == len(published) + len(gates)
    assert (
        sum(tensor.numel() for tensor in model.parameters()) - sum(model.state_dict()[name].numel() for name in gates)
        == 4_652_008
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "sums.json",
    ]


@pytest.mark.parametrize("side", [224, 160])
def test_features_and_logits_are_those_of_the_published_weights(
    model: Any, published: dict[str, Tensor], processor: Any, side: int
) -> None:
    pixels = torch.cat(
        [torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)), prepared(processor, "china.jpg")]
    )
    pixels = pixels[:, :, :side, :side]
    original = Published(published)
    with torch.no_grad():
        converted, hidden = model(pixels).logits, model.efficientnet(pixels).last_hidden_state
        features = original.features(pixels)
        logits = original.logits(features)
    assert features.std() > 0.1
    torch.testing.assert_close(hidden, features, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(converted, logits, atol=1e-4, rtol=1e-4)


def test_the_padding_is_the_one_of_tensorflow(model: Any, published: dict[str, Tensor], processor: Any) -> None:
    pixels = prepared(processor, "cheetah1.jpg")
    with torch.no_grad():
        right, shifted = (Published(published, pad) for pad in (tensorflow_same, torch_same))
        ours = model(pixels).logits.softmax(-1)[0, 293]
        theirs, other = (each.logits(each.features(pixels)).softmax(-1)[0, 293] for each in (right, shifted))
    assert abs(ours - theirs) < 1e-4 and abs(ours - other) > 1e-2


@pytest.mark.parametrize(
    ("name", "label", "places"),
    [
        ("cheetah.jpg", "cheetah", 1),
        ("cheetah1.jpg", "cheetah", 1),
        ("lion.jpg", "lion", 1),
        ("china.jpg", "palace", 1),  # the Summer Palace
        ("flower.jpg", "daisy", 1),  # a dahlia, which is no class; both are of the daisy family
        ("grace_hopper.jpg", "military uniform", 5),
    ],
)
def test_known_photographs_get_their_class(model: Any, processor: Any, name: str, label: str, places: int) -> None:
    with torch.no_grad():
        best = model(prepared(processor, name)).logits[0].topk(places).indices
    assert label in {model.config.id2label[number] for number in best.tolist()}


def test_the_input_is_the_middle_of_the_photograph_scaled_as_in_training(processor: Any) -> None:
    assert "torchvision" not in sys.modules
    photo = photograph("flower.jpg")
    width, height = (side * 256 // min(photo.size) for side in photo.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    resized = photo.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + 224, top + 224))
    expected = (np.asarray(resized, dtype=np.float32).transpose(2, 0, 1) - 127) / 128
    np.testing.assert_allclose(processor(photo, return_tensors="np")["pixel_values"][0], expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_photographs_of_every_mode_have_three_channels(processor: Any, mode: str) -> None:
    assert processor(photograph("flower.jpg").convert(mode), return_tensors="np")["pixel_values"].shape == (
        1,
        3,
        224,
        224,
    )


def test_fine_tuning_leaves_the_gates_open_and_the_statistics_slow(folder: Path) -> None:
    tuned = AutoModelForImageClassification.from_pretrained(folder).train()
    tuned(
        torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), labels=torch.tensor([1, 2])
    ).loss.backward()
    gradients = {name: tensor.grad for name, tensor in tuned.named_parameters() if tensor.grad is not None}
    assert all(gradient.any() != (".squeeze_excite." in name) for name, gradient in gradients.items())
    assert {module.momentum for module in tuned.modules() if isinstance(module, nn.BatchNorm2d)} == {0.01, 0.1}


def test_classes_have_the_names_of_imagenet(model: Any) -> None:
    names = imagenet_classes()
    assert [model.config.id2label[number] for number in range(1000)] == names
    assert model.config.label2id["daisy"] == 985 and model.config.num_labels == len(model.config.label2id) == 1000
    assert [names[number] for number in (0, 134, 517, 999)] == [
        "tench",
        "crane (bird)",
        "crane (machine)",
        "toilet paper",
    ]


def test_without_the_names_classes_have_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    config: Any = conversions._lite0_config()
    assert config.num_labels == 1000 and config.id2label[999] == "LABEL_999"


def test_converting_writes_the_same_again_and_draws_no_random_number(folder: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    with zipfile.ZipFile(io.BytesIO(fetch(MODELS[NAME].archive))) as archive:
        conversions.efficientnet_lite0(archive, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert (tmp_path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_starters_are_listed_without_torch() -> None:
    subprocess.run(
        [sys.executable, "-c", "import sys, common.models.pretrained; assert 'torch' not in sys.modules"], check=True
    )


def test_a_conversion_that_stops_leaves_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stops(archive: zipfile.ZipFile, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise RuntimeError("stopped")

    archive = fetch(MODELS[NAME].archive)
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    monkeypatch.setattr(starters, "fetch", lambda _: archive)
    monkeypatch.setattr(conversions, MODELS[NAME].convert, stops)
    with pytest.raises(RuntimeError, match="stopped"):
        pretrained(f"starter:{NAME}")
    assert list((cache_folder() / "models").iterdir()) == []
