"""One model, three ways to hold it: adapters on the base, merged, and loaded again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from common.models.causal import Causal, answers_with, padded
from common.models.lora import FOLDER, Adapters, merged, save_adapters, with_adapters, without_adapters
from common.system.errors import UserError
from tests.common.models.test_causal import prompts

END = 2
ADAPTERS = Adapters(rank=4, alpha=8, dropout=0.0, targets="all-linear", origin="tiny")


@pytest.fixture(scope="module")
def adapted(tiny_chat_model: Path) -> Any:
    """A model whose adapters are random, so that they change its answers."""
    plain: Any = LlamaForCausalLM.from_pretrained(tiny_chat_model)
    answers_with(plain, END, 24, END)
    model = with_adapters(plain, ADAPTERS)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert ".lora_" in name and parameter.dtype == torch.float32
            parameter.data.normal_(std=0.08)
    return model.eval()


@pytest.fixture(scope="module")
def saved(adapted: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    merged(adapted).save_pretrained(folder)
    save_adapters(adapted, folder)
    return folder


def test_merged_reloaded_and_adapters_on_the_base_are_one_model(
    adapted: Any, saved: Path, tiny_chat_model: Path
) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_chat_model)
    on_base = PeftModel.from_pretrained(base, saved / FOLDER)
    base.generation_config = adapted.get_base_model().generation_config
    models = [adapted, merged(adapted), AutoModelForCausalLM.from_pretrained(saved), on_base]
    asked = prompts(tiny_chat_model)
    ids, mask = padded(asked, END, left=True)
    with torch.no_grad():
        logits = [model.eval()(input_ids=ids, attention_mask=mask).logits[mask.bool()] for model in models]
        before = AutoModelForCausalLM.from_pretrained(tiny_chat_model)(input_ids=ids, attention_mask=mask)
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=0, atol=1e-5)
    written = [[one.ids for one in Causal(model).write(ids, mask)] for model in models]
    assert written[0] == written[1] == written[2] == written[3] and len(written[0]) == 20
    assert (before.logits[mask.bool()] - logits[0]).abs().max() > 0.1, "adapters that are not loaded would be seen"


def test_what_is_merged_can_be_taken_out_again(saved: Path, tiny_chat_model: Path) -> None:
    model = without_adapters(AutoModelForCausalLM.from_pretrained(saved), saved)
    state = model.state_dict()
    for name, tensor in LlamaForCausalLM.from_pretrained(tiny_chat_model).state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-6)
    assert without_adapters(model, tiny_chat_model) is None


@pytest.mark.parametrize(
    ("forged", "match"),
    [
        ({"r": 1_000_000}, "their rank is not 1000000"),
        ({"target_modules": "((a*)*)*b"}, "is no list"),
        ({"target_modules": ["q_proj"]}, "of another model"),
        ({"lora_alpha": "x"}, "cannot be loaded"),
        (None, "their rank is not 4"),
    ],
)
def test_forged_adapters_are_refused(saved: Path, tmp_path: Path, forged: dict[str, Any] | None, match: str) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    file = tmp_path / FOLDER / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **(forged or {})}))
    if forged is None:
        save_file({}, tmp_path / FOLDER / "adapter_model.safetensors")
    with pytest.raises(UserError, match=match):
        without_adapters(AutoModelForCausalLM.from_pretrained(saved), tmp_path)


def test_what_else_the_configuration_of_adapters_says_counts_for_nothing(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    file = tmp_path / FOLDER / "adapter_config.json"
    more = {"peft_type": "XLORA", "megatron_config": {"a": 1}, "megatron_core": "os.path", "use_rslora": True}
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    states = [
        without_adapters(AutoModelForCausalLM.from_pretrained(saved), folder).state_dict()
        for folder in (saved, tmp_path)
    ]
    assert all(torch.equal(states[0][name], tensor) for name, tensor in states[1].items())


def test_a_base_that_knows_its_name_knows_no_path(saved: Path) -> None:
    assert '"base_model_name_or_path": "tiny"' in (saved / FOLDER / "adapter_config.json").read_text(encoding="utf-8")
    assert sorted(file.name for file in (saved / FOLDER).iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
