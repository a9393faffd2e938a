"""Texts of users in Markdown: a renderer gives them back as they stand."""

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from common.reporting.markdown import fenced, inline

GITHUB = MarkdownIt("gfm-like", {"linkify": False})
MEANING = [
    *("<script>alert(1)</script>", "<!-- x", "&amp;", "__init__", "*a* **b**", "`code`", "~~gone~~", "$x$", "\\*"),
    *("![p](http://a.example/p.png)", "[a]: http://a.example", "https://a.example", "www.a.example", "a@b.example"),
    *("| a |", "# head", "a\n\n# b", "---", "===", "- item", "+ x", "12. item", "3) item", "> said", "    indented"),
]
LETTERS = ["word", " ", "\n", "_", "*", "!", "[", "](", "<", "1", ".", "ज़", "👩"]


def paragraph(text: str) -> str:
    """What a reader sees of a paragraph; there is nothing but it and its text."""
    page = GITHUB.render(f"{inline(text)}\n")
    found = re.fullmatch(r"<p>([^<]*)</p>\n", page)
    assert found, page
    return html.unescape(found[1])


def on_one_line(text: str) -> str:
    return re.sub(r"[ \t-\r\x85\u2028\u2029]+", " ", text).strip(" ")


@pytest.mark.parametrize("text", MEANING)
def test_what_has_a_meaning_in_markdown_is_text(text: str) -> None:
    assert paragraph(text) == on_one_line(text)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*MEANING, "word", " ", "\n", "_", "*", "!", "[", "](", "<", "1", ".", "ज़", "👩"]), max_size=8
    )
)
def test_no_mixture_of_them_has_a_meaning(pieces: list[str]) -> None:
    text = "x".join(pieces) if len(pieces) % 2 else "".join(pieces)
    if on_one_line(text):
        assert paragraph(text) == on_one_line(text)
        table = GITHUB.render(f"| a | b |\n|---|---|\n| {inline(text)} | c |\n")
        cells = [html.unescape(cell) for cell in re.findall(r"<td>([^<]*)</td>", table)]
        assert cells == [on_one_line(text), "c"] and table.count("<tr>") == 2


@pytest.mark.parametrize("text", ["https://a.example/x", "www.a.example", "mailto:a@b.example", "@someone", "#12"])
def test_no_address_becomes_a_link(text: str) -> None:
    source = str(inline(text))
    assert not re.search(r"://|www\.|@|mailto:|(?<!&)#", source) and html.unescape(source) == text


def test_words_and_numbers_stay_readable_in_the_source() -> None:
    plain = "snake_case of train.csv: 86.4\u202f% (84.9 to 87.9), p < 0.001; -7.8 - and 3. 4"
    assert inline(plain) == plain


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("`~a\n \\|<"), max_size=30).map(str.strip).filter(bool))
def test_a_block_of_code_ends_where_it_should(text: str) -> None:
    page = GITHUB.render(f"{fenced(text)}\n\nafter\n")
    found = re.fullmatch(r"<pre><code>(.*)\n</code></pre>\n<p>after</p>\n", page, re.DOTALL)
    assert found and html.unescape(found[1]) == text
