"""What all lessons have in common: they run, their READMEs are whole, their exercises start red and can be solved."""

import importlib
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.system.errors import UserError
from projects.foundations import lessons
from projects.foundations.lessons import FOLDER, Lesson, find
from tests.conftest import REPOSITORY

LESSONS = lessons.lessons()
SECONDS = {"07": 600, "08": 600}
HEADINGS = [
    "What you will understand",
    "The mathematics",
    "What the library does better",
    "The paper",
    "Three questions of an interviewer",
    "Exercises",
]

each = pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.number for lesson in LESSONS])


def test_the_lessons_are_numbered_without_a_gap() -> None:
    assert len(LESSONS) >= 1
    assert [lesson.number for lesson in LESSONS] == [f"{number:02}" for number in range(1, len(LESSONS) + 1)]


@pytest.mark.slow
@each
def test_it_runs_in_its_time_and_leaves_pictures(
    lesson: Lesson, own_pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.perf_counter()
    lessons.run(lesson)
    assert time.perf_counter() - started < SECONDS.get(lesson.number, 60)
    pictures = list(own_pictures.glob(f"lesson{lesson.number}_*.png"))
    assert pictures and all(picture.stat().st_size > 5_000 for picture in pictures)
    assert "nan" not in capsys.readouterr().out.lower().split()


@each
def test_its_readme_is_whole(lesson: Lesson) -> None:
    text = (lesson.folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {int(lesson.number)}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert len(re.findall(r"^\d\. \*", text, re.MULTILINE)) == 3, "three questions"
    module = importlib.import_module(lesson.module)
    questions = text[text.index("## Three questions") :]
    named = re.findall(r"\[`(\w+)`\]\(lesson\.py\)", questions)
    assert len(named) >= 3 and all(hasattr(module, name) for name in named), "answers point at the code"


@each
def test_links_lead_somewhere_and_to_the_next_lesson(lesson: Lesson) -> None:
    text = (lesson.folder / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (lesson.folder / link).exists()] == []
    assert re.search(r"^Next: .*\]\(\.\./", text, re.MULTILINE)


def run_checks(lesson: Lesson, exercises: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The lesson's checks against a file of exercises, in a copy of the package."""
    copy = folder / "projects/foundations" / lesson.folder.name
    copy.mkdir(parents=True)
    for package in (folder / "projects", folder / "projects/foundations", copy):
        (package / "__init__.py").touch()
    (folder / "projects/foundations/lessons.py").write_text((FOLDER / "lessons.py").read_text())
    for name in (file.name for file in lesson.folder.glob("*.py") if file.name != "exercises.py"):
        (copy / name).write_text((lesson.folder / name).read_text())
    (copy / "exercises.py").write_text(exercises.read_text())
    options = ["-q", "-p", "no:cacheprovider", str(copy / "check_exercises.py")]
    script = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(REPOSITORY)!r}]; "
        f"import pytest; sys.exit(pytest.main({options!r}))"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.slow
@each
def test_its_exercises_start_red(lesson: Lesson, tmp_path: Path) -> None:
    checked = run_checks(lesson, lesson.folder / "exercises.py", tmp_path)
    assert checked.returncode == 1
    assert "NotImplementedError" in checked.stdout
    assert " passed" not in checked.stdout.splitlines()[-1], "every check must need a solution"


@pytest.mark.slow
@each
def test_its_exercises_can_be_solved(lesson: Lesson, tmp_path: Path) -> None:
    solution = Path(__file__).with_name("solutions") / f"lesson{lesson.number}.py"
    checked = run_checks(lesson, solution, tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert re.search(r"\d+ passed", checked.stdout)


def test_a_number_that_does_not_exist_gets_a_sentence() -> None:
    assert find("1") == find("01")
    with pytest.raises(UserError, match="there is no lesson '99'"):
        find("99")


@pytest.mark.slow
def test_the_command_lists_runs_and_checks(tmp_path: Path) -> None:
    def kit(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "common.cli", "learn", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    listed = kit().stdout
    assert all(lesson.number in listed and lesson.title in listed for lesson in LESSONS)
    assert "picture: runs/foundations/lesson01" in kit("01").stdout
    assert kit("01", "--check").returncode == 1
    assert kit("99").returncode == 2
