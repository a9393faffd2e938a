"""What `kit learn 01 --check` prints: each exercise, whether it is solved, and where not, what came and what should."""

import ast
import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHOWN = 100  # characters of what came and what should


@dataclass(frozen=True)
class Exercise:
    """One function of a file of exercises; `problem` is empty where it is solved."""

    name: str
    line: int
    problem: str


class Reports:
    """A plugin of pytest that keeps the first problem of each test function."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def pytest_assertrepr_compare(self, op: str, left: Any, right: Any) -> list[str]:
        wanted = "wanted" if op == "==" else f"wanted {op}"
        return [f"got {_short(left)}, {wanted} {_short(right)}"]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.failed:
            function = report.nodeid.rpartition("::")[2].partition("[")[0]
            before = self.problems.setdefault(function, "")
            if report.failed and not before:
                self.problems[function] = _problem(report)


def checked(exercises: Path, tests: Path) -> list[Exercise]:
    """The exercises in their order, as the tests find them.  `test_NAME` and `test_NAME_...` belong to NAME."""
    import pytest

    reports = Reports()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        status = pytest.main(["-q", "-p", "no:cacheprovider", str(tests)], plugins=[reports])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return [Exercise(exercises.name, 1, _import_problem(exercises) or said.getvalue().strip() or str(status))]
    functions = [node for node in ast.parse(exercises.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
    return [Exercise(one.name, one.lineno, _of(one.name, functions, reports.problems)) for one in functions]


def _of(name: str, functions: list[ast.FunctionDef], problems: dict[str, str]) -> str:
    """The first problem of the tests of one function; one without a test is not solved."""
    longer = [other.name for other in functions if other.name.startswith(f"{name}_")]
    own = [
        problem
        for test, problem in problems.items()
        if f"{test}_".startswith(f"test_{name}_")
        and not any(f"{test}_".startswith(f"test_{other}_") for other in longer)
    ]
    return next(filter(None, own), "") if own else "no test"


def _problem(report: Any) -> str:
    """A failed test in a few words."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash else str(report.longrepr)
    if message.startswith("NotImplementedError"):
        return "not started"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    got = next((line.removeprefix("assert ") for line in lines if line.removeprefix("assert ").startswith("got ")), "")
    first = lines[0].removeprefix("AssertionError: ") if lines else "fails"
    if not got or got in first:
        return got or first
    return f"{got} ({first.removeprefix('assert ')})"


def _import_problem(exercises: Path) -> str:
    """What is wrong with a file that Python cannot read."""
    try:
        ast.parse(exercises.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        return f"{exercises} cannot be read ({error})"
    return ""


def _short(value: Any) -> str:
    """The value's beginning in one line."""
    text = " ".join(repr(getattr(value, "expected", value)).split())  # pytest.approx holds what it expects
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
