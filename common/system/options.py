"""The options of a frozen dataclass, from the command line and from YAML, with a sentence for each in `--help`.

A value is read by the type of its option and by nothing else: on the command line a text is what stands there, be it
`#1.csv`, `null` or `[a]`; in YAML it is what YAML makes of it, read as written (`007`, `1e-4` and `yes` stay as they
are where an option holds text). Type hints are `str`, `int`, `float`, `bool`, `Literal[...]`, each perhaps with limits
(`Annotated[int, Gt(0)]`) or `| None`, `list[str]` and `dict[str, str]`.
"""

import dataclasses
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from common.system.errors import UserError, nearest

if TYPE_CHECKING:
    from yaml.nodes import Node

BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
WHOLE_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
NULL = "tag:yaml.org,2002:null"
PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "value")}
OTHER_LINE_ENDS = re.compile("[\x85\u2028\u2029\ufeff]")  # PyYAML writes them as they are and reads blanks
LARGEST_FILE = 1_000_000  # bytes of a YAML file
INDENT = " " * 8  # of sentences in --help


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        group: heading that it stands under in `--help`.
        type: of the value, or of each value in a list or dict: str, int, float or bool.
        limits: of a number, from annotated_types.
        choices: the texts that it may be; empty for any.
        shape: None for one value, else list or dict.
        optional: whether it may be null.
    """

    name: str
    group: str
    sentence: str
    default: Any
    type: Any
    limits: tuple[Any, ...] = ()
    choices: tuple[str, ...] = ()
    shape: Any = None
    optional: bool = False

    def from_words(self, words: list[str]) -> Any:
        """The value of the words after the option's name.  Raises UserError."""
        if self.shape is list:
            return [self.from_text(word) for word in words]
        if self.shape is dict:
            return self._named([self._pair(word) for word in words])
        if words == ["null"] and self.optional and self.type is not str:
            return None
        return self.from_text(words[0])

    def from_node(self, node: "Node") -> Any:
        """The value of a YAML node.  Raises UserError."""
        from yaml.nodes import MappingNode, SequenceNode

        if self.shape is list and isinstance(node, SequenceNode):
            return [self._from_scalar(item) for item in node.value]
        if self.shape is dict and isinstance(node, MappingNode):
            return self._named([(self._from_scalar(key), self._from_scalar(value)) for key, value in node.value])
        if self.shape is not None and node.tag != NULL:
            form = "[first, second]" if self.shape is list else "{name: value}"
            raise UserError(f"--{self.name} must be {form} in YAML.")
        if node.tag == NULL and self.optional:
            return None
        return self._from_scalar(node)

    def from_text(self, text: str) -> Any:
        """One value.  Raises UserError where it is none of the option's type, or out of its limits."""
        if self.type is str:
            return self._text(text)
        value = _number(self.type, text.strip())
        if value is None or not all(_holds(limit, value) for limit in self.limits):
            raise UserError(f"--{self.name} must be {self.words()}, not {text}.")
        return value

    def _text(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise UserError(f"--{self.name} must be {self.words()}, not {text}{nearest(text, self.choices)}.")
        if not text:
            raise UserError(f"--{self.name} is empty: give it a value, or leave it out.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise UserError(f"--{self.name} {text!r} is no text in UTF-8: rename what it names.") from None
        if "\0" in text:
            raise UserError(f"--{self.name} {text!r} holds a null character: nothing can be called that.")
        return text

    def _from_scalar(self, node: "Node") -> Any:
        from yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            raise UserError(f"--{self.name} must be {self.words()}, not a list or a table.")
        if node.tag not in PLAIN_TAGS:
            tag = node.tag.removeprefix("tag:yaml.org,2002:")
            raise UserError(f"--{self.name} has a YAML tag, {tag}: what begins with ! stands in quotation marks.")
        if node.tag == NULL:
            raise UserError(f"--{self.name} must have a value, not null.")
        return self.from_text(node.value)

    def _pair(self, word: str) -> tuple[str, str]:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--{self.name} must be NAME=VALUE, as in shop=shop.csv, not {word}.")
        return self.from_text(name), self.from_text(value)

    def _named(self, pairs: list[tuple[str, str]]) -> dict[str, str]:
        named = dict(pairs)
        if len(named) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"--{self.name} names {twice} twice: give each its own name.")
        return named

    def words(self) -> str:
        """What the option takes: `a whole number of at least 3`."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        kind = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}[self.type]
        return " ".join([kind, " and ".join(map(_limit, self.limits))]).strip()

    def form(self) -> str:
        """The value's form in `--help`."""
        if self.choices:
            return "{" + ",".join(self.choices) + "}"
        one = {str: "TEXT", bool: "{true,false}", int: "N", float: "NUMBER"}[self.type]
        return {list: f"{one} ...", dict: f"NAME={one} ...", None: one}[self.shape]

    def explanation(self) -> str:
        """The option's sentence, its limits and its default."""
        limits = f"{self.words()}; " if self.limits else ""
        if self.default is None or self.default in ([], {}):
            return f"{self.sentence} ({limits.removesuffix('; ')})" if limits else self.sentence
        default = str(self.default).lower() if self.type is bool else self.default
        return f"{self.sentence} ({limits}default: {default})"


def _number(kind: Any, text: str) -> Any:
    """The text as bool, int or finite float; None where it is none."""
    if kind is bool:
        return BOOLEANS.get(text.lower())
    if kind is int:
        return int(text) if WHOLE_NUMBER.fullmatch(text) and len(text) < 100 else None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None  # neither infinite nor nan


LIMITS: dict[Any, tuple[str, Callable[[Any, Any], bool], str]] = {
    Gt: ("gt", lambda value, limit: value > limit, "greater than"),
    Ge: ("ge", lambda value, limit: value >= limit, "of at least"),
    Lt: ("lt", lambda value, limit: value < limit, "less than"),
    Le: ("le", lambda value, limit: value <= limit, "at most"),
}


def _holds(limit: Any, value: Any) -> bool:
    name, compare, _ = LIMITS[type(limit)]
    return compare(value, getattr(limit, name))


def _limit(limit: Any) -> str:
    name, _, words = LIMITS[type(limit)]
    return f"{words} {getattr(limit, name)}"


def options_of(config_class: type, explained: bool = False) -> dict[str, Option]:
    """The options of a dataclass by name; with their sentences and headings only where they are to be `explained`.

    A group is a class that the dataclass inherits from: its docstring begins with the heading and explains its fields.
    """
    hints = get_type_hints(config_class, include_extras=True)
    groups, sentences = _explanations(config_class) if explained else ({}, {})
    options = {}
    for field in dataclasses.fields(config_class):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        group, sentence = groups.get(field.name, ""), sentences.get(field.name, "")
        options[field.name] = _option(Option(field.name, group, sentence, default, str), hints[field.name])
    return options


def _option(option: Option, hint: Any) -> Option:
    """The option with what its type hint says."""
    if type(None) in get_args(hint):
        (hint,) = (arm for arm in get_args(hint) if arm is not type(None))
        option = dataclasses.replace(option, optional=True)
    if get_origin(hint) is Annotated:
        hint, *limits = get_args(hint)
        option = dataclasses.replace(option, limits=tuple(limits))
    if get_origin(hint) in (list, dict):
        return dataclasses.replace(option, shape=get_origin(hint), type=get_args(hint)[-1])
    if get_origin(hint) is Literal:
        return dataclasses.replace(option, choices=get_args(hint))
    return dataclasses.replace(option, type=hint)


def _explanations(config_class: type) -> tuple[dict[str, str], dict[str, str]]:
    """{option: heading} and {option: sentence}, from the docstrings of the classes that declare the options."""
    from docstring_parser import parse

    groups: dict[str, str] = {}
    sentences: dict[str, str] = {}
    for declaring in reversed(config_class.__mro__):
        documented = parse(declaring.__doc__ or "")
        for name in inspect.get_annotations(declaring):
            groups.setdefault(name, str(documented.short_description).rstrip("."))
        sentences |= {each.arg_name: " ".join(str(each.description).split()) for each in documented.params}
    return groups, sentences


def read_arguments(arguments: Sequence[str], options: dict[str, Option]) -> tuple[dict[str, Any], str | None]:
    """The values that the command line gives, and the YAML file that `--config` names.

    Raises UserError on what is no option, and on values of another type.
    """
    given: dict[str, list[str]] = {}
    for name, words in _walk(arguments, {**options, "config": CONFIG}):
        if name in given and (name == "config" or options[name].shape is not None):
            raise UserError(f"--{name} stands twice on the command line: give all of it once.")
        given[name] = words
    file = given.pop("config", None)
    return {name: options[name].from_words(words) for name, words in given.items()}, file[0] if file else None


CONFIG = Option("config", "", "YAML file with any of the options below; the command line wins over it.", None, str)


def _walk(arguments: Sequence[str], options: dict[str, Option]) -> Iterator[tuple[str, list[str]]]:
    """Each option that stands on the command line with its words.  `--train-file` is `--train_file`."""
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        head, equals, value = argument.partition("=")
        if not head.startswith("--"):
            raise UserError(f"unexpected argument {argument!r}: options are written --name value; --help lists them.")
        option = _known(head.removeprefix("--"), options)
        words = [value] if equals else []
        while waiting and not waiting[0].startswith("--") and (not words or (option.shape and not equals)):
            words.append(waiting.pop(0))
        if not words:
            raise UserError(f"--{option.name} needs a value: `--{option.name} VALUE`, or --{option.name}=VALUE.")
        yield option.name, words


def _known(name: str, options: dict[str, Option]) -> Option:
    """The option of a name as it was written.  Raises UserError where there is none."""
    if option := options.get(name.replace("-", "_")):
        return option
    close = nearest(name.replace("-", "_"), list(options)).replace("did you mean ", "did you mean --")
    raise UserError(f"unknown option --{name}{close}: --help lists them all.")


def read_yaml(path: Path, options: dict[str, Option]) -> dict[str, Any]:
    """The values in a YAML file.  Raises UserError where it cannot be read, or holds what is no option."""
    from yaml.nodes import MappingNode

    root = composed(path)
    if root is None:
        return {}
    if not isinstance(root, MappingNode):
        raise UserError(f"{path} holds no options: write them as `name: value`, one a line.")
    values: dict[str, Any] = {}
    for key, node in root.value:
        option = _known(key.value if isinstance(key.value, str) else "?", options)
        if option.name in values:
            raise UserError(f"{path} gives {option.name} twice: remove one of the two lines.")
        values[option.name] = option.from_node(node)
    return values


def to_yaml(values: dict[str, Any]) -> str:
    """The values as YAML that `read_yaml` reads back, whatever characters they hold."""
    import yaml

    readable = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=LARGEST_FILE)
    if not OTHER_LINE_ENDS.search(readable):
        return readable
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=False, width=LARGEST_FILE)


def composed(path: Path) -> "Node | None":
    """A YAML file as its nodes, which are not made into objects: no tag or date is followed.  Raises UserError."""
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UserError(f"there is no configuration file {path}: check the path after --config.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder: --config names a YAML file.") from None
    if len(text) > LARGEST_FILE:
        raise UserError(f"{path} is too large to be a configuration: check the path after --config.")
    try:
        return yaml.compose(text.decode("utf-8-sig"), yaml.SafeLoader)
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save it as UTF-8.") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be a configuration.") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        hint = "texts with special characters stand in quotation marks"
        raise UserError(f"{path}{line} is no YAML ({error.problem}): {hint}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML ({' '.join(str(error).split())}).") from None


def help_text(program: str, about: str, config_class: type) -> str:
    """What `--help` shows: every option under the heading of its group, with its sentence."""
    width = min(shutil.get_terminal_size().columns, 120)
    lines = [f"usage: {program} [--config FILE] [--NAME VALUE ...]", *(["", about] if about else []), ""]
    lines += [f"  --config FILE  {CONFIG.sentence}", "  Names may be written with dashes, too: --train-file."]
    options = options_of(config_class, explained=True).values()
    for group in dict.fromkeys(option.group for option in options):
        lines += ["", f"{group}:"]
        for option in options:
            if option.group == group:
                lines.append(f"  --{option.name} {option.form()}")
                lines += textwrap.wrap(option.explanation(), width, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join(lines)
