"""Questions and the pages that answer them, which arrive by pip: nothing that is downloaded is run or committed."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable

from common.data.sources import Starter
from common.data.tldr_pages import PAGES, TERMS, Page, family, pages

from .documents import Corpus

# A name of so many letters gives itself away also within a longer word.
LONG = 4


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
            key = " ".join(text.casefold().split())
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


STARTERS: dict[str, Callable[[], Starter]] = {"tldr-pages": lambda: tldr_pages(Corpus())}


def starters(corpus: Corpus) -> dict[str, Callable[[], Starter]]:
    """The same, with their documents added to a corpus."""
    return {"tldr-pages": lambda: tldr_pages(corpus)}
