"""Tiny models that read a text and write another."""

from pathlib import Path
from typing import Any


def tiny_seq2seq(kind: str, tokenizer_of: Path, folder: Path) -> Path:
    """Write a random T5, or BART, of two layers, with the tokenizer of another tiny model, into an empty folder."""
    import torch
    from tokenizers import processors
    from transformers import (
        AutoTokenizer,
        BartConfig,
        BartForConditionalGeneration,
        PreTrainedTokenizerFast,
        T5Config,
        T5ForConditionalGeneration,
    )

    backend = AutoTokenizer.from_pretrained(tokenizer_of).backend_tokenizer
    start = "<|im_start|> " if kind == "bart" else ""
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start}$A <|im_end|>", special_tokens=[("<|im_start|>", 1), ("<|im_end|>", 2)]
    )
    special = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=128, **special).save_pretrained(folder)
    sizes = {"vocab_size": backend.get_vocab_size(), "d_model": 32}
    ids: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(0)
    if kind == "t5":
        config: Any = T5Config(d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, **sizes, **ids)
        T5ForConditionalGeneration(config).save_pretrained(folder)
        return folder
    both = {"layers": 2, "attention_heads": 4, "ffn_dim": 64}
    halves = {f"{half}_{name}": value for half in ("encoder", "decoder") for name, value in both.items()}
    ids |= {"decoder_start_token_id": 2, "forced_bos_token_id": 1, "forced_eos_token_id": None}
    config = BartConfig(max_position_embeddings=160, init_std=0.3, **halves, **sizes, **ids)
    BartForConditionalGeneration(config).save_pretrained(folder)
    return folder
