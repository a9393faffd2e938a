"""Sentences with what they are about, as JSON."""

import json
from pathlib import Path

from tests.conftest import sentences


def answered(count: int = 240, seed: int = 0) -> list[dict[str, str]]:
    """Distinct prompts, each with one of three answers that two of its words tell."""
    return [
        {"prompt": row["text"], "completion": json.dumps({"about": row["label"]})} for row in sentences(count, seed)
    ]


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
