"""Losses at the positions that count, and greedy answers: each against plain transformers."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GraniteConfig, GraniteForCausalLM, LlamaForCausalLM

from common.models import causal
from common.models.causal import IGNORED, Causal, answers_with, check_head, check_packing, packed, padded
from common.models.chat import ChatTemplate
from common.models.tokenizer import load_chat_tokenizer
from common.system.errors import UserError
from tests.conftest import sentences

END = 2


@pytest.fixture
def model(tiny_chat_model: Path) -> Causal:
    plain: Any = LlamaForCausalLM.from_pretrained(tiny_chat_model)
    answers_with(plain, END, 24, END)
    return Causal(plain).eval()


def some_batch(seed: int = 0) -> dict[str, torch.Tensor]:
    """Rows of 5 to 12 tokens, of which some count."""
    torch.manual_seed(seed)
    rows = [torch.randint(3, 250, (length,)).tolist() for length in (12, 5, 9)]
    ids, mask = padded(rows, END)
    counts = (torch.rand(ids.shape) < 0.5) & mask.bool()
    counts[:, 0] = False
    labels = ids.masked_fill(~counts, IGNORED)
    targets = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], IGNORED)], dim=1)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, "targets": targets}


def gradients(model: Causal) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_what_is_written_is_decided_by_exact_logits(model: Causal) -> None:
    head, vectors = model.plain.get_output_embeddings(), torch.randn(64, model.plain.config.hidden_size)
    assert head.weight is model.plain.get_input_embeddings().weight or not model.plain.config.tie_word_embeddings
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            written = head(vectors.bfloat16())
        learned = head(vectors.bfloat16())
    assert written.equal(torch.nn.functional.linear(vectors.bfloat16().float(), head.weight))
    assert learned.dtype == torch.bfloat16 and learned.requires_grad and not written.equal(learned.float())


@pytest.mark.parametrize("chunk", [3, 512])
def test_the_chunked_loss_is_the_plain_one_in_value_and_gradient(
    model: Causal, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal, "CHUNK", chunk)
    batch = some_batch()
    labels = batch.pop("labels")
    ours = model(**batch).sum()
    ours.backward()
    found = gradients(model)
    model.zero_grad()
    items = int((batch["targets"] != IGNORED).sum())
    plain = (
        model.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss * items
    )
    plain.backward()
    assert ours.item() == pytest.approx(plain.item(), rel=1e-5)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        assert float(model(**batch).sum()) == pytest.approx(plain.item(), rel=1e-5)
        losses, _ = model.told(**batch)
        assert float(losses.sum()) == pytest.approx(plain.item(), rel=1e-5)


def test_texts_in_one_row_do_not_see_each_other(model: Causal, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    texts = [torch.randint(3, 250, (length,)).tolist() for length in (9, 7, 4, 12, 1, 6)]
    learned = [[at for at in range(1, len(text)) if at % 3] for text in texts]
    batch = packed(texts, learned, limit=16, padding=END)
    assert batch["input_ids"].shape == (3, 16), "39 tokens in three rows: 12 + 4, 9 + 7, 6 + 1"
    assert int((batch["targets"] != IGNORED).sum()) == sum(map(len, learned)), "as many items as alone"

    def vectors(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        (found, _) = model._chosen(ids, ids, position_ids=positions)
        return model._logits(found)

    with torch.no_grad():
        logits = vectors(batch["input_ids"], batch["position_ids"]).view(*batch["input_ids"].shape, -1)
        for text in texts:
            row, at = next(
                (row, at)
                for row, ids in enumerate(batch["input_ids"].tolist())
                for at in range(len(ids) - len(text) + 1)
                if ids[at : at + len(text)] == text and batch["position_ids"][row, at] == 0
            )
            alone = vectors(torch.tensor([text]), torch.arange(len(text))[None])
            torch.testing.assert_close(logits[row, at : at + len(text)], alone, rtol=0, atol=1e-5)
        through = vectors(batch["input_ids"], torch.arange(16).expand(3, 16)).view_as(logits)
    assert (through - logits)[1, 9:].abs().max() > 0.1, "texts that see each other would be seen"
    check_packing(model, "llama")
    monkeypatch.setattr(causal, "packed", lambda *given, **options: {**packed(*given, **options), "position_ids": None})
    with pytest.raises(UserError, match="does not tell texts in one row apart"):
        check_packing(model, "another")


def prompts(folder: Path, count: int = 20) -> list[list[int]]:
    template = ChatTemplate(load_chat_tokenizer(folder), "tiny")
    chats = [[{"role": "user", "content": row["text"]}] for row in sentences(count, seed=3)]
    return [one.prompt for one in template.encode(chats, 1_000)]


def test_answers_in_padded_batches_are_those_of_single_prompts(model: Causal, tiny_chat_model: Path) -> None:
    asked = prompts(tiny_chat_model)
    assert len({len(prompt) for prompt in asked}) > 3, "there is something to pad"
    together = model.write(*padded(asked, END, left=True))
    assert sum(one.stopped for one in together) > 10
    for prompt, found in zip(asked, together, strict=True):
        (alone,) = model.write(*padded([prompt], END, left=True))
        assert (alone.ids, alone.stopped) == (found.ids, found.stopped)
        assert alone.confidence == pytest.approx(found.confidence, abs=1e-4)
        whole = torch.tensor([prompt + found.ids + ([END] if found.stopped else [])])
        with torch.no_grad():
            logits = model.model(whole).logits[0, len(prompt) - 1 : -1]
        log = logits.log_softmax(-1).gather(1, whole[0, len(prompt) :, None]).sum()
        assert found.confidence == pytest.approx(math.exp(float(log)), abs=1e-4)
        best = logits.softmax(-1).topk(2).values
        assert found.gap == pytest.approx(float((best[:, 0] - best[:, 1]).min()), abs=1e-4)


def test_an_answer_is_right_when_told_exactly_where_it_is_written(model: Causal, tiny_chat_model: Path) -> None:
    asked = prompts(tiny_chat_model)
    written = model.write(*padded(asked, END, left=True))
    for number, (prompt, found) in enumerate(zip(asked, written, strict=True)):
        answer = [*found.ids, END] if found.stopped else list(found.ids)
        wrong = list(answer)
        wrong[number % len(wrong)] ^= 1
        for right, same in ((answer, True), (wrong, False)):
            ids = torch.tensor([prompt + right])
            targets = torch.full_like(ids, IGNORED)
            targets[0, len(prompt) - 1 : -1] = ids[0, len(prompt) :]
            _, said = model.told(ids, targets, torch.ones_like(ids))
            assert (said.tolist() == right) is same


def test_an_answer_that_is_broken_off_says_so(model: Causal, tiny_chat_model: Path) -> None:
    for found in model.write(*padded(prompts(tiny_chat_model, 4), END, left=True), max_new_tokens=2):
        assert len(found.ids) == 2 and not found.stopped


def test_a_model_that_does_more_than_its_head_is_refused(model: Causal) -> None:
    check_head(model, "llama")
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    granite = GraniteForCausalLM(GraniteConfig(vocab_size=32, num_key_value_heads=2, logits_scaling=8.0, **size))
    with pytest.raises(UserError, match="changes its logits"):
        check_head(Causal(granite), "granite")
