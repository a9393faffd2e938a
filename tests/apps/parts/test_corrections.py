"""The file that corrections are kept in."""

import dataclasses
from pathlib import Path

import pytest

from apps.parts.corrections import Corrections
from apps.parts.inputs import LIMITS
from common.system.errors import UserError


def test_the_file_of_corrections_has_an_end(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path / "corrections.jsonl", dataclasses.replace(LIMITS, corrections_bytes=100))
    with pytest.raises(UserError, match="full"):
        for _ in range(20):
            corrections.add({"text": "some words"})
    assert (tmp_path / "corrections.jsonl").stat().st_size <= 100
