"""The kit's own source, read and never run: which modules a module needs."""

import ast
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KIT = ("common", "projects", "apps")


def used_modules(*start: str, skip: Callable[[str], bool] = lambda name: False) -> dict[str, Path]:
    """{name: file} of the kit's modules that the given ones import, also late, and of the packages above them."""
    found: dict[str, Path] = {}
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        file = module_file(name)
        if file is None or name in found or skip(name):
            continue
        found[name] = file
        used = (imported for imported in imports(file, name) if imported.split(".")[0] in KIT)
        waiting += [name.rpartition(".")[0], *used]
    return dict(sorted(found.items()))


def imports(file: Path, name: str = "") -> set[str]:
    """Every module that a file imports, also the names that may be modules in `from package import name`.

    `name` is the file's own module name, from which relative imports start.
    """
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def module_file(name: str) -> Path | None:
    """The file of one of the kit's modules or packages; None where there is none."""
    path = REPOSITORY.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if name and file.is_file()), None)
