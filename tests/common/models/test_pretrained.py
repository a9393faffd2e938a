"""Pretrained models: pinned, safetensors only."""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.models.pretrained import pretrained
from common.system.errors import UserError
from tests.conftest import REPOSITORY


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """A Hub with one model, whose newest commit is `newest`."""
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
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


def test_a_model_that_brings_its_own_code_is_refused(hub: dict[str, Any]) -> None:
    (hub["folder"] / "config.json").write_text(
        '{"model_type": "sparkling", "auto_map": {"AutoModel": "modeling.Sparkling"}}'
    )
    with pytest.raises(
        UserError,
        match=r"of a kind \(sparkling\) that transformers does not know, and code that comes with a model is never run",
    ):
        pretrained("some/model")


def loading_calls(file: Path) -> Iterator[ast.Call]:
    """The calls that load a model, a configuration, a tokenizer or a processor."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        if name in ("from_pretrained", "from_config"):
            yield node


def test_nothing_that_is_loaded_may_bring_code() -> None:
    folders = ("common", "projects/text_classification", "projects/image_classification", "apps")
    files = [file for folder in folders for file in sorted((REPOSITORY / folder).rglob("*.py"))]
    calls = [ast.unparse(call) for file in files for call in loading_calls(file)]
    assert len(calls) >= 6
    assert [call for call in calls if "trust_remote_code=False" not in call] == []


def test_weights_in_formats_that_can_run_code_are_refused(hub: dict[str, Any]) -> None:
    (hub["folder"] / "model.safetensors").rename(hub["folder"] / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"has no \*\.safetensors weights, and other formats can run code"):
        pretrained("some/model")


def test_a_folder_is_taken_as_it_is(hub: dict[str, Any]) -> None:
    found = pretrained(str(hub["folder"]))
    assert found.folder == hub["folder"] and "revision" not in hub
