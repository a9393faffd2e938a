"""Texts that are longer than a model reads: windows that overlap, and each word's answer from one of them."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Of the words of a window: (words, 3) start, end and index in the text, and (words, tags) logits.
Window: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True)
class Cut:
    """A part of a text: its tokens and its words, the ends excluded."""

    first_token: int
    last_token: int
    first_word: int
    last_word: int


def windows_of(first_tokens: list[int], tokens: int, size: int, stride: int) -> list[Cut]:
    """Cuts of at most `size` tokens that overlap by about `stride`; each begins and ends between two words.

    `first_tokens` are the indices of the first token of each word. A word of more tokens than a window has is given
    to the model with the tokens that fit.
    """
    if tokens <= size or len(first_tokens) <= 1:
        return [Cut(0, min(tokens, size), 0, len(first_tokens))]
    ends = [*first_tokens[1:], tokens]
    cuts, word = [], 0
    while True:
        start = first_tokens[word]
        last = word + 1
        while last < len(ends) and ends[last] - start <= size:
            last += 1
        cuts.append(Cut(start, min(ends[last - 1], start + size), word, last))
        if last == len(ends):
            return cuts
        back = last
        while back - 1 > word and ends[last - 1] - first_tokens[back - 1] <= min(stride, size // 2):
            back -= 1
        word = max(back, word + 1)


def best_windows(windows: list[Window]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(words, 2) character spans and (words, tags) logits of a text, each word from the window in which it stands
    furthest from an edge; the edges of the text itself are none.
    """
    words = np.concatenate([of_window for of_window, _ in windows])  # (windows' words, 3)
    logits = np.concatenate([of_window for _, of_window in windows])
    if len(windows) == 1:
        return words[:, :2], logits
    margins = np.concatenate(
        [_margins(len(of_window), index, len(windows)) for index, (of_window, _) in enumerate(windows)]
    )
    order = np.lexsort((-margins, words[:, 2]))  # by word, the best window first
    chosen = order[np.unique(words[order, 2], return_index=True)[1]]
    return words[chosen, :2], logits[chosen]


def _margins(words: int, window: int, windows: int) -> NDArray[Any]:
    """(words,) how many words lie between each word of a window and the nearer one of its inner edges."""
    index = np.arange(words, dtype=np.float64)
    before = np.full(words, np.inf) if window == 0 else index
    after = np.full(words, np.inf) if window == windows - 1 else words - 1 - index
    return np.minimum(before, after)
