"""The quick tests with the newest packages instead of those of constraints.txt: what is newer, and what broke.

Prints a summary in Markdown, on GitHub into the summary of the job; the exit status is that of the tests.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
TESTS = [sys.executable, "-m", "pytest", "-m", "not slow", "-n", "2", "--dist", "loadfile", "-q", "--tb=short", "-rfE"]
# What a summary shows of the end of the output.
SHOWN_LINES = 150


def main() -> int:
    """Install, test, and say how it went."""
    if status := run([*PIP, "install", "--upgrade", "--upgrade-strategy", "eager", "-e", ".[test]"])[0]:
        report("The newest packages cannot be installed together; the log of this step says which.")
        return status
    listed = subprocess.run([*PIP, "list", "--format", "json"], capture_output=True, text=True, check=True).stdout
    newer = changed(Path("constraints.txt").read_text(encoding="utf-8"), json.loads(listed))
    run(["kit", "starters"])
    status, output = run(TESTS, HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    report(summary(newer, status, output))
    return status


def run(command: list[str], **variables: str) -> tuple[int, str]:
    """Run a command, show what it prints, and return its status and its output."""
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables}
    ) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def changed(constraints: str, installed: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    """(package, tested version, installed version) of each package that is not the tested one."""
    versions = {package["name"].lower().replace("_", "-"): package["version"] for package in installed}
    pins = (line.split("#")[0].strip().split("==") for line in constraints.splitlines() if "==" in line.split("#")[0])
    found = []
    for name, pin in pins:
        version = versions.get(name.lower().replace("_", "-"), pin)
        if version.split("+")[0] != pin.split("+")[0]:
            found.append((name, pin, version))
    return found


def summary(newer: list[tuple[str, str, str]], status: int, output: str) -> str:
    """What is newer and which tests failed."""
    broke = [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    parts = [f"## {'The quick tests pass' if not status else f'{len(broke)} tests fail'} with the newest packages"]
    if newer:
        parts.append(
            "\n".join(["| package | tested | newest |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in newer)])
        )
    else:
        parts.append("They are those of constraints.txt.")
    if status:
        end = "\n".join(output.splitlines()[-SHOWN_LINES:])
        parts += ["\n".join(f"- `{line}`" for line in broke), f"````text\n{end}\n````"]
    return "\n\n".join(parts) + "\n"


def report(text: str) -> None:
    """Put the text into the summary of the job, or print it."""
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a", encoding="utf-8") as summary_file:
            summary_file.write(text)
    print(text)


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    raise SystemExit(main())
