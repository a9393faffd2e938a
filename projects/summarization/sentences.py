"""Where the sentences of a text are, by a rule: after a full stop, and at the end of a line.

A full stop ends a sentence where white space follows, and then no small letter; not behind the abbreviations below, and
not behind a single capital letter, as in a name.
"""

import re
from typing import TypeAlias

# First character of a sentence and the one behind its last.
Span: TypeAlias = tuple[int, int]

# White space behind an end, before what may begin a sentence.
END = re.compile(r"(?<=[.!?…])[\"'\u201d\u2019)\]]*\s+(?=[^\sa-z,;:)\]])")
LINE = re.compile(r"[^\n\r\x0b\x0c\x85\u2028\u2029]+")
ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[A-Z]|e\.g|i\.e|cf|vs|et al|al|etc|approx|ca|c|fig|figs|eq|eqs|sec|no|nos|vol|pp|p|dr|mr|mrs|ms|"
    r"prof|st|jr|sr|inc|ltd|co|corp|dept|gen|gov|col|lt|capt|sgt|rev|hon|mt|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|"
    r"nov|dec|resp|w\.r\.t|s\.t|a\.k\.a|[A-Z](?:\.[A-Z])+)\.$",
    re.IGNORECASE,
)


def spans_of(text: str) -> list[Span]:
    """The sentences of a text in their order, without the white space between them; none for a text without words."""
    found: list[Span] = []
    for line in LINE.finditer(text):
        start = line.start()
        for end in END.finditer(text, line.start(), line.end()):
            if not ABBREVIATION.search(text[max(start, end.start() - 12) : end.start()]):
                found.append((start, end.end()))
                start = end.end()
        found.append((start, line.end()))
    return [stripped for span in found if (stripped := _stripped(text, span))]


def _stripped(text: str, span: Span) -> Span | None:
    inside = text[slice(*span)]
    start = span[0] + len(inside) - len(inside.lstrip())
    end = start + len(inside.strip())
    return (start, end) if end > start else None


def sentences_of(text: str) -> list[str]:
    """The same as texts."""
    return [text[slice(*span)] for span in spans_of(text)]


def on_lines(text: str) -> str:
    """A text with a sentence on each line, as ROUGE-Lsum wants it."""
    return "\n".join(sentences_of(text))
