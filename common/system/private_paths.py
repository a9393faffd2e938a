"""Names of folders that are nobody else's business, taken out of what is published.

The folders are known: they are those of the files that the options name. So they are found whatever characters they
hold, blanks and brackets included, where a pattern for paths would end in the middle. Other absolute paths are found
by a pattern.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.system.files import cache_folder
from common.system.source import REPOSITORY

# Options that name files or folders, whatever their values look like.
NAMES_A_PATH = ("_file", "_files", "_folder", "_dir")
# What ends a known folder, with the plainly named ones below it.
BELOW = r"[/\\]+(?:[\w.@+-]+/)*"
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/-])/(?:[\w.@+-]+/)+([\w.@+-]+)")


def folders_of(options: dict[str, Any]) -> list[str]:
    """The folders of the files that options name, and of this machine, in every way to write them."""
    found = {str(folder) for folder in (Path.home(), REPOSITORY, Path.cwd(), cache_folder())}
    for name, value in options.items():
        for path in _texts(value):
            if name.endswith(NAMES_A_PATH) or is_path(path):
                file = Path(path).expanduser()
                found |= {path.rpartition("/")[0], *(str(one.parent) for one in (Path(path), file, file.absolute()))}
    spellings = {text for folder in found - {"", ".", "/"} for text in _spellings(folder)}
    return sorted(spellings)


def is_path(text: str) -> bool:
    """Whether a text is a path rather than a name, the id of a Hub repository (`user/name`), or an address."""
    return "://" not in text and (text.startswith(("/", "./", "../", "~")) or text.count("/") > 1)


def without_folders(value: Any, folders: list[str]) -> Any:
    """Nested values whose texts name files without their folders."""
    if isinstance(value, dict):
        return {key: without_folders(child, folders) for key, child in value.items()}
    if isinstance(value, list):
        return [without_folders(child, folders) for child in value]
    if not isinstance(value, str):
        return value
    for folder in sorted(folders, key=len, reverse=True):
        if folder in value:
            begins = "" if folder.startswith(("/", "~")) else r"(?<![\w./-])"
            value = re.sub(rf"{begins}{re.escape(folder)}{BELOW}", "", value)
    return ABSOLUTE_PATH.sub(r"\1", value)


def without_folders_in_command(command: str, folders: list[str]) -> str:
    """A command line whose arguments name files without their folders; those of the repository stay."""
    try:
        arguments = shlex.split(command)
    except ValueError:
        return str(without_folders(command, folders))
    return shlex.join(_argument(argument, folders) for argument in arguments)


def _argument(argument: str, folders: list[str]) -> str:
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    ours = value.removeprefix(f"{REPOSITORY}/")
    if ours.startswith("projects/") and ours.endswith((".py", ".yaml")):
        return f"{option}{equals}{ours}"
    if (is_path(value) or value.endswith((".yaml", ".yml"))) and not value.startswith(("{", "[")):
        return f"{option}{equals}{Path(value).name}"
    return f"{option}{equals}{without_folders(value, folders)}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value


def _spellings(folder: str) -> set[str]:
    """A folder as it stands in texts, in Python's and JSON's quotes, and in YAML's."""
    return {folder, repr(folder)[1:-1], json.dumps(folder)[1:-1], folder.replace("'", "''")}
