"""What users wrote is shown on a terminal, and does nothing there."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from common.system.errors import UserError, exit_with_sentence
from common.system.progress import SafeConsole
from common.system.terminal import on_one_line, printable
from tests.conftest import REPOSITORY

HOSTILE = "\x1b[2J\x1b]0;title\x07[red]a[/red] :cat: \x9b31m \u202eb\rc"


@given(st.text())
def test_only_line_feeds_and_tabs_command_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not any(
        (character < " " and character not in "\n\t") or "\x7f" <= character <= "\x9f" for character in shown
    )
    assert "\n" not in on_one_line(text) and "\t" not in on_one_line(text)
    if text.isprintable():
        assert shown == text


def test_a_console_shows_texts_and_cells_as_they_stand() -> None:
    console = SafeConsole(file=io.StringIO(), width=300)
    table = Table("column")
    table.add_row(HOSTILE)
    console.print(HOSTILE)
    console.print(table)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.count(r"\x1b[2J\x1b]0;title\x07[red]a[/red] :cat: \x9b31m \u202eb\rc") == 2
    assert not set("\x1b\x07\x9b\u202e\r") & set(shown)


def test_a_sentence_about_a_hostile_name_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise UserError(f"there is no file {HOSTILE}.")

    with pytest.raises(SystemExit):
        exit_with_sentence(main)
    assert r"\x1b[2J\x1b]0;title\x07" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_no_encoding_stops_a_command(encoding: str) -> None:
    script = (
        "import sys\n"
        "from common.system.errors import UserError, exit_with_sentence\n"
        "from common.system.progress import say\n"
        "def main():\n"
        "    say('gr\\xf6\\xdfe \\u65e5\\u672c \\U0001f600 \\udce9')\n"
        "    raise UserError('\\u65e5')\n"
        "exit_with_sentence(main)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=False)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    shown = done.stdout.decode(encoding).strip()
    expected = {
        "latin-1": r"größe \u65e5\u672c \U0001f600 \udce9",
        "ascii": r"gr\xf6\xdfe \u65e5\u672c \U0001f600 \udce9",
    }
    assert shown == expected.get(encoding, "größe 日本 \U0001f600 \\udce9")


def test_no_other_file_of_the_kit_prints() -> None:
    """A bare `print` would hand a text to the terminal as it is."""
    allowed = {"common/system/errors.py", "common/config.py"}  # after `printable`; the kit's own help
    printing = {
        file.relative_to(REPOSITORY).as_posix()
        for file in sorted((REPOSITORY / "common").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == allowed
    consoles = {
        Path(file).name
        for file in (REPOSITORY / "common").rglob("*.py")
        if "rich.console import Console" in file.read_text(encoding="utf-8")
    }
    assert consoles == {"progress.py"}
