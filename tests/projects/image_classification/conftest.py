"""Folders of drawn pictures."""

from pathlib import Path

import pytest

from tests.conftest import draw_pictures


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    draw_pictures(tmp_path / "shapes", 60)
    return tmp_path / "shapes"


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A folder with train/, val/ and Test/."""
    for seed, (name, count) in enumerate({"train": 30, "val": 9, "Test": 9}.items()):
        draw_pictures(tmp_path / "split" / name, count, seed)
    return tmp_path / "split"
