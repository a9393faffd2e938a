"""Uploads to the Hugging Face Hub: of a Space's folder, and of a run's model with its card and its evidence.

Docs: https://huggingface.co/docs/huggingface_hub/guides/upload
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from common.reporting.card import eval_results
from common.run import Run, check_vouched, published, run_name_of, understood
from common.system.errors import UserError
from common.system.files import write_json, write_text

TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}\b")
# Where the Hub looks for results on its data sets.
EVAL_RESULTS = ".eval_results"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_upload(name: str) -> None:
    """Raise UserError where nothing can be uploaded as `name`: without a token, or where it is no USER/NAME."""
    from huggingface_hub import get_token

    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name on the Hub: write USER/NAME.")
    if not get_token():
        raise UserError("there is no token to upload with: run `hf auth login` first, or set HF_TOKEN.")


def push_model(folder: Path, name: str, private: bool = False, allow_tokens: bool = False) -> str:
    """Upload a run's model, with its card, its results and what made them, and return its address.

    Raises UserError without a token, where a file is not the one that was measured, or where the Hub refuses.
    """
    check_upload(name)
    with tempfile.TemporaryDirectory() as draft:
        with understood(folder):
            write_model_repository(Run(folder), Path(draft), name, allow_tokens)
        return upload(Path(draft), name, "model", private, own=())


def write_model_repository(run: Run, target: Path, name: str, allow_tokens: bool = False) -> None:
    """Write the repository of a model into an empty folder: what transformers loads lies at its top."""
    results, manifest = _finished(run)
    inputs = f"{run.inputs.name}/"
    for file in check_vouched(run):
        place = file.relative_to(run.folder).as_posix()
        if place.startswith((f"{run.model.name}/", inputs)):
            copy(file, target / place.removeprefix(f"{run.model.name}/"))
    write_json(target / run.results.name, results)
    write_json(target / run.manifest.name, manifest)
    if run.picture.exists():
        copy(run.picture, target / run.picture.name)
    write_text(target / run.card.name, _card(run, name))
    if measured := eval_results(results, manifest, name):
        (target / EVAL_RESULTS).mkdir()
        content = yaml.safe_dump(measured, sort_keys=False, allow_unicode=True)
        write_text(target / EVAL_RESULTS / f"{run_name_of(results)}.yaml", content)
    refuse_tokens(target, allow_tokens)


def _card(run: Run, name: str) -> str:
    """The card of a run as it stands in the repository of that name."""
    from huggingface_hub import ModelCard

    text = run.card.read_text(encoding="utf-8").replace('model="model"', f'model="{name}"')
    try:
        card = ModelCard(text)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{run.card} begins with metadata that cannot be read ({reason}): `kit report {run.folder}` writes it anew."
        ) from error
    card.data["thumbnail"] = f"https://huggingface.co/{name}/resolve/main/{run.picture.name}"
    return str(card)


def upload(folder: Path, name: str, kind: str, private: bool, own: tuple[str, ...]) -> str:
    """Make the repository if it is missing, put the folder's files there, and return its address.

    What the repository has below the folders in `own`, and this folder has not, is removed there.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        api = HfApi()
        address = api.create_repo(
            name,
            repo_type=kind,
            space_sdk="gradio" if kind == "space" else None,
            private=private or None,  # None: as the account's settings say
            exist_ok=True,
        )
        api.upload_folder(
            repo_id=name,
            repo_type=kind,
            folder_path=folder,
            ignore_patterns=[] if kind == "model" else [".*"],  # whoever tries a Space leaves files there
            delete_patterns=[f"{part}/*" for part in own],
            commit_message="Upload with the kit",
        )
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError, ValueError, httpx2.HTTPError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        remedy = "check that the token may write there (`hf auth whoami`) and the network, then give the command again"
        raise UserError(f"the Hub did not take {name} ({reason}): {remedy}.") from error
    return str(address)


def _finished(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    if not (run.results.is_file() and run.manifest.is_file() and run.card.is_file()):
        raise UserError(f"{run.folder} is no finished run: `kit list` shows those that are.")
    return published(run)


def copy(file: Path, target: Path) -> None:
    """Copy a file's content, and make the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target, follow_symlinks=False)


def refuse_tokens(folder: Path, allowed: bool) -> None:
    """Raise UserError where a file to be published holds this machine's token, or what looks like anybody's.

    What users wrote may look like one and be none: then it is `allowed`.
    """
    from huggingface_hub import get_token

    own = get_token()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".safetensors"):
        text, name = file.read_text(encoding="utf-8", errors="replace"), file.relative_to(folder)
        if own and own in text:
            raise UserError(f"{name} holds your own token: revoke it at https://huggingface.co/settings/tokens.")
        if not allowed and (found := TOKEN.search(text)):
            raise UserError(
                f"{name} holds {found[0][:7]}..., which looks like a Hugging Face token and stands in the texts of the "
                "training or test rows: if it is one, revoke it at https://huggingface.co/settings/tokens, "
                "take it out of your rows and train again; if it is none, add --allow-tokens."
            )
