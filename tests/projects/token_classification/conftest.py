"""A small finished run."""

import json
from pathlib import Path

import pytest

from common.run import Run
from tests.conftest import once
from tests.projects.token_classification.rows import weather_reports

PROJECT = Path(__file__).parent.name


@pytest.fixture(scope="session")
@once
def finished_entity_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on 320 texts in windows of few tokens."""
    from common.fine_tune import fine_tune

    folder = tmp_path_factory.mktemp("entities")
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in weather_reports(320)), encoding="utf-8")
    options = ["--train_file", str(file), "--model", str(tiny_model), "--output_dir", str(folder / "runs")]
    options += [
        "--run_name",
        "tiny",
        "--validation_fraction",
        "0.25",
        "--epochs",
        "40",
        "--learning_rate",
        "1e-2",
        "--precision",
        "fp32",
    ]
    fine_tune(PROJECT, [*options, "--head_learning_rate", "1e-2"])
    return Run(folder / "runs" / PROJECT / "tiny")
