"""A small finished run."""

import json
from pathlib import Path

import pytest

from common.run import Run
from tests.conftest import once
from tests.projects.question_answering.rows import questions

PROJECT = Path(__file__).parent.name


@pytest.fixture(scope="session")
@once
def finished_question_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on 400 questions; a few contexts are longer than a window."""
    from common.fine_tune import fine_tune

    folder = tmp_path_factory.mktemp("questions")
    rows = questions(400)
    for row in rows[::20]:
        row["context"] += " the a is was very today here" * 8
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = ["--train_file", str(file), "--model", str(tiny_model), "--output_dir", str(folder / "runs")]
    options += ["--run_name", "tiny", "--validation_fraction", "0.2", "--epochs", "14", "--precision", "fp32"]
    options += ["--learning_rate", "3e-3", "--head_learning_rate", "3e-3", "--global_batch_size", "16"]
    fine_tune(PROJECT, [*options, "--max_length", "48"])
    return Run(folder / "runs" / PROJECT / "tiny")
