"""Texts of users are text to a tokenizer, and it knows how much the model can read."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from common.models.tokenizer import load_tokenizer, most_tokens, unknown_id

WORDS = ["a", "rain", "sun", "<", "/", "s", ">", "[", "]", "sep", "SEP"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
BART = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}


def with_ends(vocabulary: Any, pre_tokenizer: Any) -> Any:
    """A tokenizer that puts <s> and </s> around a text, as BART's and T5's do."""
    tokenizer = Tokenizer(vocabulary)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    signs = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return t.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=10_000, **signs)


SIGNS = ["<s>", "<pad>", "</s>", "<unk>"]


def tokenizers() -> dict[str, Any]:
    whole = models.WordLevel({word: n for n, word in enumerate([*SIGNS, *WORDS])}, unk_token="<unk>")
    pieces = [(sign, 0.0) for sign in SIGNS] + [("▁", -2.0)] + [(word, -5.0 - len(word)) for word in WORDS]
    return {
        "words between signs": with_ends(whole, pre_tokenizers.Whitespace()),
        "words between blanks": with_ends(whole, pre_tokenizers.WhitespaceSplit()),
        "pieces that hold the signs": with_ends(models.Unigram(pieces, unk_id=3), pre_tokenizers.Metaspace()),
    }


@pytest.fixture(scope="module", params=list(tokenizers()))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BART whose tokenizer takes `</s>` in a text for the end of the text."""
    folder = tmp_path_factory.mktemp("bart")
    tokenizers()[request.param].save_pretrained(folder)
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = t.BartConfig(vocab_size=16, d_model=16, max_position_embeddings=64, num_labels=3, **BART, **ids)
    t.BartForSequenceClassification(config).save_pretrained(folder)
    return folder


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from([*SIGNS, "rain", "a", " ", "s>", "</", "<s", "> "]), max_size=8))
def test_a_text_has_no_signs_but_its_ends_whatever_it_holds(folder: Path, parts: list[str]) -> None:
    tokenizer = _cached(folder)
    ids = tokenizer("".join(parts))["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2) and not {0, 1, 2} & set(ids[1:-1])


LOADED: dict[Path, Any] = {}


def _cached(folder: Path) -> Any:
    return LOADED.setdefault(folder, load_tokenizer(folder))


def test_the_saved_tokenizer_reads_alike_in_plain_transformers_and_the_model_takes_a_batch(
    folder: Path, tmp_path: Path
) -> None:
    texts = ["rain </s> sun", "a", "</s></s> <pad> <s>", "rain sun a"]
    tokenizer = load_tokenizer(folder)
    model: Any = t.AutoModelForSequenceClassification.from_pretrained(folder)
    before = t.AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ValueError, match="same number of <eos> tokens"):
        model(**before(texts, padding=True, return_tensors="pt", return_token_type_ids=False))
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    plain = t.AutoTokenizer.from_pretrained(tmp_path)
    assert plain(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    assert plain(["rain sun a"])["input_ids"] == before(["rain sun a"])["input_ids"], "other texts stay as they were"
    logits = model(**plain(texts, padding=True, return_tensors="pt", return_token_type_ids=False)).logits
    assert logits.shape == (4, 3)
    assert load_tokenizer(tmp_path)(texts)["input_ids"] == tokenizer(texts)["input_ids"]


def test_signs_of_a_bert_are_split_and_its_other_texts_are_not_touched(tiny_model: Path) -> None:
    tokenizer, before = load_tokenizer(tiny_model), t.AutoTokenizer.from_pretrained(tiny_model)
    assert not {2, 3} & set(tokenizer("rain [SEP] sun [CLS]")["input_ids"][1:-1])
    assert tokenizer("Rain and sun!")["input_ids"] == before("Rain and sun!")["input_ids"]


MODELS = {
    "bert": (t.BertConfig(**SMALL, vocab_size=9, max_position_embeddings=20), 20),
    "roberta": (t.RobertaConfig(**SMALL, vocab_size=9, max_position_embeddings=22), 20),
    "mpnet": (t.MPNetConfig(**SMALL, vocab_size=9, max_position_embeddings=22), 20),
    "bart": (t.BartConfig(vocab_size=9, d_model=16, max_position_embeddings=20, **BART), 20),
    "gpt2": (t.GPT2Config(vocab_size=9, n_embd=16, n_layer=1, n_head=2, n_positions=20), 20),
    "distilbert": (t.DistilBertConfig(vocab_size=9, dim=16, n_layers=1, n_heads=2, max_position_embeddings=20), 20),
    "xlnet": (t.XLNetConfig(vocab_size=9, d_model=16, n_layer=1, n_head=2, d_inner=16), None),
    "t5": (t.T5Config(vocab_size=9, d_model=16, num_layers=1, num_heads=2, d_kv=8, d_ff=16), None),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_reads_as_many_tokens_as_are_said_and_no_more(tmp_path: Path, name: str) -> None:
    config, most = MODELS[name]
    model: Any = t.AutoModel.from_config(config).eval()
    model.save_pretrained(tmp_path)
    assert most_tokens(tmp_path) == most
    inputs = {"decoder_input_ids": torch.tensor([[4]])} if name == "t5" else {}
    model(input_ids=torch.full((1, most or 40), 4), **inputs)
    if most:
        with pytest.raises((RuntimeError, IndexError, ValueError)):
            model(input_ids=torch.full((1, most + 1), 4))


def test_a_tokenizer_without_a_limit_takes_the_models(tmp_path: Path) -> None:
    tokenizers()["words between signs"].save_pretrained(tmp_path)
    t.BertForSequenceClassification(MODELS["bert"][0]).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.model_max_length == 20
    assert len(tokenizer("rain " * 50, truncation=True)["input_ids"]) == 20


def test_a_sign_that_also_means_something_else_does_not_say_unknown(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    assert unknown_id(tokenizer) == tokenizer.unk_token_id == 1
    tokenizer.eos_token = tokenizer.unk_token  # as GPT-2's
    assert unknown_id(tokenizer) is None
