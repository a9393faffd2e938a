"""Text on a terminal: what users wrote can neither command the terminal nor stop the program.

`common.system.progress` prints by these; no other file of the kit prints.
"""

import re
import sys
from typing import Any

# Control characters but tab and line feed; marks that turn the direction of what follows; the ends of lines elsewhere;
# halves of characters.
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with `\\x1b` and the like written out, so that a terminal shows them and does not obey."""
    return COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def on_one_line(text: str) -> str:
    """The printable text, its line feeds and tabs written out, too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def write_whatever_the_encoding() -> None:
    """Let standard output and error write characters that their encoding lacks as `\\u65e5`, and not fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
