"""What runs outside of the kit: the install of `make`, and the weekly test of the newest packages."""

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

# Stands for Python: makes a .venv whose own `python` says as much as pip does and ends with the status in PIP_STATUS.
FAKE = """#!/bin/sh
mkdir -p .venv/bin
cat > .venv/bin/python <<'END'
#!/bin/sh
for i in $(seq 300); do echo "Collecting package $i"; done
echo "the last line" >&2
exit $PIP_STATUS
END
chmod +x .venv/bin/python
"""


@pytest.mark.parametrize("status", [0, 1])
def test_the_install_is_quiet_and_shows_an_error_in_full(tmp_path: Path, status: int) -> None:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    (tmp_path / "python").write_text(FAKE)
    (tmp_path / "python").chmod(0o755)
    command = ["make", ".venv/.installed", f"PYTHON={tmp_path / 'python'}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    environment["PIP_STATUS"] = str(status)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    first, *rest = done.stdout.splitlines()
    assert first.startswith("installing into .venv")
    assert (tmp_path / ".venv/install.log").read_text().count("Collecting") == 300
    assert (tmp_path / ".venv/.installed").exists() is (status == 0)
    if status:
        assert done.returncode != 0 and len(rest) == 301 and rest[-1] == "the last line"
    else:
        assert (done.returncode, rest, done.stderr) == (0, [], "")


def test_the_weekly_job_says_what_is_newer_and_what_broke() -> None:
    newest = runpy.run_path(str(REPOSITORY / ".ci/newest.py"))
    pins = "torch==2.13.0  # the loop\nscikit-learn==1.8\n# a==1\nrich==15.0.0\ngone==1\n"
    installed = [{"name": "torch", "version": "2.14.1+cpu"}, {"name": "rich", "version": "15.0.0"}]
    newer = newest["changed"](pins, [*installed, {"name": "scikit_learn", "version": "1.9"}])
    assert newer == [("torch", "2.13.0", "2.14.1+cpu"), ("scikit-learn", "1.8", "1.9")]
    said = newest["summary"](newer, 1, "dots\nFAILED tests/a.py::test_b - assert 1\nERROR tests/c.py\n2 failed")
    assert said.startswith("## 2 tests fail with the newest packages\n\n| package | tested | newest |")
    assert "| torch | 2.13.0 | 2.14.1+cpu |" in said and "- `FAILED tests/a.py::test_b - assert 1`" in said
    passed = newest["summary"]([], 0, "200 passed")
    assert passed == "## The quick tests pass with the newest packages\n\nThey are those of constraints.txt.\n"


@pytest.mark.parametrize("file", sorted((REPOSITORY / ".github/workflows").glob("*.yml")), ids=lambda file: file.name)
def test_a_workflow_may_only_read_and_runs_what_is_there(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    scripts = [word for command in runs for word in command.split() if word.startswith(".ci/")]
    assert runs and all((REPOSITORY / script).is_file() for script in scripts)
