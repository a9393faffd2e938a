"""Capitals for a tokenizer that makes all letters small: a sign before each, which the vocabulary has already.

Names are known by their capitals, and an uncased encoder never sees any. The tokenizer itself adds the signs, so that
plain transformers reads a text as it was trained on. Offsets stay those of the text: a sign belongs to its letter.
"""

import string
from typing import Any

# Before a capital that begins a word or follows a small letter, and before a word of several.
ONE, SEVERAL = "§", "¶"
CAPITALS = string.ascii_uppercase


def sees_capitals(tokenizer: Any) -> bool:
    """Whether texts that differ in their capitals alone are different texts to it."""
    return bool(tokenizer("Aa A")["input_ids"] != tokenizer("aa a")["input_ids"])


def with_capitals(tokenizer: Any) -> Any:
    """The tokenizer with signs before capitals, as a plain fast tokenizer that saves and loads with them.

    One that sees capitals, or whose vocabulary lacks the signs, is returned as it is.
    """
    from tokenizers import Regex, Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    if sees_capitals(tokenizer) or any(tokenizer.unk_token_id in _ids(tokenizer, sign) for sign in (ONE, SEVERAL)):
        return tokenizer
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    inside = [(rf"(?<=[a-z]){letter}", ONE + letter.lower()) for letter in CAPITALS]  # dataLoader
    several = [(rf"(?<![A-Za-z]){letter}(?=[A-Z])", SEVERAL + letter.lower()) for letter in CAPITALS]  # GPU
    one = [(rf"(?<![A-Za-z]){letter}", ONE + letter.lower()) for letter in CAPITALS]  # Tensor
    steps = [normalizers.Replace(Regex(pattern), content) for pattern, content in [*inside, *several, *one]]
    backend.normalizer = normalizers.Sequence([*steps, backend.normalizer])
    special = {name: value for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    options = {"model_max_length": tokenizer.model_max_length, "padding_side": tokenizer.padding_side}
    return PreTrainedTokenizerFast(tokenizer_object=backend, split_special_tokens=True, **special, **options)


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
