"""The house: imports go to lower floors alone, no circle between files or folders, no project's name in common."""

import ast
import re
from pathlib import Path

import pytest

from common.system.source import REPOSITORY, imports

# From the ground up; a file may import from its own folder and from lower floors.
FLOORS = [
    {"common.system", "common.metrics"},
    {"common.config"},
    {"common.data", "common.run"},
    {"common.task"},
    {"common.portfolio"},
    {"common.inference", "common.reporting"},
    {"common.predictor", "common.models", "common.training"},
    {"common.evaluation"},
    {"common.kinds", "common.fine_tune", "common.verify", "common.compare", "common.preview", "common.new"},
    {"projects"},
    {"apps"},
    {"common.cli"},
]
# Words that only some kinds of task have, and the names of files that may use them: attention has a softmax, too.
KINDS_WORDS = re.compile(r"accuracy|macro.?f1|softmax|temperature|confusion|\blabels?\b", re.IGNORECASE)
KINDS_FILES = re.compile(r"classification|calibration|confusion|classes|attention")


def graph() -> dict[str, set[str]]:
    """{module: modules of the kit that it imports}, late imports and those for types included."""
    files = {
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): file
        for top in ("common", "projects", "apps")
        for file in (REPOSITORY / top).rglob("*.py")
    }
    return {name: {other for other in imports(file, name) if other in files} - {name} for name, file in files.items()}


def room(module: str) -> str:
    """The folder, or the file at the root of common, in which a module is; the whole of projects or apps."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "common" else parts[0]


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Groups of nodes that reach each other."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = list(edges.get(start, ()))
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += edges.get(node, ())
        return found

    reach = {node: reached(node) for node in edges}
    return [{node, *(o for o in reach[node] if node in reach.get(o, ()))} for node in edges if node in reach[node]]


def test_every_import_goes_to_the_same_folder_or_to_a_lower_floor() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    upward = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if room(module) not in ("common", "projects", "apps")
        and room(other) != "common"
        and room(other) != room(module)
        and floor[room(other)] >= floor[room(module)]
    ]
    assert not upward
    tops = {"common": 0, "projects": 1, "apps": 2}
    across = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if tops[module.split(".")[0]] < tops[other.split(".")[0]]
    ]
    assert not across


def test_there_is_no_circle_between_files_or_folders() -> None:
    files = {
        module: {other for other in others if not _is_package(other)}
        for module, others in graph().items()
        if not _is_package(module)
    }
    assert not circles(files)
    folders: dict[str, set[str]] = {}
    for module, others in files.items():
        folders.setdefault(room(module), set()).update({room(other) for other in others} - {room(module)})
    assert not circles(folders)


def _is_package(module: str) -> bool:
    return (REPOSITORY.joinpath(*module.split(".")) / "__init__.py").exists()


def test_no_project_is_named_in_common() -> None:
    names = [folder.name for folder in (REPOSITORY / "projects").iterdir() if (folder / "README.md").exists()]
    assert "text_classification" in names
    named = [
        f"{file.relative_to(REPOSITORY)}: {name}"
        for file in (REPOSITORY / "common").rglob("*")
        if file.suffix in (".py", ".j2", ".css")
        for name in names
        if re.search(rf"\b{name}\b", file.read_text(encoding="utf-8"))
    ]
    assert not named


def test_projects_know_nothing_of_each_other() -> None:
    own = {module: module.split(".")[1] for module in graph() if module.startswith("projects.")}
    across = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if module in own and other in own and own[module] != own[other]
    ]
    assert not across


def test_words_of_one_kind_of_task_stand_in_its_files_alone() -> None:
    found = []
    for file in sorted((REPOSITORY / "common").rglob("*")):
        if file.suffix not in (".py", ".j2") or KINDS_FILES.search(file.name):
            continue
        for number, line in enumerate(_without_library_words(file).splitlines(), start=1):
            if KINDS_WORDS.search(line):
                found.append(f"{file.relative_to(REPOSITORY)}:{number}: {line.strip()}")
    assert not found


def _without_library_words(file: Path) -> str:
    """The text of a file without what libraries and HTML call so, such as matplotlib's `label=`."""
    theirs = r"\b(labels?=|get_label\b|aria-label|label2id|id2label)|</?label\b"
    return re.sub(theirs, "", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("planted", ["from common.fine_tune import fine_tune", "import projects.foundations.lessons"])
def test_the_graph_sees_late_and_type_checking_imports(tmp_path: Path, planted: str) -> None:
    file = tmp_path / "late.py"
    module = planted.split()[1]
    file.write_text(f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {planted}\n", encoding="utf-8")
    assert module in imports(file, "common.late")
    file.write_text(f"def late():\n    {planted}\n", encoding="utf-8")
    assert module in imports(file, "common.late")
    assert ast.parse(file.read_text(encoding="utf-8"))


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}] * 3
    assert not circles({"a": {"b"}, "b": set()})
