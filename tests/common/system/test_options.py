"""Whatever a value looks like, an option takes it as it stands, or refuses it in one sentence."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Lt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.system.errors import UserError
from common.system.options import help_text, options_of, read_arguments, read_yaml, to_yaml


@dataclass(frozen=True)
class Letters:
    """Letters.

    Args:
        text: what is
            written.
        perhaps: is there one; null for none.
        several: texts.
        named: texts with names.
        choice: a style.
    """

    text: str = "a"
    perhaps: str | None = None
    several: list[str] = dataclasses.field(default_factory=list)
    named: dict[str, str] = dataclasses.field(default_factory=dict)
    choice: Literal["none", "yes"] = "none"


@dataclass(frozen=True)
class Everything(Letters):
    """Numbers.

    Args:
        whole: of 100 %.
        share: how much.
        limit: at most.
        flag: whether.
    """

    whole: Annotated[int, Ge(3)] = 4
    share: Annotated[float, Gt(0), Lt(1)] = 0.5
    limit: Annotated[int, Gt(0)] | None = None
    flag: bool = True


OPTIONS = options_of(Everything)
# What YAML, a shell or a parser of options could take for something else.
LOOKS = [
    *("#id", "#1 reviews.csv", "~", "null", "NULL", "true", "yes", "no", "on", "1e3", "007", "0x10", "12:30", "1_000"),
    *("2022-04-12", "[a, b]", "{a: b}", "{x}.csv", "*.csv", "&a", "!x.csv", "@here", "%d", "a: b", "a #b", "- a", "-1"),
    *(
        "-x",
        "a=b",
        "=",
        "'",
        '"',
        "| x",
        "> x",
        "`x`",
        "größe 日本",
        " a ",
        "a\nb",
        "\x1b[31m",
        "\u2028",
        "\ufeff",
        "...",
    ),
]
texts = st.one_of(st.sampled_from(LOOKS), st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
words = texts.filter(lambda text: not text.startswith("--"))


def from_line(*arguments: str) -> dict[str, Any]:
    return read_arguments(arguments, OPTIONS)[0]


@given(words)
@settings(max_examples=300)
@example("#id")
@example("null")
def test_a_text_on_the_command_line_is_what_stands_there(text: str) -> None:
    assert from_line("--text", text, "--perhaps", text) == {"text": text, "perhaps": text}


@given(texts)
@settings(max_examples=300)
@example("--whole")
@example("--")
def test_and_behind_an_equals_sign_whatever_it_is(text: str) -> None:
    assert from_line(f"--text={text}", f"--several={text}") == {"text": text, "several": [text]}


@given(st.lists(words, min_size=1), st.dictionaries(words.filter(lambda text: "=" not in text), texts, min_size=1))
def test_lists_and_names_hold_texts_as_they_stand(several: list[str], named: dict[str, str]) -> None:
    pairs = [f"{name}={value}" for name, value in named.items()]
    assert from_line("--several", *several, "--named", *pairs) == {"several": several, "named": named}


everything = st.builds(
    Everything,
    text=texts,
    perhaps=st.none() | texts,
    several=st.lists(texts),
    named=st.dictionaries(texts, texts),
    choice=st.sampled_from(["none", "yes"]),
    whole=st.integers(3, 2**70),
    share=st.floats(0, 1, exclude_min=True, exclude_max=True),
    limit=st.none() | st.integers(1, 99),
    flag=st.booleans(),
)


@given(everything)
@settings(max_examples=300)
def test_every_value_of_every_type_is_read_back_from_yaml(tmp_path_factory: Any, before: Everything) -> None:
    file = tmp_path_factory.getbasetemp() / "options.yaml"
    file.write_text(to_yaml(dataclasses.asdict(before)), encoding="utf-8")
    assert Everything(**read_yaml(file, OPTIONS)) == before


@given(everything)
@settings(max_examples=200)
def test_and_from_the_command_line(before: Everything) -> None:
    arguments = []
    for name, value in dataclasses.asdict(before).items():
        if isinstance(value, list | dict):
            parts = value if isinstance(value, list) else [f"{key}={part}" for key, part in value.items()]
            if not parts or any(part.startswith("--") or "=" in part.partition("=")[0] for part in parts):
                continue
            if isinstance(value, dict) and any("=" in key for key in value):
                continue
            arguments += [f"--{name}", *parts]
        elif value is not None:
            arguments.append(f"--{name}={value}")
    given_values = from_line(*arguments)
    assert given_values == {name: getattr(before, name) for name in given_values}
    assert {"text", "whole", "share", "flag", "choice"} <= given_values.keys()


@given(st.text(max_size=300))
@settings(max_examples=500)
def test_any_file_is_read_or_refused_in_a_sentence(tmp_path_factory: Any, content: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content.encode("utf-8", errors="surrogatepass"))
    try:
        read_yaml(file, OPTIONS)
    except UserError as error:
        assert len(str(error)) > 20


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("perhaps: #id", None),
        ("perhaps: '#id'", "#id"),
        ("perhaps: null", None),
        ("perhaps:", None),
        ("perhaps: ~", None),
        ("perhaps: 'null'", "null"),
        ("perhaps: 007", "007"),
        ("perhaps: 2022-04-12", "2022-04-12"),
        ("perhaps: yes", "yes"),
        ("perhaps: 1e3", "1e3"),
        ("perhaps: a.csv # mine", "a.csv"),
        ("perhaps: &a a.csv", "a.csv"),
        ("perhaps: |-\n  a b\n", "a b"),
        ("several: [yes, 1e3, '#id']", ["yes", "1e3", "#id"]),
        ("named: {shop: 12:30}", {"shop": "12:30"}),
        ("share: 1e-4", 1e-4),
        ("share: 1.0e-4", 1e-4),
        ("limit: null", None),
        ("flag: no", False),
        ("choice: none", "none"),
        ("choice: yes", "yes"),
    ],
)
def test_yaml_means_what_yaml_says(tmp_path: Path, line: str, value: Any) -> None:
    (tmp_path / "a.yaml").write_text(f"{line}\n")
    assert list(read_yaml(tmp_path / "a.yaml", OPTIONS).values()) == [value]


DEEP = "text: " + "[" * 100_000
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60)) + "text: *a60\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("text: null", "--text must have a value, not null."),
        ("text: ''", "--text is empty: give it a value, or leave it out."),
        ("text: !x.csv", "has a YAML tag, !x.csv: what begins with ! stands in quotation marks"),
        ("text: !!python/object/apply:os.system [ls]", "must be text, not a list or a table"),
        ("text: !!binary aGk=", "has a YAML tag, binary"),
        ("text: @here", "line 1 is no YAML (found character '@' that cannot start any token): texts with"),
        ("text: *.csv", "is no YAML"),
        ("text: [a]", "--text must be text, not a list or a table."),
        ("several: a", "--several must be [first, second] in YAML."),
        ("several: [a, null]", "--several must have a value, not null."),
        ("named: [a]", "--named must be {name: value} in YAML."),
        ("named: {a: b, a: c}", "--named names a twice"),
        ("whole: 4\nwhole: 5", "gives whole twice"),
        ("whole: 010", "--whole must be a whole number of at least 3, not 010."),
        ("share: .inf", "--share must be a number greater than 0 and less than 1, not .inf."),
        ("config: /etc/passwd", "unknown option --config"),
        ("- a", "holds no options"),
        ("{a: b}: c", "unknown option"),
        ("a: 1\n---\nb: 2", "is no YAML (but found another document)"),
        (DEEP, "is nested too deeply"),
        (BOMB, "unknown option --a0"),
        ("text: a\n" * 200_000, "is too large to be a configuration"),
    ],
)
def test_what_is_no_configuration_gets_a_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(UserError) as caught:
        read_yaml(tmp_path / "a.yaml", OPTIONS)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_none_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("text: größe".encode("latin-1"))
    for name, sentence in (("none.yaml", "there is no configuration"), (".", "is a folder"), ("latin.yaml", "UTF-8")):
        with pytest.raises(UserError, match=sentence):
            read_yaml(tmp_path / name, OPTIONS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text"], "--text needs a value"),
        (["--text", "--whole", "4"], "--text needs a value"),
        (["--text", ""], "--text is empty"),
        (["--text="], "--text is empty"),
        (["--perhaps", ""], "--perhaps is empty"),
        (["--several", "a", ""], "--several is empty"),
        (["--named", "{a: b}"], "--named must be NAME=VALUE, as in shop=shop.csv, not {a: b}."),
        (["--named", "a=b", "a=c"], "--named names a twice"),
        (["--several", "a", "--several", "b"], "--several stands twice on the command line"),
        (["--config", "a", "--config", "b"], "--config stands twice"),
        (["--text", "caf\udce9.csv"], "is no text in UTF-8"),
        (["--wole", "4"], "unknown option --wole (did you mean --whole?)"),
        (["--whole", "4", "5"], "unexpected argument '5'"),
        (["-x"], "unexpected argument '-x'"),
        (["--whole", "null"], "--whole must be a whole number of at least 3, not null."),
        (["--whole", "٤"], "--whole must be a whole number of at least 3, not ٤."),
        (["--whole", "-1e5"], "--whole must be a whole number of at least 3, not -1e5."),
        (["--whole", "9" * 5_000], "--whole must be a whole number"),
        (["--flag", "maybe"], "--flag must be true or false, not maybe."),
        (["--choice", "nine"], "--choice must be one of none, yes, not nine (did you mean none?)."),
    ],
)
def test_bad_words_get_a_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        read_arguments(arguments, OPTIONS)
    assert sentence in str(caught.value)


def test_dashes_null_and_the_file() -> None:
    values, file = read_arguments(["--config=a b.yaml", "--limit", "null", "--flag", "Off"], OPTIONS)
    assert (values, file) == ({"limit": None, "flag": False}, "a b.yaml")
    dashed = options_of(dataclasses.make_dataclass("Dashed", [("two_words", str, "a")]))
    assert read_arguments(["--two-words", "a-b"], dashed)[0] == {"two_words": "a-b"}


def test_help_shows_groups_in_order_with_sentences_limits_and_defaults() -> None:
    lines = help_text("kit train x", "About it.", Everything).splitlines()
    assert lines[0] == "usage: kit train x [--config FILE] [--NAME VALUE ...]"
    assert lines.index("Letters:") < lines.index("  --choice {none,yes}") < lines.index("Numbers:")
    assert lines[lines.index("  --text TEXT") + 1].strip() == "what is written. (default: a)"
    assert lines[lines.index("  --perhaps TEXT") + 1].strip() == "is there one; null for none."
    assert lines[lines.index("  --whole N") + 1].strip() == "of 100 %. (a whole number of at least 3; default: 4)"
    assert lines[lines.index("  --limit N") + 1].strip() == "at most. (a whole number greater than 0)"
    assert "  --named NAME=TEXT ..." in lines and "  --several TEXT ..." in lines
