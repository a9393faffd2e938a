"""Pretrained models: pinned, safetensors only."""

import ast
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from common.data.packages import Archive
from common.models.pretrained import MODELS, StarterModel, pretrained
from common.models.weights import load_model
from common.predictor import Predictor
from common.run import Run
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

    monkeypatch.setattr(
        "huggingface_hub.HfApi.model_info",
        lambda self, model, revision=None: SimpleNamespace(sha=f"commit of {revision}" if revision else "newest"),
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return asked


def test_the_newest_commit_is_looked_up_and_recorded(hub: dict[str, Any]) -> None:
    assert pretrained("some/model").reference == "some/model@newest"
    assert hub["revision"] == "newest"
    assert pretrained("some/model", "v1").reference == "some/model@commit of v1"
    commit = "0123456789" * 4
    assert pretrained("some/model", commit).reference == f"some/model@{commit}"
    assert hub["revision"] == commit
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


def header(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + content


class TestLoading:
    """Each weight is there, from safetensors, or nothing answers."""

    @pytest.fixture
    def folder(self, tiny_model: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(tiny_model, tmp_path / "model"))

    def refused(self, folder: Path, match: str, complete: bool = True) -> None:
        from transformers import AutoModelForSequenceClassification

        with pytest.raises(UserError, match=match):
            load_model(AutoModelForSequenceClassification, folder, complete)

    def test_a_whole_model_is_loaded(self, folder: Path) -> None:
        from transformers import AutoModelForSequenceClassification

        model = load_model(AutoModelForSequenceClassification, folder)
        assert sum(parameter.numel() for parameter in model.parameters()) > 10_000

    @pytest.mark.parametrize("complete", [True, False])
    @pytest.mark.parametrize(
        ("weights", "match"),
        [
            (header(b"{}"), "are missing, or are of another model|lacks the weights for 100%"),
            (header(b'{"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}') + b"1234", "are missing|lacks"),
            (b"nothing", "cannot be loaded"),
            (b"", "cannot be loaded"),
            (header(b"{}")[:-1], "cannot be loaded"),
        ],
        ids=["no weights", "other weights", "no header", "empty", "half a header"],
    )
    def test_weights_that_are_not_there_are_said(
        self, folder: Path, weights: bytes, match: str, complete: bool
    ) -> None:
        (folder / "model.safetensors").write_bytes(weights)
        self.refused(folder, match, complete)

    def test_one_weight_more_less_or_of_another_shape_is_too_much(self, folder: Path) -> None:
        whole = load_file(folder / "model.safetensors")
        less = {name: weight for name, weight in whole.items() if name != "classifier.bias"}
        for changed in (
            less,
            {**whole, "more": whole["classifier.bias"].clone()},
            {**less, "classifier.bias": torch.ones(7)},
        ):
            save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
            self.refused(folder, "weights of the model in|cannot be loaded")

    def test_a_pretrained_model_may_lack_a_head_but_not_its_layers(self, folder: Path) -> None:
        from transformers import AutoModelForSequenceClassification

        whole = load_file(folder / "model.safetensors")
        backbone = {name: weight for name, weight in whole.items() if not name.startswith("classifier")}
        save_file(backbone, folder / "model.safetensors", metadata={"format": "pt"})
        assert load_model(AutoModelForSequenceClassification, folder, complete=False)
        save_file({f"module.{name}": weight for name, weight in whole.items()}, folder / "model.safetensors")
        self.refused(folder, r"lacks the weights for 100% of a BertForSequenceClassification", complete=False)

    def test_other_formats_are_not_read(self, folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
        self.refused(folder, "cannot be loaded")
        self.refused(folder, "cannot be loaded", complete=False)

    @pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/x.safetensors", "a/b.safetensors", 3])
    def test_an_index_stays_in_its_folder(self, folder: Path, name: object) -> None:
        (folder / "model.safetensors").rename(folder.parent / "secret.safetensors")
        index = {"metadata": {}, "weight_map": {"classifier.bias": name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        self.refused(folder, "names files that are not beside it")
        self.refused(folder, "names files that are not beside it", complete=False)

    @pytest.mark.parametrize("complete", [True, False])
    def test_nothing_beside_the_weights_stands_in_for_them(self, folder: Path, complete: bool) -> None:
        described = json.loads((folder / "config.json").read_text())
        for name in ("adapter_model.bin", "deep/model.safetensors.index.json"):
            (folder / "config.json").write_text(json.dumps({**described, "transformers_weights": name}))
            self.refused(folder, "names a file of weights", complete)
        (folder / "config.json").write_text(json.dumps({**described, "part": {"num_hidden_layers": 10**6}}))
        self.refused(folder, "more than 10,000 layers", complete)
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
        self.refused(folder, "holds an adapter beside the model", complete)

    def test_a_link_is_followed_in_the_cache_of_the_hub_alone(self, folder: Path) -> None:
        from transformers import AutoModelForSequenceClassification

        (folder / "model.safetensors").rename(folder.parent / "blob")
        (folder / "model.safetensors").symlink_to(folder.parent / "blob")
        assert load_model(AutoModelForSequenceClassification, folder, complete=False)
        self.refused(folder, "is a link")


def test_weights_are_those_of_the_manifest(finished_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    weights = load_file(run.model / "model.safetensors")
    weights["classifier.bias"][0] += 1e-3
    save_file(weights, run.model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"the weights of .* are not those that its manifest.json names"):
        Predictor.load(run.folder)


def test_a_cached_starter_is_believed_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("pack/config.json", '{"model_type": "bert"}')
    starter = StarterModel(Archive("pack", "pack.whl", "ab" * 32, 100), "pack", ("config.json",), "me/pack", "mit")
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    monkeypatch.setitem(MODELS, "pack", starter)
    monkeypatch.setattr("common.models.pretrained.fetch", lambda _: found.append("fetched") or content.getvalue())
    folder = pretrained("starter:pack").folder
    assert pretrained("starter:pack").folder == folder and found == ["fetched"]
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    assert json.loads((pretrained("starter:pack").folder / "config.json").read_text()) == {"model_type": "bert"}
    (folder / "adapter_config.json").write_text("{}")
    pretrained("starter:pack")
    assert not (folder / "adapter_config.json").exists() and len(found) == 3
