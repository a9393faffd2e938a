"""The author's own words about their projects: portfolio.yaml at the root of the repository, which is the user's file.

    author: Ada Lovelace
    links: {GitHub: "https://github.com/ada", e-mail: "mailto:ada@example.org"}
    language: en
    projects:
      film_reviews/starter:     # one run; without a run's name, all runs of the project
        question: Does the critic like the film?
        for_whom: For an editor who sorts reviews by hand today.
        links: {demo: "https://huggingface.co/spaces/ada/critics"}
        why_this: ...
        what_surprised_me: ...
        what_i_would_do_next: ...

results.json carries what is said of its run under the key `portfolio`, so that every page remains a function of
results.json alone. It is written when a run is measured, and again by `kit report RUN`:

    {"question", "for_whom", "author", "links": {name: address}, "language",
     "why_this", "what_surprised_me", "what_i_would_do_next"}

All but the links are texts. What is not given is empty, and question and for_whom are then those of the project, so
these two are never empty. The links of a run stand before those of its project, and those before the author's. Texts
mean nothing in HTML, Markdown or YAML: whoever shows them escapes them. An address begins with http, https or mailto.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from common.system.errors import UserError, nearest
from common.system.options import NULL, PLAIN_TAGS, composed
from common.system.progress import say
from common.system.source import REPOSITORY
from common.task.projects import project_names

if TYPE_CHECKING:
    from yaml.nodes import Node, ScalarNode

FILE = REPOSITORY / "portfolio.yaml"
# Texts of an entry; the first ones are one line each.
LINES = ("question", "for_whom")
PARAGRAPHS = ("why_this", "what_surprised_me", "what_i_would_do_next")
# Characters of a line: a title is no paragraph.
LONGEST = {"author": 80, "question": 120, "for_whom": 300}
LANGUAGE = re.compile(r"[A-Za-z]{2,12}(-[A-Za-z0-9]{1,8})*")
MAIL = re.compile(r"mailto:[^\s@?]+@[^\s@?]+")

Words: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Portfolio:
    """What portfolio.yaml says.

    Attributes:
        author: keys `author`, `links`, `language`.
        entries: {project or project/run: its keys}.
    """

    author: Words = field(default_factory=dict)
    entries: dict[str, Words] = field(default_factory=dict)

    def words(self, project: str, run: str, described: Mapping[str, Any]) -> Words:
        """What results.json carries of a run; `described` is its task's description, with question and for_whom."""
        said = [self.entries.get(f"{project}/{run}", {}), self.entries.get(project, {}), self.author, described]

        def first(name: str) -> str:
            return next((one[name] for one in said if one.get(name)), "")

        links: dict[str, str] = {}
        for one in said:
            links = {**links, **{name: link for name, link in one.get("links", {}).items() if name not in links}}
        texts = {name: first(name) for name in (*LINES, "author", "language", *PARAGRAPHS)}
        texts["question"] = texts["question"] or described["title"]  # of results from before projects had a question
        return {**texts, "links": links}


def read_portfolio(file: Path | None = None) -> Portfolio:
    """The user's portfolio; an empty one where there is no such file.

    Raises UserError, with the line, where it holds an unknown key, another type, or an address that is none.
    """
    file = FILE if file is None else file
    if not file.exists():
        return Portfolio()
    reader = _Reader(file)
    root = composed(file)
    if root is None:
        return Portfolio()
    top = reader.fields(root, ("author", "links", "language", "projects"))
    entries: dict[str, Words] = {}
    if "projects" in top:
        for key, node in reader.pairs(top.pop("projects")):
            entries[reader.project(key)] = reader.entry(node)
    return Portfolio(reader.values(top), entries)


def words_or_warn(project: str, run: str, described: Mapping[str, Any]) -> Words:
    """The words for a run that has just been measured; the project's own, and a warning, where they cannot be read."""
    try:
        return read_portfolio().words(project, run, described)
    except UserError as error:
        say(f"warning: {error} The pages show the project's own question; `kit report` writes them again.")
        return Portfolio().words(project, run, described)


class _Reader:
    """Reads the nodes of one YAML file."""

    def __init__(self, file: Path):
        self.file = file

    def error(self, node: "Node", problem: str) -> UserError:
        return UserError(f"{self.file}, line {node.start_mark.line + 1}: {problem}.")

    def pairs(self, node: "Node") -> Iterator[tuple["ScalarNode", "Node"]]:
        """The keys and nodes of a table, each key once; nothing of an empty one."""
        from yaml.nodes import MappingNode, ScalarNode

        if node.tag == NULL:
            return
        if not isinstance(node, MappingNode):
            raise self.error(node, "this is no table: write `name: value`, one a line")
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or key.tag not in PLAIN_TAGS:
                raise self.error(key, "a name is a plain word")
            if key.value in seen:
                raise self.error(key, f"{key.value} stands here twice: remove one of the two")
            seen.add(key.value)
            yield key, value

    def fields(self, node: "Node", known: tuple[str, ...]) -> dict[str, "Node"]:
        """{name: node} of a table whose names are known ones."""
        found = {}
        for key, value in self.pairs(node):
            if key.value not in known:
                close = nearest(key.value, known) or f": there is {', '.join(known)}"
                raise self.error(key, f"there is nothing called {key.value}{close}")
            found[key.value] = value
        return found

    def entry(self, node: "Node") -> Words:
        """What is said of a project or a run."""
        return self.values(self.fields(node, (*LINES, "language", "links", *PARAGRAPHS)))

    def values(self, nodes: Mapping[str, "Node"]) -> Words:
        return {name: self.links(node) if name == "links" else self.text(name, node) for name, node in nodes.items()}

    def text(self, name: str, node: "Node") -> str:
        """A text as it was written, empty for null; those that stand on one line with single spaces."""
        from yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            raise self.error(
                node, f"{name} is a text, not a list or a table: texts with : or # stand in quotation marks"
            )
        if node.tag not in PLAIN_TAGS:
            raise self.error(node, f"{name} has a YAML tag: what begins with ! stands in quotation marks")
        if node.tag == NULL:
            return ""
        text = str(node.value).strip() if name in PARAGRAPHS else " ".join(str(node.value).split())
        if len(text) > LONGEST.get(name, len(text)):
            raise self.error(node, f"{name} has {len(text)} characters: at most {LONGEST[name]} fit where it stands")
        if name == "language" and text and not LANGUAGE.fullmatch(text):
            raise self.error(node, f"{text} is no code of a language: write one such as en or pt-BR")
        return text

    def links(self, node: "Node") -> dict[str, str]:
        """{name: address}; without those that are still empty."""
        found = {}
        for key, value in self.pairs(node):
            if address := self.text("an address", value):
                if not _is_address(address):
                    raise self.error(value, f"{address} is no address: it begins with https://, http:// or mailto:")
                found[key.value] = address
        return found

    def project(self, key: "ScalarNode") -> str:
        """A project's name, or project/run."""
        project = key.value.partition("/")[0]
        if project not in (names := project_names()):
            close = nearest(project, names) or f": there is {', '.join(names)}"
            raise self.error(key, f"there is no project {project}{close}")
        return str(key.value)


def _is_address(text: str) -> bool:
    """Whether a text is an address of the web, or of a person."""
    if MAIL.fullmatch(text):
        return True
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s\x00-\x1f<>\"]", text)
    except ValueError:
        return False
