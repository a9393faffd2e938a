"""Texts as the stems of their words."""

import re
from collections.abc import Sequence

WORD = re.compile(r"\w+")
# Function words that tell no document from another (those of Lucene's English analyzer).
STOPWORDS = frozenset(
    """
    a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to
    was will with
    """.split()  # noqa: SIM905
)


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """The stems of each text's words (Porter's English ones), without function words."""
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    return [
        stemmer.stemWords([word for word in WORD.findall(text.casefold()) if word not in STOPWORDS]) for text in texts
    ]
