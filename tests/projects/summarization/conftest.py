"""Small finished runs of both recipes."""

from pathlib import Path

import pytest

from common.run import Run
from tests.projects.summarization.rows import documents, write_jsonl

PROJECT = Path(__file__).parent.name
FAST = ["--run_name", "tiny", "--global_batch_size", "16", "--precision", "fp32"]


@pytest.fixture(scope="session")
def finished_extract(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run that chooses sentences, read in windows of 32 tokens."""
    from common.fine_tune import fine_tune

    folder = tmp_path_factory.mktemp("extracts")
    file = write_jsonl(folder / "documents.jsonl", documents())
    options = ["--train_file", str(file), "--model", str(tiny_model), "--output_dir", str(folder / "runs"), *FAST]
    fine_tune(PROJECT, [*options, "--epochs", "4", "--learning_rate", "3e-3"])
    return Run(folder / "runs" / PROJECT / "tiny")


@pytest.fixture(scope="session")
def finished_abstract(tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run that writes, with LoRA."""
    from common.fine_tune import fine_tune

    folder = tmp_path_factory.mktemp("abstracts")
    file = write_jsonl(folder / "documents.jsonl", documents(120))
    options = ["--train_file", str(file), "--model", str(tiny_chat_model), "--output_dir", str(folder / "runs"), *FAST]
    options += ["--method", "abstractive", "--instruction", "Be brief.", "--max_length", "128"]
    fine_tune(PROJECT, [*options, "--max_new_tokens", "24", "--epochs", "12", "--learning_rate", "1e-2"])
    return Run(folder / "runs" / PROJECT / "tiny")
