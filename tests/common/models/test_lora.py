"""One model, three ways to hold it: adapters on the base, merged, and loaded again."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from common.models.causal import Causal, answers_with, padded
from common.models.lora import FOLDER, Adapters, merged, save_adapters, with_adapters, without_adapters
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


def test_a_base_that_knows_its_name_knows_no_path(saved: Path) -> None:
    assert '"base_model_name_or_path": "tiny"' in (saved / FOLDER / "adapter_config.json").read_text(encoding="utf-8")
    assert sorted(file.name for file in (saved / FOLDER).iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
