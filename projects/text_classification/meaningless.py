"""Texts that mean nothing, for the question whether the model notices."""

from collections.abc import Sequence

import numpy as np


def meaningless_texts(texts: Sequence[str], count: int, seed: int) -> dict[str, list[str]]:
    """{kind: `count` texts, or one for each of these}, as long as they are and of their letters and words."""
    random = np.random.default_rng(seed)
    chosen = [texts[index] for index in random.permutation(len(texts))[:count].tolist()]
    letters = sorted({letter for text in texts for letter in text if letter.isalpha()}) or ["x"]
    words = [word for text in texts for word in text.split()]
    return {
        "random letters": [
            "".join(one if one.isspace() else letters[random.integers(len(letters))] for one in text) for text in chosen
        ],
        "letters of each word shuffled": [
            " ".join("".join(random.permutation(list(word))) for word in text.split()) for text in chosen
        ],
        "words of other texts at random": [
            " ".join(words[index] for index in random.integers(len(words), size=len(text.split()))) for text in chosen
        ],
    }
