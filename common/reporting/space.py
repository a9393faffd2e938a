"""A folder that is a whole Hugging Face Space: the demo, the model, the evidence, and the code that they use.

Docs: https://huggingface.co/docs/hub/spaces-config-reference (front matter), /spaces-sdks-gradio.
"""

import ast
import re
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions, version
from pathlib import Path

import yaml

from common.reporting.card import base_model, hub_dataset, licence
from common.reporting.markdown import inline
from common.reporting.picture import question
from common.reporting.publish import check_upload, copy, refuse_tokens, upload
from common.reporting.report import template_folders
from common.reporting.wording import sentence
from common.run import REPOSITORY, Run, check_vouched, project_of, published, understood
from common.system.errors import UserError
from common.system.files import read_json, sha256, whole_folder, write_json, write_text
from common.system.source import KIT, imports, used_modules

# The demo never trains, and reads no rows.
SKIPPED = re.compile(
    r"common\.(training|fine_tune|verify|new|cli|reporting\.(space|publish))\b|.*\.(rows|starter_data)$"
)
# A free Space has no GPU. pip prefers the wheels from here, which are a tenth as large; where it has none, PyPI's.
CPU_WHEELS = ("--extra-index-url https://download.pytorch.org/whl/cpu",)
# Where a run lies in a Space, and the folder of the further runs that its demo asks.
MAIN, OTHERS = "run", "others"
# What was written, so that a Space is written again over itself, and over nothing else.
WRITTEN = ".written.json"

APP = '''"""The demo of a fine-tuned model; the evidence is in its tab "Evidence"."""

from pathlib import Path

from apps.{project} import build
from apps.parts.server import launch
from common.predictor import Predictor

here = Path(__file__).parent
demo = build({runs})

if __name__ == "__main__":
    launch(demo)
'''


def write_space(
    folder: Path,
    target: Path,
    allow_tokens: bool = False,
    name: str | None = None,
    training_rows: bool = False,
    others: dict[str, Path] | None = None,
) -> Path:
    """Write the Space of a run into a folder that is empty, missing, or as this function left it.

    `name` is what it will be called on the Hub, whose previews of links then show the run's picture. Training rows,
    those that the demo shows beside an answer and those that the best baseline answers with, are published with
    `training_rows` only. `others` are further runs that the demo asks, by the names that its `build` has for them.

    Raises UserError where that cannot be, or where a file of the run is not the one that was measured.
    """
    run, asked, target = Run(folder), {name: Run(other) for name, other in (others or {}).items()}, target.resolve()
    with understood(folder, *(others or {}).values()):
        project, *further = (_project(one) for one in (run, *asked.values()))
    _check_replaceable(target)
    if not (REPOSITORY / "apps" / f"{project}.py").exists():
        raise UserError(f"there is no demo apps/{project}.py: a Space needs one.")
    _check_asked(project, asked)
    tasks = (f"projects.{one}.task" for one in (project, *further))
    start = (f"apps.{project}", "apps.parts.server", "common.predictor", *tasks)
    modules = used_modules(*start, skip=lambda name: bool(SKIPPED.match(name)))
    with understood(folder, *(others or {}).values()), whole_folder(target) as draft:
        _copy_code(modules, project, draft)
        _copy_run(run, draft / MAIN, training_rows)
        for of_other, other in asked.items():
            _copy_model(other, draft / OTHERS / of_other)
        write_text(draft / "app.py", APP.format(project=project, runs=_loaded(asked)))
        write_text(draft / "requirements.txt", "".join(f"{line}\n" for line in [*CPU_WHEELS, *requirements(modules)]))
        write_text(draft / "README.md", _readme(run, name))
        refuse_tokens(draft, allow_tokens)
        write_json(draft / WRITTEN, _sums(draft))
    return target


def push_space(folder: Path, name: str, private: bool = False) -> str:
    """Upload a Space's folder, and return its address.  Raises UserError without a token, or where the Hub refuses."""
    check_upload(name)
    return upload(folder, name, "space", private, own=("apps", "common", "projects", MAIN, OTHERS))


def _project(run: Run) -> str:
    if not run.results.is_file():
        raise UserError(f"{run.folder} is no finished run: `kit list` shows those that are.")
    return project_of(read_json(run.results))


def _check_asked(project: str, names: Iterable[str]) -> None:
    """Raise UserError where a project's demo knows no further run of such a name."""
    code = ast.parse((REPOSITORY / "apps" / f"{project}.py").read_text(encoding="utf-8"))
    made = [node.args.args for node in ast.walk(code) if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    known = {argument.arg for arguments in made for argument in arguments}
    if odd := [name for name in names if name not in known]:
        raise UserError(f"the demo of {project} asks no further run: leave --{odd[0]} out.")


def _loaded(others: Iterable[str]) -> str:
    """The arguments of the demo's `build`, as code."""
    further = (f'{name}=Predictor.load(here / "{OTHERS}" / "{name}")' for name in others)
    return ", ".join([f'Predictor.load(here / "{MAIN}")', *further])


def _check_replaceable(target: Path) -> None:
    """Raise UserError where a folder holds anything that `write_space` did not write, or that was changed since."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / WRITTEN).is_file():
        raise UserError(f"{target} is not empty: name a folder that does not exist yet.")
    written = read_json(target / WRITTEN)
    if odd := [name for name, found in _sums(target).items() if written.get(name) != found]:
        raise UserError(f"{odd[0]} in {target} was changed by hand, and would be lost: name another folder.")


def _sums(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a Space but those that running it leaves there."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    sums = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    sums.pop(WRITTEN, None)
    return sums


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


def _copy_run(run: Run, target: Path, training_rows: bool) -> None:
    """Model, best baseline and evidence; a baseline that answers with training rows only where they may be shown."""
    private = {run.predictions}
    if not training_rows:
        private |= {run.nearest_rows, *(run.files("baseline") if run.baseline_rows.exists() else ())}
    pictures = [run.picture] if run.picture.exists() else []
    _copy_files(run, [*(file for file in check_vouched(run) if file not in private), *pictures], target)


def _copy_model(run: Run, target: Path) -> None:
    """What answers, and what says where it comes from."""
    _copy_files(run, [file for file in check_vouched(run) if file.is_relative_to(run.model)], target)


def _copy_files(run: Run, files: list[Path], target: Path) -> None:
    """Files of a run with its card, results and options, without the folders of this machine."""
    results, manifest = published(run)
    for file in [*files, run.card]:
        copy(file, target / file.relative_to(run.folder))
    write_json(target / run.results.name, results)
    write_json(target / run.manifest.name, manifest)
    options = yaml.safe_dump(manifest["config"], sort_keys=False, allow_unicode=True)
    write_text(target / run.config.name, options)


def _readme(run: Run, name: str | None) -> str:
    """The Space's own README: what Hugging Face reads, and the result in one sentence."""
    results, manifest = published(run)
    base, data = base_model(manifest), hub_dataset(manifest)
    front = {
        "title": _short(question(results)),
        "emoji": "📏",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "python_version": "3.12",
        "app_file": "app.py",
        "pinned": False,
        "license": licence(manifest),
        "short_description": _short(f"{results['task']['title']}, with its evidence"),
        "tags": [results["task"]["pipeline_tag"], "fine-tuned"],
        **({"thumbnail": f"https://huggingface.co/spaces/{name}/resolve/main/run/{run.picture.name}"} if name else {}),
        **({"models": [base]} if base else {}),
        **({"datasets": [data]} if data else {}),
    }
    metadata = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    pointer = "The demo's tabs hold the evidence; run/README.md is the model card."
    return f"---\n{metadata}---\n\n{inline(sentence(results))}\n\n{pointer}\n"


def _short(text: str) -> str:
    """At most the 60 characters that a Space's title and description may have."""
    return text if len(text) <= 60 else f"{text[:59].rstrip()}…"
