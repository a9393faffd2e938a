"""Exercises of lesson 6.  Fill in the functions, then run `kit learn 06 --check`."""

from collections.abc import Iterable

from torch import Tensor


def window_mask(time: int, width: int) -> Tensor:
    """Causal, and no farther back than `width` places, its own included.

    (time, time), True where the row may look at the column.
    """
    raise NotImplementedError


def additive_scores(query: Tensor, key: Tensor, w_query: Tensor, w_key: Tensor, v: Tensor) -> Tensor:
    """Bahdanau, Cho and Bengio's score of each query for each key, v · tanh(query w_query + key w_key).

    query (batch, queries, size), key (batch, keys, size), w_query and w_key (size, hidden), v (hidden,)
    -> (batch, queries, keys)
    """
    raise NotImplementedError


def grouped_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention whose query heads share keys and values.

    With 6 query heads and 2 of the others, the first 3 use the first one.
    query (batch, heads, time, head_size), key and value (batch, fewer heads, time, head_size)
    -> (batch, heads, time, head_size)
    """
    raise NotImplementedError


def attention_in_blocks(query: Tensor, blocks: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """One query's answer where keys and values come block by block, each seen once and then forgotten.

    query (head_size,), each block a key (some, head_size) and a value (some, head_size) -> (head_size,). Scores may be
    in the thousands. Keep three things on the way: the largest score so far, and the sum of the weights and of the
    weighted values, both relative to it.
    """
    raise NotImplementedError
