"""A tokenizer to which every text of a user is text, and which knows how much its model can read."""

from pathlib import Path
from typing import Any

from common.models.weights import check_files
from common.system.errors import UserError


def load_tokenizer(source: Path, **options: Any) -> Any:
    """The tokenizer of a model's folder.

    What looks like one of its signs (`</s>`, `[SEP]`) is text where it stands in a text, also in plain transformers
    once the tokenizer is saved. Its `model_max_length` is no more than the model has positions for.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, split_special_tokens=True, **options)
    return _within_positions(_without_signs_in_texts(tokenizer), source)


def load_chat_tokenizer(source: Path) -> Any:
    """The tokenizer of a chat model's folder: its template writes the signs, so the texts in a chat must have none.

    Its `model_max_length` is no more than the model has positions for.
    """
    from transformers import AutoTokenizer

    return _within_positions(AutoTokenizer.from_pretrained(source, trust_remote_code=False), source)


def _within_positions(tokenizer: Any, source: Path) -> Any:
    # Where its files are missing, transformers makes one that knows no word.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise UserError(f"{source} holds no vocabulary (as in tokenizer.json): get the model's files again.")
    tokenizer.model_max_length = min(tokenizer.model_max_length, most_tokens(source) or tokenizer.model_max_length)
    return tokenizer


def most_tokens(source: Path) -> int | None:
    """The longest input that the model of a folder can read; None where it has no limit of its own.

    Position embeddings say it: RoBERTa and its relatives begin to count behind the padding's, BART's hold two more.
    Models without any say how far they were trained. Raises UserError where `check_files` does.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    check_files(source)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    stated = getattr(config, "max_position_embeddings", None)
    limits = [stated] if stated and stated > 0 else []  # XLNet says -1
    with torch.device("meta"):  # the layers without their weights
        model = AutoModel.from_config(config, trust_remote_code=False)
    for name, module in model.named_modules():
        last = name.split(".")[-1]
        if isinstance(module, torch.nn.Embedding) and ("pos" in last or last == "wpe"):
            taken = getattr(module, "offset", 0) if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - taken)
    return min(limits, default=None)


def read_part(text: str, tokenizer: Any) -> str:
    """The beginning of the text that the model reads: the rest is cut when the text is encoded.

    All of it where the tokenizer, one in Python, does not say where its tokens stand.
    """
    tokens = len(tokenizer(text, truncation=False, verbose=False)["input_ids"])
    if tokens <= tokenizer.model_max_length or not tokenizer.is_fast:
        return text
    offsets = tokenizer(text, truncation=True, return_offsets_mapping=True)["offset_mapping"]
    return text[: max(end for _, end in offsets)]


def unknown_id(tokenizer: Any) -> int | None:
    """The token that stands for what the vocabulary lacks; None where there is none that means this alone."""
    unknown: int | None = tokenizer.unk_token_id
    others = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.pad_token_id)
    return None if unknown in others else unknown


def _without_signs_in_texts(tokenizer: Any) -> Any:
    """The tokenizer with a blank put into its signs where a text holds them, if `split_special_tokens` is not enough.

    It is not for vocabularies that hold the signs as whole pieces, such as those of SentencePiece.
    """
    from tokenizers import Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    if not tokenizer.is_fast:
        return tokenizer
    taken = [sign for sign in tokenizer.all_special_tokens if len(sign) > 1 and _is_taken_for_one(tokenizer, sign)]
    if not taken:
        return tokenizer
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    steps = [normalizers.Replace(sign, f"{sign[0]} {sign[1:]}") for sign in taken]
    backend.normalizer = normalizers.Sequence([*steps, *([backend.normalizer] if backend.normalizer else [])])
    special = {name: value for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    sides = {name: getattr(tokenizer, name) for name in ("model_max_length", "padding_side", "truncation_side")}
    # A class of its own, such as T5Tokenizer, would make its normalizer anew when it is loaded.
    return PreTrainedTokenizerFast(tokenizer_object=backend, split_special_tokens=True, **special, **sides)


def _is_taken_for_one(tokenizer: Any, sign: str) -> bool:
    """Whether a sign that stands in a text becomes the token of this sign."""
    number = tokenizer.convert_tokens_to_ids(sign)
    return number != tokenizer.unk_token_id and number in tokenizer(sign, add_special_tokens=False)["input_ids"]
