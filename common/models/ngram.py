"""A model of bytes that follow each other, as a yardstick: what is likely without any prompt.

Interpolated as Witten & Bell 1991 do (method C): the more different bytes followed a context, the more is left for
what follows its shorter one.
"""

import math
from collections import Counter, defaultdict

# A byte that no text has: the end of one.
END = 256


class ByteModel:
    """How likely each byte is after those before it.

    Args:
        texts: what is counted.
        order: bytes that are looked at together, the foretold one included.
    """

    def __init__(self, texts: list[str], order: int = 5):
        self.order = order
        self.follows: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for text in texts:
            for context, symbol in self._steps(text):
                for start in range(len(context) + 1):
                    self.follows[context[start:]][symbol] += 1

    def nats(self, text: str) -> float:
        """The loss of a text, its end included."""
        return -sum(math.log(self._probability(context, symbol)) for context, symbol in self._steps(text))

    def _steps(self, text: str) -> list[tuple[tuple[int, ...], int]]:
        """(the bytes before, the byte) of each byte and of the end."""
        symbols = [*text.encode("utf-8", "surrogatepass"), END]
        return [
            (tuple(symbols[max(0, place - self.order + 1) : place]), symbol) for place, symbol in enumerate(symbols)
        ]

    def _probability(self, context: tuple[int, ...], symbol: int) -> float:
        shorter = self._probability(context[1:], symbol) if context else 1 / (END + 1)
        counts = self.follows.get(context)
        if not counts:
            return shorter
        return (counts[symbol] + len(counts) * shorter) / (counts.total() + len(counts))
