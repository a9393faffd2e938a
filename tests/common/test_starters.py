"""Pretrained models: pinned, safetensors only."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import UserError
from common.starters import pretrained


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """A Hub with one model, whose newest commit is `newest`."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    asked: dict[str, Any] = {"folder": tmp_path}

    def snapshot_download(model: str, revision: str, **options: Any) -> str:
        asked.update(model=model, revision=revision, **options)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda self, model: SimpleNamespace(sha="newest"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return asked


def test_the_newest_commit_is_looked_up_and_recorded(hub: dict[str, Any]) -> None:
    assert pretrained("some/model").reference == "some/model@newest"
    assert hub["revision"] == "newest"
    assert pretrained("some/model", "abc").reference == "some/model@abc"
    assert hub["revision"] == "abc"
    assert not [pattern for pattern in hub["allow_patterns"] if pattern.endswith((".bin", ".py", ".pt", ".pkl"))]


def test_weights_in_formats_that_can_run_code_are_refused(hub: dict[str, Any]) -> None:
    (hub["folder"] / "model.safetensors").rename(hub["folder"] / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"has no \*\.safetensors weights, and other formats can run code"):
        pretrained("some/model")


def test_a_folder_is_taken_as_it_is(hub: dict[str, Any]) -> None:
    found = pretrained(str(hub["folder"]))
    assert found.folder == hub["folder"] and "revision" not in hub
