"""The weights of a model's folder: each is there, from safetensors, or there is no model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from common.system.errors import UserError

if TYPE_CHECKING:
    from torch import nn

# Share of a pretrained model's own parameters that may start at random, such as a pooler that it never had.
NEW = 0.1
# No model has so many: making them takes minutes, and all memory, before the first weight is read.
LAYERS = 10_000


def auto(name: str) -> Any:
    """One of transformers' Auto classes, which are not imported before a model is wanted."""
    import transformers

    return getattr(transformers, name)


def load_model(
    auto_class: Any, folder: Path, complete: bool = True, links: bool = False, **options: Any
) -> "nn.Module":
    """The model of a folder by one of transformers' Auto classes, from safetensors alone.

    A fine-tuned model is `complete`: each weight is there in its shape, and nothing beside. A pretrained one may lack a
    head, which then starts at random; if it has to be complete, too, its files may still be `links`, as those of the
    Hub's cache are. `options` go to `from_pretrained`.
    Raises UserError where weights are missing or damaged, or where files of the folder lead out of it.
    """
    check_files(folder)
    if complete and not links and (found_links := [path for path in folder.iterdir() if path.is_symlink()]):
        raise UserError(f"{found_links[0]} is a link, and none is followed in a run: put the file itself there.")
    options |= {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    try:
        model, found = auto_class.from_pretrained(folder, trust_remote_code=False, **options)
    except Exception as error:  # what the files make other libraries raise is written nowhere
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"the model in {folder} cannot be loaded ({reason}): get its files again.") from error
    new = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    if complete and (odd := sorted(new | set(found["unexpected_keys"]))):
        problem = f"{len(odd):,} weights of the model in {folder} are missing, or are of another model ({odd[0]})"
        raise UserError(f"{problem}: get its files again, or train anew.")
    if (share := _share(model, new)) > NEW:
        raise UserError(
            f"{folder} lacks the weights for {share:.0%} of a {type(model).__name__}, which would start at random: "
            "choose another model, or give --pretrained false."
        )
    return model


def model_of(auto_class: Any, source: Path, pretrained: bool = True) -> Any:
    """The whole model of a folder in fp32; without `pretrained` one of its kind, with random weights.

    Raises UserError as `load_model` does.
    """
    import torch
    from transformers import AutoConfig

    if pretrained:
        return load_model(auto_class, source, links=True, dtype=torch.float32)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    return auto_class.from_config(config, trust_remote_code=False)


def _share(model: Any, names: set[str]) -> float:
    """The share of parameters that these are of the pretrained part of a model, which every task of its kind has."""
    prefix = f"{model.base_model_prefix}."
    parameters = dict(model.named_parameters())
    own = {name: one for name, one in parameters.items() if name.startswith(prefix)} or parameters
    size = {name: one.numel() for name, one in own.items()}
    return sum(number for name, number in size.items() if name in names) / max(1, sum(size.values()))


def check_files(folder: Path) -> None:
    """Raise UserError where transformers would take weights from elsewhere than the folder's own *.safetensors, or
    make layers for ever.

    An adapter beside the weights would be added to them, and what they lack would not be noticed.
    """
    if (folder / "adapter_config.json").exists():
        raise UserError(f"{folder} holds an adapter beside the model: merge it into the weights, and remove it.")
    config = described(folder / "config.json")
    if "transformers_weights" in config:
        raise UserError(f"{folder / 'config.json'} names a file of weights: take transformers_weights out of it.")
    if any(layers > LAYERS for layers in _layers(config)):
        raise UserError(f"{folder / 'config.json'} describes more than {LAYERS:,} layers: get the model's files again.")
    for index in folder.glob("*.index.json"):
        files = described(index).get("weight_map")
        if not isinstance(files, dict) or any(Path(str(name)).name != name for name in files.values()):
            raise UserError(f"{index} names files that are not beside it: get the model's files again.")


def _layers(config: dict[str, Any]) -> Iterator[int]:
    """The numbers of layers that a configuration says, of its parts, too."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _layers(value)
        elif isinstance(value, int) and "layer" in name:
            yield value


def described(file: Path) -> dict[str, Any]:
    """What a JSON file of a model says; nothing where it is missing, damaged, or no object."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def head_prefixes(model: "nn.Module") -> tuple[str, ...]:
    """Prefixes of the parameters of a transformers model that lie outside of its pretrained part."""
    base = str(model.base_model_prefix)  # transformers' name of the module that was pretrained
    parameters = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
    if base not in parameters:  # CLIP and its like call the picture's half otherwise than the whole
        base = max(parameters, key=lambda name: parameters[name])
    return tuple(f"{name}." for name in parameters if name != base)


class WithHead:
    """What a task says of a model of transformers with a head of its own; a task has it as a base, or as its recipe.

    Attributes:
        auto_class: the name of transformers' class that loads such a model.
        tokenizer: is saved with the model.
    """

    auto_class: ClassVar[str]
    tokenizer: Any

    def load(self, folder: Path) -> "nn.Module":
        """The fine-tuned model that `save` wrote."""
        return load_model(auto(self.auto_class), folder)

    def save(self, model: "nn.Module", folder: Path) -> None:
        """Write model and tokenizer so that transformers' Auto classes load them."""
        model.save_pretrained(folder)  # type: ignore[operator]
        self.tokenizer.save_pretrained(folder)

    def head(self, model: "nn.Module") -> tuple[str, ...]:
        """Prefixes of the parameters of the head."""
        return head_prefixes(model)
