"""A small finished run."""

from pathlib import Path

import pytest

from common.run import Run
from tests.conftest import once
from tests.projects.semantic_search.rows import menus, write_jsonl

PROJECT = Path(__file__).parent.name


@pytest.fixture(scope="session")
@once
def finished_search_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on 250 queries for 125 documents."""
    from common.fine_tune import fine_tune

    folder = tmp_path_factory.mktemp("search")
    file = write_jsonl(folder / "menus.jsonl", menus())
    options = ["--train_file", str(file), "--model", str(tiny_model), "--output_dir", str(folder / "runs")]
    options += ["--run_name", "tiny", "--epochs", "30", "--learning_rate", "1e-2", "--precision", "fp32"]
    fine_tune(PROJECT, [*options, "--global_batch_size", "32", "--evaluate_every", "50"])
    return Run(folder / "runs" / PROJECT / "tiny")
