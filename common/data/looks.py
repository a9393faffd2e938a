"""What texts look like: two names that no eye can tell apart are one name, written in two ways."""

import re
import unicodedata
from collections.abc import Callable, Iterable

# Nothing is seen of these: soft hyphen, zero-width spaces, marks of direction, byte order marks, fillers of Hangul.
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb"
)
# These change the look of their neighbours: joiners of Persian, Indic scripts and emojis, and an emoji's style.
HARDLY_VISIBLE = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
NOT_SEEN, HARDLY_SEEN = re.compile(f"[{INVISIBLE}]"), re.compile(f"[{INVISIBLE}{HARDLY_VISIBLE}]")
BLANK = re.compile(rf"[\s{INVISIBLE}{HARDLY_VISIBLE}]*")
WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0+")


def is_blank(text: str) -> bool:
    """Whether nothing is seen of a text."""
    return BLANK.fullmatch(text) is not None


def look(text: str) -> str:
    """The text as it is seen: composed (Unicode's NFC), without the characters that nothing is seen of."""
    return text if text.isascii() else unicodedata.normalize("NFC", NOT_SEEN.sub("", text))


def rough_look(text: str) -> str:
    """The text without differences of case, white space, width, joiners and emoji style; 1.0 is 1."""
    wide_alike = unicodedata.normalize("NFKC", HARDLY_SEEN.sub("", text))
    return whole_number(" ".join(unicodedata.normalize("NFKC", wide_alike.casefold()).split()))


def whole_number(text: str) -> str:
    """1.0 as 1: a column of numbers with an empty cell is written with points by many programs."""
    return match[1] if (match := WHOLE_NUMBER.fullmatch(text)) else text


def spelled(text: str) -> str:
    """A text in quotation marks, and how it is written where another one may look the same."""
    shown, exact = repr(text), ascii(text)
    return shown if shown == exact else f"{shown} = {exact}"


def sharing(names: Iterable[str], form: Callable[[str], str]) -> list[list[str]]:
    """The names that have a form in common with others, such as their `look`."""
    by_form: dict[str, list[str]] = {}
    for name in names:
        by_form.setdefault(form(name), []).append(name)
    return [group for group in by_form.values() if len(group) > 1]
