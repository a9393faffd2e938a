"""A run's folder: what is where, written so that nothing is half there, and read without believing it.

A run may come from somebody else. Every path of a run is made here: it lies in the run's folder, and no link below that
folder is followed, neither to read, nor to publish, nor to write.
"""

import contextlib
import errno
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from common.config import Config, is_folder_name, load, refuse_another, save
from common.system.errors import UserError, nearest
from common.system.files import read_json, sha256
from common.system.private_paths import folders_of, without_folders, without_folders_in_command

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = (
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "evaluate",
    "scikit-learn",
    "numpy",
    "tokenizers",
    "safetensors",
)

NEAREST_ROWS = "rows.jsonl"
BASELINE_ROWS = "training_rows.json"
# Seconds in which a lock is tried again: whoever held it may have removed its file since it was opened.
LOOK_TWICE = 0.2


@dataclass(frozen=True)
class Run:
    """Paths of one run."""

    folder: Path

    @classmethod
    def of(cls, config: Config, project: str) -> "Run":
        return cls(Path(config.output_dir) / project / str(config.run_name))

    def inside(self, name: str) -> Path:
        """The path of a part of the run, which need not be there.

        Raises UserError where the name leads out of the run's folder, a link stands on the way, or something is there
        that is neither file nor folder: whoever reads a pipe or a device waits for ever.
        """
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or "\\" in name or PurePosixPath(name).is_absolute():
            raise UserError(f"{self.folder} names a file {name!r} outside of it: do not use this run.")
        path = self.folder
        for part in parts:
            path = path / part
            if path.is_symlink():
                raise UserError(f"{path} is a link, and none is followed in a run: put the file itself there.")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UserError(f"{path} is no regular file: remove it.")
        return path

    def files(self, name: str) -> list[Path]:
        """The files below a folder of the run, in order; none where there is no such folder.

        Raises UserError where one is a link, or no regular file.
        """
        folder = self.inside(name)
        below = [self.inside(path.relative_to(self.folder).as_posix()) for path in sorted(folder.rglob("*"))]
        return [path for path in below if path.is_file()]

    @property
    def config(self) -> Path:
        return self.inside("config.yaml")

    @property
    def manifest(self) -> Path:
        return self.inside("manifest.json")

    @property
    def model(self) -> Path:
        return self.inside("model")

    @property
    def baseline(self) -> Path:
        return self.inside("baseline")

    @property
    def neighbours(self) -> Path:
        """Vectors of training rows that answers are held against; they are not pushed with the model."""
        return self.inside("neighbours")

    @property
    def nearest_rows(self) -> Path:
        """These rows themselves, for a demo to show; they are published only where that is asked for."""
        return self.inside(f"neighbours/{NEAREST_ROWS}")

    @property
    def baseline_rows(self) -> Path:
        """Training rows without which the baseline has no answer, if there are any; published as `nearest_rows` are."""
        return self.inside(f"baseline/{BASELINE_ROWS}")

    @property
    def inputs(self) -> Path:
        """Inputs of single test rows, where words cannot show them."""
        return self.inside("inputs")

    def input(self, row_id: str) -> Path | None:
        """The file that shows the input of a test row, if there is one."""
        return next((file for file in self.files("inputs") if file.stem == input_name(row_id)), None)

    @property
    def corrections(self) -> Path:
        """What visitors of the demo corrected."""
        return self.inside("corrections.jsonl")

    @property
    def card(self) -> Path:
        return self.inside("README.md")

    @property
    def metrics(self) -> Path:
        return self.inside("metrics.jsonl")

    @property
    def predictions(self) -> Path:
        return self.inside("predictions.jsonl")

    @property
    def results(self) -> Path:
        return self.inside("results.json")

    @property
    def report(self) -> Path:
        return self.inside("report.html")

    @property
    def picture(self) -> Path:
        """The picture of the result, for previews of links, the card and a Space."""
        return self.inside("picture.png")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training this run; the folder that runs are kept in is there from here on.

        The lock is a file beside the run's folder, and the kernel drops it with the process, however that ends.
        What was made for it is removed again. A file system that cannot lock files is no obstacle: filelock makes a
        file that names the process instead where it can, and otherwise the run goes on as if it were alone.
        Raises UserError where another process has it, OSError where nothing can be written.
        A finished run is only shown, and shall be where nothing can be written, too.
        """
        if self.results.exists():
            yield
            return
        parent = self.folder.parent
        made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
        parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(parent / f".{self.folder.name}.lock")
        try:
            lock.acquire(timeout=LOOK_TWICE)
        except Timeout as error:
            raise UserError(
                f"{self.folder} is being trained by another process: wait for it, or choose another --run_name."
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        try:
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()
            for folder in made:
                with contextlib.suppress(OSError):  # there is something in it
                    folder.rmdir()

    def is_taken(self) -> bool:
        """Whether another process trains this run."""
        file = self.folder.parent / f".{self.folder.name}.lock"
        if not file.exists():
            return False
        try:
            with FileLock(file, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def check_free(self, config: Config) -> None:
        """Raise UserError where the folder holds something that this configuration must not touch."""
        if not self.folder.exists() or not any(self.folder.iterdir()):
            return
        for path in self.folder.iterdir():
            self.inside(path.name)
        self.files("checkpoints")
        if not self.config.exists():
            raise UserError(f"{self.folder} holds files that are no run: choose another --run_name or --output_dir.")
        if config.resume == "never":
            raise UserError(
                f"{self.folder} already holds a run: choose another --run_name, "
                "or leave out --resume never to go on with it."
            )
        refuse_another(f"{self.folder} holds", load(type(config), self.config).identity(), config.identity())

    def is_free(self, config: Config) -> bool:
        """Whether a training with this configuration may begin here, or go on."""
        try:
            self.check_free(config)
        except UserError:
            return False
        return True

    def open(self, config: Config) -> None:
        """Make the folder and write the resolved configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save(config, self.config)


def input_name(row_id: str) -> str:
    """The name, without suffix, of the file in `inputs` that belongs to a row."""
    return hashlib.sha256(row_id.encode()).hexdigest()[:16]


def latest(project: str | None, output_dir: str = "runs") -> Path:
    """The run whose results are newest.  Raises UserError where there is none."""
    found = sorted(Path(output_dir).glob(f"{project or '*'}/*/results.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(
            f"there is no finished run in {output_dir}/{project or ''}: `kit train {project or 'PROJECT'}` makes one."
        )
    return found[-1].parent


def find_run(name: str | None, output_dir: str = "runs") -> Path:
    """The folder of a run, which may be named by its path, as `project/name`, by its name alone or by its project.

    A project's latest run, or without a name the latest of all, is that whose results are newest.
    Raises UserError where there is none, or where several projects have a run of that name.
    """
    if name is None:
        return latest(None, output_dir)
    runs = [file.parent for file in sorted(Path(output_dir).glob("*/*/config.yaml"))]
    given = Path(name)
    for folder in (given, Path(output_dir) / given):
        if (folder / "config.yaml").is_file():
            return folder
    if len(named := [run for run in runs if run.name == name]) > 1:
        raise UserError(f"there are several runs {name}: name one, as in {named[0]} or {named[1]}.")
    if named:
        return named[0]
    project = given if given.parent == Path(output_dir) else Path(output_dir) / given
    if any(run.parent == project for run in runs):
        return latest(project.name, output_dir)
    if given.is_dir():
        return given
    close = nearest(name, [name for run in runs for name in (str(run), run.name)])
    raise UserError(f"there is no run {name}{close}: `kit list` shows them.")


def vouched_files(run: Run) -> list[Path]:
    """The files that results, curves and the demo's answers depend on; the manifest holds the sha256 of each."""
    files = sorted(file for folder in ("model", "baseline", "neighbours", "inputs") for file in run.files(folder))
    return [run.predictions, run.metrics, *files]


def weights_sha256(run: Run) -> str:
    """One sha256 for all weights of a run's model: of its file, or of the list of those of several."""
    weights = [file for file in run.files("model") if file.suffix == ".safetensors"]
    sums = {file.relative_to(run.model).as_posix(): sha256(file) for file in weights}
    if len(sums) == 1:
        return next(iter(sums.values()))
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def check_vouched(run: Run) -> list[Path]:
    """The vouched files of a finished run, each with the content that was measured.

    Raises UserError where one is missing, another, or not known to the manifest.
    """
    vouched = read_json(run.manifest).get("files", {})
    files = {file.relative_to(run.folder).as_posix(): file for file in vouched_files(run)}
    for name in sorted(files.keys() | vouched.keys()):
        if name not in vouched:
            raise UserError(f"{run.folder} holds {name}, which does not belong to what was measured: remove it.")
        if name not in files or not files[name].is_file() or sha256(files[name]) != vouched[name]:
            problem = f"{name} of {run.folder} is not the file that was measured"
            raise UserError(f"{problem}: `kit evaluate {run.folder}` measures the run again.")
    return list(files.values())


@contextlib.contextmanager
def understood(*folders: Path) -> Iterator[None]:
    """Read what the files of these runs hold.

    Raises UserError where that lacks what is read, or is something else: another version of the kit wrote it, or
    somebody forged it.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        which = f"{'one of ' * (len(folders) > 1)}{', '.join(map(str, folders))}"
        reason = f"{which} comes from another version of the kit ({type(error).__name__}: {str(error)[:200]})"
        raise UserError(f"{reason}: `kit evaluate {folders[-1]}` measures it again.") from error


def project_of(results: dict[str, Any]) -> str:
    """The project that results say they are of.  Raises UserError where that is no name of a folder."""
    project = results.get("project")
    if not isinstance(project, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", project):
        raise UserError(f"the results say that they are of the project {project!r}, which is no name of one.")
    return project


def run_name_of(results: dict[str, Any]) -> str:
    """The name that results say their run has.  Raises UserError where no folder can be called so."""
    name = results.get("run")
    if not isinstance(name, str) or not is_folder_name(name):
        raise UserError(f"the results say that their run is called {name!r}, which is no name of one.")
    return name


def published(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """Results and manifest of a finished run as anybody may read them: no folder of this machine is named."""
    manifest = read_json(run.manifest)
    folders = folders_of(manifest["config"])
    return for_visitors(read_json(run.results), folders), for_visitors(manifest, folders)


def for_visitors(document: dict[str, Any], folders: list[str]) -> dict[str, Any]:
    """Results or manifest without these folders; what users wrote stays as it is."""
    about_files = ("config", "data", "model", "failed")
    cleaned = {key: without_folders(document[key], folders) for key in about_files if key in document}
    if "command" in document:
        cleaned["command"] = without_folders_in_command(document["command"], folders)
    return document | cleaned


def provenance(config: Config) -> dict[str, Any]:
    """Code, packages and options: what one needs to make the run again."""
    return {
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain")),
        "packages": {name: version(name) for name in PACKAGES},
        "config": asdict(config),
    }


def _git(*arguments: str) -> str:
    asked = subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=False)
    return asked.stdout.strip()
