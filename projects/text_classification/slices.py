"""Parts of a test set that deserve a score of their own, and alterations that should not matter."""

import numpy as np

from common.evaluation.slices import in_thirds

from .words import are_unspaced

# Share of a text's words that get a typing error.
TYPOS = 0.1


def by_length(texts: list[str]) -> dict[str, list[str]]:
    """By length in words; in characters where the texts' script puts no blanks between words."""
    names = ("short", "medium", "long")
    if are_unspaced(texts):
        return {"length": in_thirds(np.asarray([len(text) for text in texts]), names, "characters")}
    return {"length": in_thirds(np.asarray([len(text.split()) for text in texts]), names, "words")}


def perturbed(texts: list[str], seed: int) -> dict[str, list[str]]:
    """The texts with typing errors, in capitals, and in small letters, where that changes any of them."""
    random = np.random.default_rng(seed)
    every = {
        f"typos in {TYPOS:.0%} of the words": [_with_typos(text, random) for text in texts],
        "UPPER CASE": [text.upper() for text in texts],
        "lower case": [text.lower() for text in texts],
    }
    return {name: changed for name, changed in every.items() if changed != texts}


def _with_typos(text: str, random: np.random.Generator) -> str:
    """Swap two neighbouring letters in some words of at least three letters, in one word at least."""
    words = text.split(" ")
    long_enough = [place for place, word in enumerate(words) if len(word) >= 3]
    if not long_enough:
        return text
    for place in random.choice(long_enough, size=max(1, round(TYPOS * len(long_enough))), replace=False):
        at = int(random.integers(len(words[place]) - 1))
        word = words[place]
        words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)
