"""Questions about the parameters of functions, from the docstrings of the installed libraries, which are not imported.

Docstrings in numpydoc's format say of each parameter its type, its meaning, often its default, and what a function
returns and raises. That is enough to write questions whose answers stand in the text, and others whose answers do not.
"""

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, TypeGuard
from zlib import crc32

from common.data.looks import look

LIBRARIES = ("numpy", "scipy", "pandas", "sklearn")
# Folders whose functions nobody calls.
SKIPPED_FOLDERS = {"tests", "testing", "_testing", "externals", "_vendor", "f2py", "distutils"}
# Sections that a context consists of, beside the summary; notes, examples and references are left out, and so are the
# rules below headings and double backticks, which a reader of the rendered page does not see either.
PARAMETERS, RETURNS, RAISES = "Parameters", "Returns", "Raises"
SECTIONS = (PARAMETERS, RETURNS, RAISES)
LEAST_PARAMETERS = 2
MOST_CHARACTERS = 800
MOST_ANSWER_WORDS = 40
# Questions with an answer about one function, and the share of functions that one without is asked about, too.
ANSWERED, UNANSWERED = 3, 1.0
# A function without a word on errors is seldom asked about them: otherwise there would be little else.
NO_ERRORS = 0.25
# Names that are asked for where they are not: those that at least so many functions have.
COMMON_NAME = 3
# Of a hundred functions, how many are for testing and how many for validation.
TEST, VALIDATION = 20, 10

RULE = re.compile(r"-{3,}\s*")
ENTRY = re.compile(r"(?P<names>\*{0,2}[A-Za-z_]\w*(?:, ?\*{0,2}[A-Za-z_]\w*)*) ?:(?: +(?P<type>\S.*))?$")
RETURNED = re.compile(r"(?:(?P<names>[A-Za-z_]\w*) ?: +)?(?P<type>\S.*)$")
RAISED = re.compile(r"(?P<names>[A-Z]\w*(?:Error|Warning|Exception))$")
# Filled in elsewhere, so that the text is not what a reader sees.
PLACEHOLDER = re.compile(r"%\(\w+\)s|(?<!\{)\{\w+\}(?!\})|\.\. [\w-]+::|\|\w+\|")
SENTENCE = re.compile(r".+?(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)(?<!cf)[.](?=\s|$)", re.DOTALL)
TYPE_END = re.compile(r",? *(?:\(?optional\)?|\(?default\b.*).*$", re.IGNORECASE)
VALUE = r"(?P<value>`{1,2}[^`\n]+`{1,2}|'[^'\n]*'|\"[^\"\n]*\"|\([^()\n]*\)|\[[^\[\]\n]*\]|[-+\w.]*\w)"
DEFAULTS = (
    re.compile(rf"\bdefault ?[=:]? *{VALUE}"),
    re.compile(rf"\b[Dd]efaults? (?:is|are|to|value is|value:) *{VALUE}"),
    re.compile(rf"\b[Dd]efault ?: *{VALUE}"),
)
NO_VALUE = {"is", "to", "are", "value", "values", "the", "a", "an", "of", "all", "and"}

# Ways to ask; `{name}` is a parameter or an error, `{function}` the function.
WORDINGS = {
    "meaning": (
        "What does {name} do?",
        "What is {name} for?",
        "What is the meaning of {name}?",
        "What does the parameter {name} of {function} mean?",
        "Explain {name}",
        "In {function}, what is {name}?",
        "what does the {name} argument control",
        "describe the option {name}",
        "How is {name} used?",
        "What's {name}?",
        "What role does {name} play in {function}?",
        "what can be controlled with {name}",
        "Say in a sentence what {name} means",
        "{name}: what for?",
        "Tell me about {name}",
        "What is the purpose of {name} in {function}?",
    ),
    "type": (
        "What type is {name}?",
        "Which type does {name} have?",
        "What is the type of the parameter {name}?",
        "What kind of value does {function} expect for {name}?",
        "which types are accepted for {name}",
        "What data type should {name} be?",
        "What sort of object is {name}?",
        "Is {name} a number, a string or something else?",
        "Which kinds of objects are allowed for {name}?",
        "Does {name} take a number, a string or a list?",
        "what values may {name} take",
        "In which form is {name} given?",
        "Should {name} be an integer?",
        "Of what class is {name}?",
        "What may {name} be?",
        "Can {name} be an array?",
        "What does {function} accept for {name}?",
        "{name}: a number, an array, a function?",
        "legal values of {name} in {function}",
        "expected type of {name} in {function}",
        "What must I give for {name}: a number, an array?",
    ),
    "default": (
        "What is the default of {name}?",
        "What is {name} by default?",
        "Which default value does {name} have?",
        "default value of {name} in {function}",
        "What value does {name} take when it is not given?",
        "Which value is assumed for {name}?",
        "What is the standard value of {name}?",
        "value of {name} when omitted",
        "What happens to {name} when it is not set?",
        "Which value does {name} get on its own?",
        "What will {name} be unless it is changed?",
        "What does {function} take for {name} if nothing is given?",
        "initial value of {name}",
        "How is {name} set without my doing anything?",
        "Which {name} is chosen when none is named?",
        "{name} if it is missing",
    ),
    "returns": (
        "What does {function} return?",
        "What is returned?",
        "What is the return value of {function}?",
        "what does it return",
        "What is the output of {function}?",
        "What is the result of {function}?",
        "Which value does {function} give?",
        "what does {function} produce",
        "What will {function} hand over?",
        "What does a call of {function} result in?",
        "the return value",
        "What is the outcome of calling {function}?",
        "Which object is given back?",
        "What can I expect {function} to answer with?",
        "What does {function} compute for me?",
        "what is its output",
    ),
    "raises": (
        "When does {function} raise {name}?",
        "When is {name} raised?",
        "Why do I get a {name}?",
        "under which condition is a {name} raised",
        "In which case does {function} end with {name}?",
        "What leads to a {name}?",
        "{name}: when?",
    ),
}
# Ways that are kept for validation and test: nobody words a question as the training rows do. The share of their
# questions that are asked so.
NEW_WORDINGS = {
    "meaning": (
        "Why would I set {name}?",
        "How does {name} change what {function} does?",
    ),
    "type": (
        "What can I pass as {name}?",
        "In {function}, what does {name} have to be?",
    ),
    "default": (
        "What does {name} default to?",
        "What is used for {name} if I leave it out?",
        "If I do not pass {name} to {function}, what is it?",
    ),
    "returns": (
        "What do I get back from {function}?",
        "What comes out of {function}?",
    ),
    "raises": (
        "What makes {function} fail with {name}?",
        "How can {name} happen?",
    ),
}
NEW = 0.3

Row = dict[str, Any]
Span: TypeAlias = tuple[int, int]  # of characters, the end excluded


@dataclass
class Entry:
    """A parameter, a return value or an error; spans are (start, end) in the context, or None."""

    section: str
    names: list[str]
    type: Span | None = None
    meaning: Span | None = None
    default: Span | None = None
    has_default: bool = False


@dataclass
class Documented:
    """A function with the part of its docstring that questions are asked about."""

    library: str
    name: str
    context: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def bare(self) -> str:
        """The name without its class."""
        return self.name.rpartition(".")[2]

    @property
    def parameters(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.section == PARAMETERS]


def parameter_questions() -> dict[str, list[Row]]:
    """Rows by split: question, context, answers, a group, and slices by kind and wording of a question.

    Functions are dealt out by their names without their classes, since methods of one name often share their text. A
    text that describes something is asked for once, wherever it stands again, so that no description in the test rows
    is one of the training rows. Takes about ten seconds.
    """
    functions = list(documented_functions())
    counted = Counter(name for function in functions for entry in function.parameters for name in entry.names)
    common = sorted(name for name, count in counted.items() if count >= COMMON_NAME and len(name) > 1)
    asked: set[str] = set()
    rows: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for function in functions:
        split = split_of(function)
        rows[split] += questions_about(function, common, asked, split == "train")
    return rows


def split_of(function: Documented) -> str:
    """The split of a function, decided by its name without its class."""
    place = crc32(function.bare.encode()) % 100
    return "test" if place < TEST else "validation" if place < TEST + VALIDATION else "train"


def questions_about(function: Documented, common: list[str], asked: set[str], train: bool) -> list[Row]:
    """A few questions, with and without an answer; `asked` holds the descriptions that were asked for before."""
    random = Random(crc32(function.context.encode()))
    rows = []
    possible = list(_answerable(function, asked))
    random.shuffle(possible)
    # One of each kind before a second one: there are far more meanings and types than anything else.
    rank: Counter[str] = Counter()
    ranked = []
    for kind, name, spans in possible:
        rank[kind] += 1
        ranked.append((rank[kind], random.random(), kind, name, spans))
    for *_, kind, name, spans in sorted(ranked)[:ANSWERED]:
        answers: list[Row] = [{"text": function.context[start:end], "start": start} for start, end in spans]
        asked |= {_same(answer["text"]) for answer in answers}
        rows.append(_row(function, kind, name, answers, random, train))
    if (without := _unanswerable(function, common, random)) and random.random() < UNANSWERED:
        rows.append(_row(function, *without[0], [], random, train))
    return rows


def _answerable(function: Documented, asked: set[str]) -> Iterator[tuple[str, str, list[Span]]]:
    """(kind, name, right answers) of every question that the context answers; no description twice."""

    def new(span: Span | None) -> TypeGuard[Span]:
        return span is not None and _same(function.context[slice(*span)]) not in asked

    for entry in function.entries:
        if entry.section == RAISES and new(entry.meaning):
            yield "raises", entry.names[0], [entry.meaning]
        for name in entry.names if entry.section == PARAMETERS else []:
            if new(entry.meaning):
                yield "meaning", name, [entry.meaning]
            if entry.type:
                yield "type", name, [entry.type]
            if entry.default:
                yield "default", name, [entry.default]
    # Of several values that are returned each is a right answer.
    returned = [entry.meaning for entry in function.entries if entry.section == RETURNS]
    if returned and all(map(new, returned)):
        yield "returns", "", [span for span in returned if span]


def _unanswerable(function: Documented, common: list[str], random: Random) -> list[tuple[str, str]]:
    """(kind, name) of questions that fit the context, which does not answer them."""
    words = set(re.findall(r"\w+", function.context))
    lacking = [name for name in random.sample(common, min(20, len(common))) if name not in words]
    found = [(random.choice(("meaning", "type", "default")), name) for name in lacking[:1]]
    if without := [name for entry in function.parameters if not entry.has_default for name in entry.names]:
        found.append(("default", random.choice(without)))
    sections = {entry.section for entry in function.entries}
    if RETURNS not in sections and "return" not in function.context.lower():
        found.append(("returns", ""))
    if RAISES not in sections and "raise" not in function.context.lower() and random.random() < NO_ERRORS:
        found.append(("raises", random.choice(("ValueError", "TypeError", "KeyError", "IndexError"))))
    random.shuffle(found)
    return found


def _row(function: Documented, kind: str, name: str, answers: list[Row], random: Random, train: bool) -> Row:
    new = not train and random.random() < NEW
    wording = random.choice((NEW_WORDINGS if new else WORDINGS)[kind])
    shown = name if random.random() < 0.5 else f"`{name}`"
    called = random.choice((function.name, function.bare))
    return {
        "question": wording.format(name=shown, function=called),
        "context": function.context,
        "answers": answers,
        "group": function.bare,
        "slice question": kind,
        "slice wording": "new" if new else "as in training",
        "slice library": function.library,
    }


def _same(text: str) -> str:
    return " ".join(look(text).casefold().split())


# Docstrings


def documented_functions() -> Iterator[Documented]:
    """The functions of the libraries that document at least two parameters, each docstring once."""
    seen: set[str] = set()
    for library in LIBRARIES:
        spec = find_spec(library)  # locates the package, does not import it
        assert spec and spec.submodule_search_locations
        root = Path(spec.submodule_search_locations[0])
        for path in sorted(root.rglob("*.py")):
            inside = path.relative_to(root)
            if SKIPPED_FOLDERS.isdisjoint(inside.parts):
                source = path.read_text(encoding="utf-8", errors="replace")
                for name, docstring in docstrings(source):
                    is_public = not any(part.startswith("_") for part in name.split("."))
                    function = parsed(library, name, docstring) if is_public else None
                    if function and (key := _same(function.context)) not in seen:
                        seen.add(key)
                        yield function


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """(name, docstring) of the functions and classes of a file, and of those that numpy documents apart."""
    if PARAMETERS not in source:
        return
    yield from _docstrings(ast.parse(source), "")


def _docstrings(tree: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            name = f"{inside}{node.name}"
            if docstring := ast.get_docstring(node):
                yield name, docstring
            if isinstance(node, ast.ClassDef):
                yield from _docstrings(node, f"{name}.")
        elif isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call):
            # add_newdoc("numpy", "zeros", """...""") or with a pair of the method's name and its docstring
            texts = [
                one.value for one in ast.walk(call) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            if ast.unparse(call.func) == "add_newdoc" and len(texts) >= 2:
                yield ".".join(texts[1:-1]) or texts[0], inspect.cleandoc(texts[-1])
        else:
            yield from _docstrings(node, inside)


def parsed(library: str, name: str, docstring: str) -> Documented | None:
    """The function of a docstring; None where it does not say enough, or leaves something to be filled in."""
    lines = docstring.expandtabs().replace("``", "").splitlines()
    heads = [
        at for at in range(len(lines) - 1) if RULE.fullmatch(lines[at + 1]) and lines[at] and lines[at][0].isalpha()
    ]
    ends = [*heads[1:], len(lines)][: len(heads)]
    kept = {lines[head].strip(): (head, end) for head, end in zip(heads, ends, strict=True)}
    if PARAMETERS not in kept:
        return None
    summary = lines[: min(heads)]
    text = "\n".join(_trimmed(summary[: summary.index("")] if "" in summary[:-1] else summary))
    entries: list[Entry] = []
    for section in SECTIONS:
        if section in kept:
            head, end = kept[section]
            text += ("\n\n" if text else "") + f"{section}\n"
            body = _trimmed(lines[head + 2 : end])
            entries += _entries(section, body, len(text))
            text += "\n".join(body)
    function = Documented(library, name, text, entries)
    if PLACEHOLDER.search(text) or len(text) > MOST_CHARACTERS or len(function.parameters) < LEAST_PARAMETERS:
        return None
    for entry in entries:
        _read(entry, text)
    return function


def _trimmed(lines: list[str]) -> list[str]:
    """The lines without blanks at their ends, and without blank lines around them."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").split("\n")


def _entries(section: str, lines: list[str], offset: int) -> list[Entry]:
    """The entries of a section whose first line begins at `offset`; `meaning` is the whole description for now."""
    pattern = {PARAMETERS: ENTRY, RETURNS: RETURNED, RAISES: RAISED}[section]
    entries: list[Entry] = []
    is_open = False
    for line in lines:
        end = offset + len(line)
        if line and not line[0].isspace():
            match = pattern.match(line)
            is_open = match is not None
            if match:
                names = [name.strip(" *") for name in (match["names"] or "").split(",")]
                has_type = section != RAISES and match["type"]
                entries.append(Entry(section, names, (offset + match.start("type"), end) if has_type else None))
        elif line.strip() and is_open:
            start = offset + len(line) - len(line.lstrip())
            entries[-1].meaning = (entries[-1].meaning[0] if entries[-1].meaning else start, end)
        offset = end + 1
    return entries


def _read(entry: Entry, context: str) -> None:
    """Make the answers of an entry's line and description."""
    described = context[slice(*entry.meaning)] if entry.meaning else ""
    typed = context[slice(*entry.type)] if entry.type else ""
    entry.has_default = "default" in f"{typed} {described}".lower()
    for span, text in ((entry.type, typed), (entry.meaning, described)):
        matches = (pattern.search(text) for pattern in DEFAULTS)
        found = [match for match in matches if match and match["value"].lower() not in NO_VALUE]
        if span and found and not entry.default:
            entry.default = (span[0] + found[0].start("value"), span[0] + found[0].end("value"))
    if entry.type:
        entry.type = _span(entry.type[0], TYPE_END.sub("", typed))
    if entry.meaning:
        paragraph = described.split("\n\n")[0]
        sentence = SENTENCE.match(paragraph)
        entry.meaning = _span(entry.meaning[0], (sentence[0] if sentence else paragraph).rstrip(".: \n"))


def _span(start: int, text: str) -> Span | None:
    """Where an answer stands; None for one that is empty or too long to be one."""
    return (start, start + len(text)) if text and len(text.split()) <= MOST_ANSWER_WORDS else None
