"""A text in pieces that can be left out: words, or the tokenizer's pieces where a script writes no blanks."""

import itertools
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .words import UNSPACED_SIGN

# A model may have no token at all for an empty text.
NOTHING = " "


def pieces(text: str, processor: Any, most: int) -> list[str]:
    """The text in at most so many pieces, which joined are the text; of a long one neighbours stay together.

    A piece ends with the blanks behind it.
    """
    words = [(match.start(), match.end()) for match in re.finditer(r"\S+", text)]
    tokens = _token_starts(text, processor) if UNSPACED_SIGN.search(text) else []
    cuts = [start for start, _ in words[1:]]
    cuts += [
        place
        for start, end in words
        if UNSPACED_SIGN.search(text, start, end)
        for place in tokens
        if start < place < end
    ]
    cuts = sorted(set(cuts))
    together = -(-(len(cuts) + 1) // most)
    edges = [0, *cuts[together - 1 :: together], len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges) if start < end]


def _token_starts(text: str, processor: Any) -> list[int]:
    """Where the tokens of the text begin."""
    if not processor.is_fast:
        return list(range(len(text)))
    options = {"truncation": False, "add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
    return sorted({start for start, end in processor(text, **options)["offset_mapping"] if end > start})


def kept_texts(parts: list[str], kept: NDArray[np.bool_]) -> list[str]:
    """(m,) the texts in which only the pieces are there that are `kept`, (m, parts)."""
    return ["".join(part for part, here in zip(parts, row, strict=True) if here) or NOTHING for row in kept.tolist()]
