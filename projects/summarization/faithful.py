"""Numbers and names of a summary that its document does not hold: what a reader should look up first."""

import itertools
import re

from .sentences import Span, spans_of

WORD = re.compile(r"[^\W_]+(?:['\u2019.,][^\W_]+)*")
DIGITS = re.compile(r"\d")


def unsupported(document: str, summary: str) -> list[Span]:
    """The characters of each such word, in order.

    A number is a word with a digit; a name a word that begins with a capital, but for the first of a sentence, which
    always does. Both have to stand in the document, whatever their case.
    """
    known = {part for word in WORD.findall(document) for part in _forms(word)}
    starts = {word.start() for start, end in spans_of(summary) if (word := WORD.search(summary, start, end))}
    return [
        word.span()
        for word in WORD.finditer(summary)
        if _is_claim(word[0], word.start() in starts) and not _forms(word[0]) & known
    ]


def _is_claim(word: str, is_first: bool) -> bool:
    return bool(DIGITS.search(word)) or (word[:1].isupper() and not is_first)


def _forms(word: str) -> set[str]:
    """A word without case, also without what is added to it, as in `Darwin's`, and without commas in a number."""
    folded = word.casefold()
    return {folded, re.sub(r"['\u2019]s$", "", folded), folded.replace(",", "")}


def new_pairs(document: str, summary: str) -> float | None:
    """The share of a summary's pairs of words that are not in the document; None where it has no two words."""
    ours, theirs = (list(map(str.casefold, WORD.findall(text))) for text in (summary, document))
    pairs = list(itertools.pairwise(ours))
    if not pairs:
        return None
    known = set(itertools.pairwise(theirs))
    return sum(pair not in known for pair in pairs) / len(pairs)
