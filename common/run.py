"""A run's folder: what is where, written so that nothing is half there."""

import contextlib
import errno
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from common.config import Config, load, refuse_another, save
from common.system.errors import UserError
from common.system.files import without_paths

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

# Seconds in which a lock is tried again: whoever held it may have removed its file since it was opened.
LOOK_TWICE = 0.2


@dataclass(frozen=True)
class Run:
    """Paths of one run."""

    folder: Path

    @classmethod
    def of(cls, config: Config, project: str) -> "Run":
        return cls(Path(config.output_dir) / project / str(config.run_name))

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.json"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def baseline(self) -> Path:
        return self.folder / "baseline"

    @property
    def inputs(self) -> Path:
        """Inputs of single test rows, where words cannot show them."""
        return self.folder / "inputs"

    def input(self, row_id: str) -> Path | None:
        """The file that shows the input of a test row, if there is one."""
        return next(self.inputs.glob(f"{input_name(row_id)}.*"), None)

    @property
    def card(self) -> Path:
        return self.folder / "README.md"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions.jsonl"

    @property
    def results(self) -> Path:
        return self.folder / "results.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

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

    def check_free(self, config: Config) -> None:
        """Raise UserError where the folder holds something that this configuration must not touch."""
        if not self.folder.exists() or not any(self.folder.iterdir()):
            return
        if not self.config.exists():
            raise UserError(f"{self.folder} holds files that are no run: choose another --run_name or --output_dir.")
        if config.resume == "never":
            raise UserError(
                f"{self.folder} already holds a run: choose another --run_name, "
                "or leave out --resume never to go on with it."
            )
        refuse_another(f"{self.folder} holds", load(type(config), self.config).identity(), config.identity())

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


def for_visitors(document: dict[str, Any]) -> dict[str, Any]:
    """Results or manifest without the paths of this machine; what users wrote stays as it is."""
    return {
        key: without_paths(value) if key in ("command", "config", "data", "model") else value
        for key, value in document.items()
    }


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
