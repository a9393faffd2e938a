"""Documents with summaries that arrive by pip: nothing that is downloaded is run or committed."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from zlib import crc32

from common.data.sources import Starter
from common.data.wikipedia import ARTICLES, TERMS, articles

Row = dict[str, Any]

# Words of a document: in fewer there is hardly anything to choose from, and more cost time.
FEWEST, MOST = 25, 80
# Of a hundred title families, how many are for testing and how many for validation.
TEST, VALIDATION = 8, 2
# Rows of each split: ten minutes are enough to learn from so many, and a minute to write so many.
MOST_ROWS = {"train": 1_728, "validation": 64, "test": 300}


def wikipedia() -> Starter:
    """The beginning of an article, and what Wikipedia's editors say of its subject in a few words.

    Descriptions that several articles share ("Family of birds") are left out. Split by title family, the last word of a
    title, so that what is learned of Greek mythology is not measured on Chinese mythology.
    """
    every = articles()
    shared = Counter(_key(one["description"]) for one in every)
    splits: dict[str, list[Row]] = {split: [] for split in MOST_ROWS}
    chosen = [
        one
        for one in every
        if shared[_key(one["description"])] == 1
        and one["description"].strip()
        and FEWEST <= len(one["extract"].split()) <= MOST
    ]
    for article in sorted(chosen, key=lambda one: crc32(one["title"].encode())):
        group = family(article["title"])
        split = _split(group)
        if len(splits[split]) < MOST_ROWS[split]:
            row = {"document": article["extract"], "summary": article["description"], "group": group}
            splits[split].append({**row, "slice topic": article["topic"]})
    return Starter(
        splits=splits,
        reference=f"Wikipedia in {ARTICLES}: beginnings of articles and their short descriptions",
        terms=f"{TERMS}; read at run time, not redistributed",
    )


def family(title: str) -> str:
    """The last word of a title, without what stands in brackets or behind a comma."""
    words = re.findall(r"[^\W_]+", re.sub(r"\(.*?\)|,.*", "", title)) or [title]
    return words[-1].casefold()


def _split(group: str) -> str:
    place = crc32(group.encode()) % 100
    return "test" if place < TEST else "validation" if place < TEST + VALIDATION else "train"


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


STARTERS: dict[str, Callable[[], Starter]] = {"wikipedia": wikipedia}
