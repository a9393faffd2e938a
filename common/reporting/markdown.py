"""Texts of users in Markdown: they are read as they stand, and mean nothing to the page."""

import re
from typing import Any

from markupsafe import Markup

from common.reporting.wording import printable, shown

# What begins HTML, code, emphasis, a link, a cell, a heading or a formula (`_` only where a word begins or ends);
# what GitHub makes a link or a mention of; and what begins a list or underlines a heading at the start of a line.
MARKS = re.compile(
    r"[&>|`*\[\]~$#\\@]|(?<![^\W_])_|_(?![^\W_])"
    r"|<(?! )|:(?=//)|(?<=\bwww)\.|(?<=\bmailto):|(?<=\bxmpp):"
    r"|^(?:[-+=]|\d{1,9}[.)])(?=[\s=-]|$)",
    re.IGNORECASE,
)
# What a link may lead to.
ADDRESS = re.compile(r"(https?://[\w.-]|mailto:[\w.+-]+@)[^\s<>\"\\\x00-\x1f]*", re.ASCII)
# A space that a line may not be broken at stays.
BLANKS = re.compile(r"[ \t-\r\x85\u2028\u2029]+")


def inline(value: Any) -> Markup:
    """A value as text on one line of Markdown: in a sentence, a list, or the cell of a table."""
    if isinstance(value, Markup):
        return value
    text = BLANKS.sub(" ", printable(value) if isinstance(value, str) else shown(value)).strip(" ")
    return Markup(MARKS.sub(lambda mark: f"{mark[0][:-1]}&#{ord(mark[0][-1])};", text))


def is_address(address: Any) -> bool:
    """Whether a link may lead there: to an address of the web, or of a person."""
    return isinstance(address, str) and ADDRESS.fullmatch(address) is not None


def link(address: Any, name: Any) -> Markup:
    """A link, where it may lead to the address; else both as text."""
    if is_address(address):
        return Markup(f"[{inline(name)}](<{address}>)")
    return Markup(f"{inline(name)}: {inline(address)}")


def fenced(text: str, language: str = "") -> Markup:
    """A block of code that no text within can end."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return Markup(f"{fence}{language}\n{text}\n{fence}")


def as_table(header: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """A table of Markdown whose first columns hold texts, the others numbers."""
    lines = [header, ["---"] * texts + ["---:"] * (len(header) - texts), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
