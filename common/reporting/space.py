"""A folder that is a whole Hugging Face Space: the demo, the model, the evidence, and the code that they use.

Docs: https://huggingface.co/docs/hub/spaces-config-reference (front matter), /spaces-sdks-gradio.
"""

import re
import shutil
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import yaml

from common.reporting.card import licence
from common.reporting.report import template_folders
from common.reporting.wording import sentence
from common.run import REPOSITORY, Run, for_visitors
from common.system.errors import UserError
from common.system.files import read_json, whole_folder, without_paths, write_json
from common.system.source import KIT, imports, used_modules

# The demo never trains, and reads no rows.
SKIPPED = re.compile(r"common\.(training|fine_tune|verify|new|cli|reporting\.space)\b|.*\.(rows|starter_data)$")
SECRET = re.compile(r"\bhf_[A-Za-z0-9]{20,}\b")

APP = '''"""The demo of a fine-tuned model; the evidence is in its tab "How good is it?"."""

from pathlib import Path

from apps.{project} import build
from apps.parts.server import launch
from common.predictor import Predictor

demo = build(Predictor.load(Path(__file__).parent / "run"))

if __name__ == "__main__":
    launch(demo)
'''


def write_space(folder: Path, target: Path) -> Path:
    """Write the Space of a run into an empty or missing folder.  Raises UserError where that cannot be."""
    run, target = Run(folder), target.resolve()
    if not run.results.exists():
        raise UserError(f"{folder} is no finished run: `kit list` shows those that are.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty: name a folder that does not exist yet.")
    project = read_json(run.results)["project"]
    if not (REPOSITORY / "apps" / f"{project}.py").exists():
        raise UserError(f"there is no demo apps/{project}.py: a Space needs one.")
    start = (f"apps.{project}", "apps.parts.server", "common.predictor", f"projects.{project}.task")
    modules = used_modules(*start, skip=lambda name: bool(SKIPPED.match(name)))
    with whole_folder(target) as draft:
        _copy_code(modules, project, draft)
        _copy_run(run, draft / "run")
        (draft / "app.py").write_text(APP.format(project=project), encoding="utf-8")
        packages = "".join(f"{line}\n" for line in requirements(modules))
        (draft / "requirements.txt").write_text(packages, encoding="utf-8")
        (draft / "README.md").write_text(_readme(run), encoding="utf-8")
        _refuse_secrets(draft)
    return target


def push_space(folder: Path, name: str) -> str:
    """Upload a Space's folder, and return its address.  Raises UserError without a token, or where the Hub refuses."""
    import httpx2
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if not get_token():
        raise UserError("there is no token to upload with: run `hf auth login` first, or set HF_TOKEN.")
    try:
        api = HfApi()
        address = api.create_repo(name, repo_type="space", space_sdk="gradio", exist_ok=True)
        api.upload_folder(repo_id=name, repo_type="space", folder_path=folder)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError, httpx2.HTTPError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"the Hub did not take {name} ({reason}): the folder {folder} is ready to be uploaded by hand."
        ) from error
    return str(address)


def requirements(modules: dict[str, Path]) -> list[str]:
    """`name==version` of the packages that the modules import, as they are installed here."""
    distributions = packages_distributions()
    top = {used.split(".")[0] for name, file in modules.items() for used in imports(file, name)}
    # huggingface's libraries load these two by name.
    used = {
        name
        for name in top | {"safetensors", "tokenizers"}
        if name in distributions and name not in KIT and name not in sys.stdlib_module_names
    }
    return sorted(
        {f"{distributions[name][0].lower()}=={version(distributions[name][0]).partition('+')[0]}" for name in used}
    )


def _copy_code(modules: dict[str, Path], project: str, target: Path) -> None:
    """The modules, and the templates that draw the evidence."""
    for file in modules.values():
        place = target / file.relative_to(REPOSITORY)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    for folder in template_folders(project):
        if folder.is_dir():
            shutil.copytree(folder, target / folder.relative_to(REPOSITORY), dirs_exist_ok=True)
    shutil.copyfile(REPOSITORY / "LICENSE", target / "LICENSE")


def _copy_run(run: Run, target: Path) -> None:
    """Model, best baseline and evidence, without the paths of this machine."""
    target.mkdir()
    measured = [
        name for name in read_json(run.manifest)["files"] if name not in (run.predictions.name, run.metrics.name)
    ]
    for name in [*measured, *(f"plots/{file.name}" for file in (run.folder / "plots").glob("*.svg"))]:
        if not (run.folder / name).is_file():
            raise UserError(
                f"{run.folder / name} is missing: `kit evaluate {run.folder}` writes what belongs to a run again."
            )
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.folder / name, target / name)
    for file in (run.results, run.manifest):
        write_json(target / file.name, for_visitors(read_json(file)))
    options = yaml.safe_load(run.config.read_text(encoding="utf-8"))
    (target / "config.yaml").write_text(
        yaml.safe_dump(without_paths(options), sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    shutil.copyfile(run.card, target / "README.md")


def _readme(run: Run) -> str:
    """The Space's own README: what Hugging Face reads, and the result in one sentence."""
    results, manifest = read_json(run.results), read_json(run.manifest)
    title = results["task"]["title"]
    front = {
        "title": f"{title}: {results['run']}"[:60],
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "python_version": "3.12",
        "app_file": "app.py",
        "pinned": False,
        "license": licence(manifest),
        "short_description": f"{title}, with its evidence"[:60],
    }
    metadata = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    pointer = "The demo's tabs hold the evidence; run/README.md is the model card."
    return f"---\n{metadata}---\n\n{sentence(results)}\n\n{pointer}\n"


def _refuse_secrets(folder: Path) -> None:
    """Raise UserError where a text file of the Space holds a token or a path of this machine."""
    private = [str(path) for path in (Path.home(), REPOSITORY) if path != Path("/")]
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".safetensors"):
        text = file.read_text(encoding="utf-8", errors="replace")
        if SECRET.search(text):
            raise UserError(
                f"{file.relative_to(folder)} holds something like a Hugging Face token: remove it from the run first."
            )
        if leak := next((path for path in private if f"{path}/" in text), None):
            raise UserError(
                f"{file.relative_to(folder)} holds a path of this machine ({leak}): report this, nothing was written."
            )
