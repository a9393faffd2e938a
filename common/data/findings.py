"""What is wrong with the rows, said before training: which file, which rows, what to do.

Errors stop the run; warnings are counted in the report, with the score on the rows that none of them
concerns. Nothing is dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from datasets import Dataset

from common.system.errors import UserError

# Where long texts are read in windows.
UNCUT = "nothing is cut; a larger --max_length reads more at once"


@dataclass
class Problems:
    """Row numbers, or names of files, by what is wrong with them."""

    rows: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, problem: str, row: int | str) -> None:
        self.rows.setdefault(problem, []).append(row)


@dataclass(frozen=True)
class Finding:
    """One kind of problem in one file or split.

    Attributes:
        severity: errors stop the run, warnings are counted.
        where: file or split.
        rows: numbers of the rows, counted from 1 without the header, or the names of their files.
        problem, remedy: what is wrong, and what to do.
    """

    severity: Literal["error", "warning"]
    where: str
    rows: list[int] | list[str]
    problem: str
    remedy: str

    def __str__(self) -> str:
        stop = "" if self.remedy.endswith("?") else "."
        return f"{self.where}{_row_list(self.rows)}: {self.problem}: {self.remedy}{stop}"


def check_row_problems(where: str, problems: Problems, findings: list[Finding]) -> None:
    """Turn what was wrong with single rows into findings."""
    for problem, rows in problems.rows.items():
        what, remedy = _problem_and_remedy(problem)
        findings.append(Finding("error", where, rows, what, remedy))


def _problem_and_remedy(text: str) -> tuple[str, str]:
    """The two parts of `what is wrong (what to do)`; names in either may hold brackets, too."""
    if text.endswith(")"):
        depth = 0
        for place in range(len(text) - 1, 0, -1):
            depth += {")": 1, "(": -1}.get(text[place], 0)
            if not depth and text[place - 1] == " ":
                return text[: place - 1], text[place + 1 : -1]
    what, bracket, remedy = text.rpartition(" (")
    return (what, remedy.rstrip(")")) if bracket else (text, "correct or remove these rows")


def stop_on_errors(findings: Iterable[Finding]) -> None:
    """Raise UserError with every error among the findings."""
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        raise UserError(errors[0] if len(errors) == 1 else "the data cannot be trained on:\n  " + "\n  ".join(errors))


def row_names(rows: Dataset, indices: Any) -> list[int] | list[str]:
    """Row numbers in the file, or the names of the rows' own files, taken from the ids of the rows at `indices`."""
    if not len(indices):
        return []
    names = [row_id.partition(":")[2] for row_id in rows[list(indices)]["id"]]
    return [int(name) for name in names] if all(name.isdecimal() for name in names) else names


def in_training(
    features: Dataset, indices: Any, problem: str, remedy: str, severity: Literal["error", "warning"] = "warning"
) -> list[Finding]:
    """A finding on the training rows of the features at `indices`; none where there are no indices."""
    if not len(indices):
        return []
    return [Finding(severity, "the training rows", row_names(features, indices), problem, remedy)]


def shortened(names: Sequence[str], shown: int = 3) -> str:
    """The first few of some names, quoted."""
    return ", ".join(map(repr, names[:shown])) + (", ..." if len(names) > shown else "")


def _row_list(rows: list[int] | list[str], shown: int = 5) -> str:
    if not rows:
        return ""
    listed = ", ".join(map(str, rows[:shown]))
    more = f" and {len(rows) - shown} more" if len(rows) > shown else ""
    kind = "" if isinstance(rows[0], str) else "row " if len(rows) == 1 else "rows "
    return f", {kind}{listed}{more}"
