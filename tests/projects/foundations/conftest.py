"""Pictures of the lessons go to a temporary folder."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from projects.foundations import lessons

    monkeypatch.setattr(lessons, "PICTURES", tmp_path / "pictures")
    return tmp_path / "pictures"
