"""Attention in plain products is that of PyTorch, in values and gradients."""

import copy

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel

from common.models import attention
from common.models.attention import LONGEST, PLAIN, leave_dropout_out, products, use_plain_attention
from common.system.errors import UserError
from common.system.hardware import autocast


@pytest.mark.parametrize("kind", ["none", "seen", "added"])
def test_plain_products_are_the_fused_attention_in_value_and_gradient(kind: str) -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(2, 3, 7, 8, requires_grad=True) for _ in range(3)]
    seen = torch.ones(2, 1, 7, 7, dtype=torch.bool).tril()
    seen[0, :, :, 0] = False  # its first token is padding, which sees nothing
    mask = {"none": None, "seen": seen, "added": torch.randn(2, 1, 7, 7)}[kind]
    counts = torch.ones(2, 1, 7, 1)
    counts[0, :, 0] = kind != "seen"

    def with_gradients(values: Tensor) -> list[Tensor]:
        return [values * counts, *torch.autograd.grad((values * counts).square().sum(), tensors)]

    ours = with_gradients(products(*tensors, mask, 8**-0.5))
    theirs = with_gradients(torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=mask))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of tokens of each attention that is computed in plain products."""
    tokens: list[int] = []

    def noted(*arguments: Tensor) -> Tensor:
        tokens.append(arguments[0].shape[2])
        return products(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(attention, "products", noted)
    return tokens


def test_a_model_trains_with_it_in_bf16_and_is_otherwise_as_it_was(taken: list[int]) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    fused = LlamaModel(config).train()
    plain = copy.deepcopy(fused)
    use_plain_attention(plain)
    assert plain.config._attn_implementation == PLAIN and PLAIN not in plain.config.to_json_string()
    ids = torch.randint(50, (2, 9))
    for mask in (torch.ones_like(ids), torch.ones_like(ids).index_fill(1, torch.tensor([0, 1]), 0)):
        gradients = []
        for model in (fused, plain):
            with autocast(torch.device("cpu"), "bf16"):
                read = model(input_ids=ids, attention_mask=mask).last_hidden_state
            model.zero_grad()
            (read.float() * mask[..., None]).square().sum().backward()
            gradients.append({name: one.grad for name, one in model.named_parameters()})
        for name, ours in gradients[1].items():
            off = (ours - gradients[0][name]).norm() / gradients[0][name].norm()
            assert off < 0.03, name
    assert taken == [9, 9]
    plain(input_ids=ids)  # fp32
    with torch.no_grad(), autocast(torch.device("cpu"), "bf16"):
        plain(input_ids=ids)
    with autocast(torch.device("cpu"), "bf16"):
        plain(input_ids=torch.randint(50, (1, LONGEST + 1)))
    assert taken == [9, 9]


def test_dropout_of_attention_weights_is_left_out_and_other_dropout_is_not() -> None:
    def difference(**dropout: float) -> Tensor:
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4, **dropout
        )
        model = torch.nn.ModuleDict({"inner": BertModel(config)}).train()
        leave_dropout_out(model)
        ids = torch.randint(50, (2, 9))
        return model["inner"](ids).last_hidden_state - model["inner"](ids).last_hidden_state

    assert difference(attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0).abs().max() == 0
    assert difference(attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.5).abs().max() > 0
    with pytest.raises(UserError, match="leave --attention_dropout"):
        leave_dropout_out(torch.nn.Linear(2, 2))
