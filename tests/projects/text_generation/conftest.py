"""A small finished run."""

from pathlib import Path

import pytest

from common.run import Run
from tests.projects.text_generation.rows import answered, write_jsonl

PROJECT = Path(__file__).parent.name


@pytest.fixture(scope="session")
def finished_chat_run(tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with LoRA on 240 sentences whose answers are JSON."""
    from common.fine_tune import fine_tune

    folder = tmp_path_factory.mktemp("chats")
    file = write_jsonl(folder / "answered.jsonl", answered())
    options = ["--train_file", str(file), "--model", str(tiny_chat_model), "--output_dir", str(folder / "runs")]
    options += ["--answer_format", "json", "--answer_field", "about", "--max_length", "96", "--max_new_tokens", "24"]
    options += [
        "--run_name",
        "tiny",
        "--epochs",
        "3",
        "--learning_rate",
        "1e-2",
        "--global_batch_size",
        "16",
        "--precision",
        "fp32",
    ]
    fine_tune(PROJECT, [*options, "--system_prompt", "Answer."])
    return Run(folder / "runs" / PROJECT / "tiny")
