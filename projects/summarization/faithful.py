"""Where a summary comes from, and which of its numbers and names its document does not hold: what to look up first."""

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


def sources(document: str, summary: str) -> list[Span | None]:
    """For each sentence of a summary the sentence of the document that has most of its words; None where none has any.

    Of several the first.
    """
    spans = spans_of(document)
    known = [_words(document[slice(*span)]) for span in spans]
    found: list[Span | None] = []
    for start, end in spans_of(summary):
        said = _words(summary[start:end])
        shared = [len(said & words) for words in known]
        found.append(spans[shared.index(max(shared))] if max(shared, default=0) else None)
    return found


def _words(text: str) -> set[str]:
    """The words of a text without case, but for those of one or two letters, which stand everywhere."""
    return {word.casefold() for word in WORD.findall(text) if len(word) > 2 or DIGITS.search(word)}


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
