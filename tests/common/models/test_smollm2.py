"""The chat model that arrives by pip: complete, with its template, and it still knows what it knew."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from common.models.causal import Causal, answers_with, check_head, padded
from common.models.chat import ChatTemplate
from common.models.pretrained import pretrained
from common.models.tokenizer import load_chat_tokenizer
from common.models.weights import load_model


@pytest.fixture(scope="module")
def folder() -> Path:
    return pretrained("starter:smollm2-135m-instruct").folder


@pytest.mark.slow
def test_it_answers_as_it_learned_to(folder: Path) -> None:
    model = load_model(AutoModelForCausalLM, folder)
    assert model.config.tie_word_embeddings and sum(p.numel() for p in model.parameters()) == 134_515_008
    template = ChatTemplate(load_chat_tokenizer(folder), "smollm2")
    assert template.tokenizer.model_max_length == 8_192
    answers_with(model, template.turn_end, 24, template.turn_end)
    causal = Causal(model)
    check_head(causal, "smollm2")
    (chat,) = template.encode([[{"role": "user", "content": "What is the capital of France?"}]], 1_000)
    assert "You are a helpful AI assistant named SmolLM" in template.tokenizer.decode(chat.prompt)
    (said,) = causal.write(*padded([chat.prompt], template.turn_end, left=True))
    assert template.tokenizer.decode(said.ids) == "The capital of France is Paris." and said.stopped
