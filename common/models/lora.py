"""Low-rank adapters (LoRA, Hu et al. 2021): small matrices beside frozen ones, and one model of both.

Paper: https://arxiv.org/abs/2106.09685
"""

import copy
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from common.system.errors import UserError

# Below the folder of a model whose weights hold the adapters already.
FOLDER = "adapter"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
# In the name of the tensor of an adapter whose first side is its rank.
DOWN = re.compile(r"\.lora_(embedding_)?A\b")


@dataclass(frozen=True)
class Adapters:
    """What peft is told.

    Attributes:
        rank: columns of the small matrices.
        alpha: their product is scaled by alpha / rank.
        dropout: share of their inputs that is left out while training.
        targets: the layers that get some: `all-linear`, or the ends of their names.
        origin: the name of the model that they belong to.
        kind: peft's name for what the model does.
    """

    rank: int
    alpha: int
    dropout: float
    targets: str | list[str]
    origin: str
    kind: str = "CAUSAL_LM"


def as_options_say(plain: Any, config: Any, source: Path, kind: str) -> Any:
    """A model from the folder `source`, made ready to train as the options of a language model say."""
    from common.models.attention import use_plain_attention

    use_plain_attention(plain)
    if config.gradient_checkpointing:
        plain.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if config.tuning == "full":
        return plain
    targets = config.lora_targets if config.lora_targets == "all-linear" else config.lora_targets.split()
    origin = source.name if Path(config.model).is_dir() else config.model
    rank, alpha, dropout = config.lora_rank, config.lora_alpha, config.lora_dropout
    return with_adapters(plain, Adapters(rank, alpha, dropout, targets, origin, kind))


def with_adapters(model: Any, adapters: Adapters) -> Any:
    """The model frozen, with adapters that change nothing yet; these alone are trained, in fp32."""
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=adapters.rank,
        lora_alpha=adapters.alpha,
        lora_dropout=adapters.dropout,
        target_modules=adapters.targets,
        task_type=adapters.kind,
    )
    with _without_warnings():
        wrapped = get_peft_model(model, config)
    wrapped.peft_config["default"].base_model_name_or_path = adapters.origin
    for layer in wrapped.modules():
        if isinstance(layer, LoraLayer):
            # autocast makes what they read bf16 again: a detour through fp32 costs time and memory alone.
            layer.cast_input_dtype_enabled = False
    return wrapped


def size_without_adapters(model: nn.Module) -> int:
    """How many parameters a model has that are not its adapters'."""
    return sum(parameter.numel() for name, parameter in model.named_parameters() if ".lora_" not in name)


def merged(model: Any) -> Any:
    """A copy of the model whose own weights hold the adapters; the model itself if it has none."""
    return copy.deepcopy(model).merge_and_unload() if hasattr(model, "merge_and_unload") else model


def save_both(model: Any, folder: Path) -> None:
    """Write one model of weights and adapters, and below it the adapters alone."""
    merged(model).save_pretrained(folder)
    save_adapters(model, folder)


def save_adapters(model: Any, folder: Path) -> None:
    """Write the adapters, if there are any, into a folder below that of the model."""
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(folder / FOLDER, save_embedding_layers=False)
        (folder / FOLDER / "README.md").unlink(missing_ok=True)  # an empty form


def without_adapters(model: Any, folder: Path) -> Any | None:
    """A model, given the folder that it was loaded from, changed into what it was before its adapters were merged.

    None, and the model as it is, where it has none. Raises UserError where they are damaged, or of another kind.
    """
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from peft.tuners.lora import LoraLayer
    from safetensors.torch import load_file

    source = folder / FOLDER
    if not (source / WEIGHTS).is_file():
        return None
    try:
        tensors = load_file(source / WEIGHTS)
        config = LoraConfig(**_plain_options(source / CONFIG, tensors))
        with _without_warnings():
            wrapped = get_peft_model(model, config)
            found: Any = set_peft_model_state_dict(wrapped, tensors)
    except Exception as error:  # what the files make other libraries raise is written nowhere
        raise UserError(f"the adapters in {source} cannot be loaded ({error}): get the run's files again.") from error
    if odd := [*found.unexpected_keys, *(name for name in found.missing_keys if DOWN.search(name))]:
        raise UserError(f"the adapters in {source} are those of another model ({odd[0]}): get the run's files again.")
    for layer in wrapped.modules():
        if isinstance(layer, LoraLayer):
            layer.scaling = {name: -scale for name, scale in layer.scaling.items()}
    return wrapped.merge_and_unload()


def _plain_options(file: Path, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """What `with_adapters` decides of a saved configuration; the rest could name modules, or ask for any memory.

    Raises ValueError where the tensors are of another rank.
    """
    saved = json.loads(file.read_text(encoding="utf-8"))
    options = {name: saved[name] for name in ("r", "lora_alpha", "target_modules")}
    if {tensor.shape[0] for name, tensor in tensors.items() if DOWN.search(name)} != {options["r"]}:
        raise ValueError(f"their rank is not {options['r']}")
    if not isinstance(options["target_modules"], list):  # a text is a pattern, which may take for ever
        raise ValueError("target_modules is no list")
    return options


@contextmanager
def _without_warnings() -> Iterator[None]:
    """peft asks transformers by a name that is going away."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
