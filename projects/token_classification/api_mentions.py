"""Labelled mentions of PyTorch's API, from the markup of the docstrings of the installed torch, which is not imported.

Authors mark what they mention: :attr:`dim` is a parameter, :func:`torch.max` a function, :class:`~torch.Tensor` a
class. The markup is stripped from the text and becomes the labels.
"""

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Row = dict[str, Any]

LABELS = {"attr": "PARAM", "func": "FUNC", "meth": "FUNC", "class": "CLASS"}
# Roles whose titles are prose: `:ref:`broadcastable <broadcasting-semantics>`` reads "broadcastable".
PROSE_ROLES = {"ref", "doc", "term", "numref", "download"}
# Folders whose docstrings are written for developers of torch, mostly without roles.
SKIPPED_FOLDERS = {"testing", "_inductor", "_dynamo", "_decomp", "_refs", "onnx", "_vendor"}
LEAST_WORDS, MOST_WORDS = 4, 80
# Hundreds of sentences differ in the names alone: "In-place version of FUNC."
MOST_ALIKE = 5
# Stands in the text for what cannot be shown (formulas, placeholders); sentences that hold it are dropped.
GAP = "\0"

MARKUP = re.compile(
    r":(?P<role>[A-Za-z][\w:+.-]*):`(?P<target>[^`]+)`"
    r"|``(?P<literal>.+?)``(?!`)"
    r"|`(?P<link>[^`<]+?)\s*(?:<[^>`]*>)?`__?(?!\w)"
    r"|`(?P<default>[^`]+)`"
    r"|\*\*(?P<strong>[^*\s](?:[^*]*[^*\s])?)\*\*"
    r"|(?<![\w*\\])\*(?P<emphasis>[^*\s](?:[^*]*[^*\s])?)\*(?![\w*])"
    r"|(?P<gap>\{\w+\}|\|\w+\||\[[\w#]+\]_)"
    r"|\\(?P<escaped>.)"
)
# `dim (int, optional): ...` or `dim: ...` in a section such as Args.
ENTRY = re.compile(
    r"(?P<name>\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*)\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*:(?=\s|$)"
)
FIELD = re.compile(r":(?:param|arg|type|return|returns|rtype|raises|keyword)\b[^:]*:\s")
BULLET = re.compile(r"(?:[-*+•]|\(?\d+[.)]|#\.)\s+")
DIRECTIVE = re.compile(r"\.\.\s+(?P<name>[\w:-]+)::\s*(?P<rest>.*)")
ADMONITIONS = {"note", "warning", "tip", "important", "caution", "seealso", "admonition", "attention"}
# Borders of tables, rules under headings.
RULE = re.compile(r"[=+|~^-]{2,}[\s=+|~^-]*$|[|+][^|]*[|+]")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+")
SENTENCE_START = re.compile(r"[\"'(\[]*[A-Z0-9:]")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|resp|eq|fig|al|approx|[A-Z])\.)$", re.IGNORECASE)
# Markup that did not parse, formulas, examples, signatures.
UNREADABLE = re.compile(rf"[`{GAP}]|>>>|::|->")
PROSE_SPELLING = re.compile(r"[A-Z]?[a-z]*|[A-Z]+")
WORD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?")


@dataclass
class _Text:
    """Plain text with the character spans of what was marked: a label, or None where it has none of LABELS."""

    text: str = ""
    spans: list[tuple[int, int, str | None]] = field(default_factory=list)

    def add(self, piece: str) -> None:
        self.text += piece

    def mark(self, piece: str, label: str | None) -> None:
        self.spans.append((len(self.text), len(self.text) + len(piece), label))
        self.text += piece


def api_mentions() -> list[Row]:
    """Sentences with spans labelled PARAM, FUNC and CLASS; group is the file, `unknown` spans have no known label.

    Unknown, so left out of loss and score: other marked names (double backticks hold parameters, functions, classes and
    values alike), and mentions that the author left unmarked: names that the same docstring marks or documents
    elsewhere, names spelled as only code spells them (`DTensor`) that any docstring marks, and words that are code by
    their punctuation (`foo_bar`, `torch.foo`, `foo()`). Of the sentences without a label, only those without unknown
    spans stay: they count false alarms. Of sentences that differ in their labelled names alone, the first few stay.
    Takes about six seconds.
    """
    spec = find_spec("torch")  # locates the package, does not import it
    assert spec and spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    found: list[tuple[_Text, set[str], str]] = []
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if SKIPPED_FOLDERS.isdisjoint(inside.parts):
            source = path.read_text(encoding="utf-8", errors="replace")
            found += [(sentence, names, inside.as_posix()) for sentence, names in _marked_sentences(source)]
    everywhere = {
        part.text[start:end].rpartition(".")[2] for part, _, _ in found for start, end, label in part.spans if label
    }
    spelled_as_code = {name for name in everywhere if not PROSE_SPELLING.fullmatch(name)}
    rows: dict[str, Row] = {}
    for sentence, names, file in found:
        row = _row(sentence, names | spelled_as_code, file)
        # Of copies of a sentence, the one in which the most is marked.
        if row["text"] not in rows or len(row["spans"]) > len(rows[row["text"]]["spans"]):
            rows[row["text"]] = row
    alike: Counter[str] = Counter()
    kept = []
    for row in rows.values():
        pattern = _pattern(row)
        alike[pattern] += 1
        if (row["spans"] or not row["unknown"]) and alike[pattern] <= MOST_ALIKE:
            kept.append(row)
    return kept


def _pattern(row: Row) -> str:
    """The text with its labelled spans replaced by their labels."""
    text = row["text"]
    for span in reversed(row["spans"]):
        text = text[: span["start"]] + span["label"] + text[span["end"] :]
    return text


def _marked_sentences(source: str) -> Iterator[tuple[_Text, set[str]]]:
    """Sentences of the string literals that use one of the LABELS' roles, each with the names its literal marks."""
    if not any(f":{role}:`" in source for role in LABELS):
        return
    for literal in _literals(ast.parse(source)):
        if any(f":{role}:`" in literal for role in LABELS):
            sentences, names = _sentences(literal)
            yield from ((sentence, names) for sentence in sentences)


def _literals(tree: ast.AST) -> Iterator[str]:
    """String literals in the order of the file, without the pieces of f-strings."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        elif not isinstance(child, ast.JoinedStr):
            yield from _literals(child)


def _sentences(docstring: str) -> tuple[list[_Text], set[str]]:
    """Plain sentences of a docstring, and the names it marks or documents anywhere."""
    names: set[str] = set()
    sentences: list[_Text] = []
    for block, documented in _blocks(inspect.cleandoc(docstring)):
        names.update(documented)
        plain = _plain(block)
        names.update(plain.text[start:end] for start, end, _ in plain.spans)
        sentences += _split(plain)
    good = [
        part
        for part in sentences
        if LEAST_WORDS <= len(part.text.split()) <= MOST_WORDS and not UNREADABLE.search(part.text)
    ]
    return good, names


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Paragraphs, list items and entries of sections, each on one line, with the names that an entry documents."""
    block: list[str] = []
    names: list[str] = []
    indent = 0
    for depth, line in [*_prose(text.splitlines()), (0, "")]:
        bullet = BULLET.match(line)
        content = line[bullet.end() :] if bullet else line
        entry = ENTRY.match(content) or FIELD.match(content)
        # A deeper line can belong to the entry above, unless that is a heading such as `Args:`.
        if block and (not content or bullet or (entry and (depth <= indent or block[-1].endswith(":")))):
            yield " ".join(block), names
            block, names = [], []
        if not block:
            indent = depth
            if entry:
                names = re.findall(r"[A-Za-z_]\w*", entry["name"]) if entry.re is ENTRY else []
                content = content[entry.end() :].strip()
        if content:
            block.append(content)


def _prose(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Depth and content of each line; "" instead of code, formulas, tables and directives other than notes."""
    skipped_below: int | None = None  # lines that are deeper are left out
    example = False  # from `>>>` to the next blank line
    for line in lines:
        content = line.strip()
        depth = len(line) - len(line.lstrip())
        if not content:
            example = False
        elif skipped_below is not None and depth <= skipped_below:
            skipped_below = None
        example = example or content.startswith(">>>")
        directive = DIRECTIVE.match(content)
        if not content or example or skipped_below is not None or RULE.match(content):
            content = ""
        elif directive:
            yield depth, ""
            content = directive["rest"]
            if directive["name"].lower() not in ADMONITIONS:
                skipped_below, content = depth, ""
        elif content.endswith("::"):
            skipped_below, content = depth, content[:-1]
        yield depth, content


def _plain(block: str) -> _Text:
    """The text without its markup, and what was marked."""
    plain, rest = _Text(), 0
    for match in MARKUP.finditer(block):
        plain.add(block[rest : match.start()])
        rest = match.end()
        kind = match.lastgroup
        content = " ".join(match[kind].split()) if kind else ""
        if kind == "target":
            role = match["role"].removeprefix("py:")
            if role == "math" or "{" in content:
                plain.add(GAP)
            elif role in PROSE_ROLES:
                plain.add(_shown(content))
            else:
                plain.mark(_shown(content), LABELS.get(role))
        elif kind in ("literal", "default"):
            plain.mark(content, None)
        elif kind == "gap":
            plain.add(GAP)
        else:
            plain.add(content)
    plain.add(block[rest:])
    # The plural of a name, `:class:`Tensor`\s`, belongs to its word.
    limits = [*(start for start, _, _ in plain.spans[1:]), len(plain.text)]
    spans = []
    for (start, end, label), limit in zip(plain.spans, limits, strict=False):
        rest_of_word = re.match(r"\w*", plain.text[end:limit])
        spans.append((start, end + (rest_of_word.end() if rest_of_word else 0), label))
    return _Text(plain.text, spans)


def _shown(target: str) -> str:
    """What a role shows: the title of `title <target>`, the last part of `~torch.nn.Foo`, never the call's brackets."""
    if title := re.fullmatch(r"(.+?)\s*<[^<>]*>", target):
        target = title[1]
    elif target.startswith("~"):
        target = target[1:].removesuffix("()").rpartition(".")[2]
    return target.lstrip("!.").removesuffix("()")


def _split(plain: _Text) -> Iterator[_Text]:
    """Sentences: split after a full stop before a capital or a span, outside of spans, not after an abbreviation."""
    inside = {index for start, end, _ in plain.spans for index in range(start + 1, end)}
    starts = {start for start, _, _ in plain.spans}
    cuts = [0]
    for match in SENTENCE_END.finditer(plain.text):
        before_start = match.end() in starts or SENTENCE_START.match(plain.text, match.end())
        if before_start and match.start() not in inside and not ABBREVIATION.search(plain.text[: match.start()]):
            cuts.append(match.end())
    for first, last in zip(cuts, [*cuts[1:], len(plain.text)], strict=True):
        raw = plain.text[first:last]
        # Collapse runs of blanks; `moved[i]` is where character i of the raw sentence goes.
        moved, text = [], ""
        for character in raw:
            moved.append(len(text))
            if not (character.isspace() and (not text or text.endswith(" "))):
                text += " " if character.isspace() else character
        moved.append(len(text))
        spans = [
            (moved[start - first], moved[end - first], label)
            for start, end, label in plain.spans
            if first <= start and end <= last
        ]
        yield _Text(text.rstrip(), spans)


def _row(sentence: _Text, names: set[str], file: str) -> Row:
    """One sentence with its labelled and its unknown spans, none of which overlap."""
    text = sentence.text
    taken = {index for start, end, _ in sentence.spans for index in range(start, end)}
    unknown = [{"start": start, "end": end} for start, end, label in sentence.spans if label is None]
    for match in WORD.finditer(text):
        word = match[0].removesuffix("()")
        bare = word.removesuffix("s")
        if taken.isdisjoint(range(*match.span())) and (word in names or bare in names or _only_code(match[0])):
            unknown.append({"start": match.start(), "end": match.end()})
    spans = [{"start": start, "end": end, "label": label} for start, end, label in sentence.spans if label]
    return {"text": text, "spans": spans, "unknown": sorted(unknown, key=lambda span: span["start"]), "group": file}


def _only_code(word: str) -> bool:
    """Whether prose never spells a word that way: `foo_bar`, `torch.foo`, `foo()`, but not `e.g` or `PyTorch`."""
    return (
        "_" in word
        or word.endswith("()")
        or (re.search(r"\w\.\w", word) is not None and word.lower() not in ("e.g", "i.e", "w.r.t", "a.k.a"))
    )
