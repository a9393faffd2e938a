"""How well a language model foretells a text: nats a token, and bits a byte, which depend on no tokenizer."""

import math

import numpy as np
from numpy.typing import NDArray

# The columns of `statistics`.
COLUMNS = ("nats", "tokens", "bytes")


def statistics(nats: NDArray[np.float64], tokens: list[int], texts: list[str]) -> NDArray[np.float64]:
    """(n, 3) the summed losses of each text's tokens, and how many tokens and bytes it has."""
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    return np.asarray([nats, tokens, sizes], dtype=np.float64).T.reshape(-1, len(COLUMNS))


def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Nats a token and bits a byte from (..., 3) sums over texts -> (...) each."""
    sums = np.asarray(sums, dtype=np.float64)
    return {
        "nats_per_token": sums[..., 0] / sums[..., 1],
        "bits_per_byte": sums[..., 0] / math.log(2) / sums[..., 2],
    }
