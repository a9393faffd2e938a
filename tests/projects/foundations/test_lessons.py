"""What all lessons have in common: they run, their READMEs are whole, their exercises start red and can be solved."""

import importlib
import re
import subprocess
import time
from pathlib import Path

import pytest

from common.system.errors import UserError
from projects.foundations import lessons
from projects.foundations.lessons import FOLDER, Lesson, find
from tests.conftest import REPOSITORY
from tests.warm import python

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


def run_whole(lesson: Lesson, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a lesson; check its time, its pictures, and that it prints no number that is none."""
    started = time.perf_counter()
    lessons.run(lesson)
    assert time.perf_counter() - started < SECONDS.get(lesson.number, 60)
    drawn = list(pictures.glob(f"lesson{lesson.number}_*.png"))
    assert drawn and all(picture.stat().st_size > 5_000 for picture in drawn)
    assert "nan" not in capsys.readouterr().out.lower().split()


@pytest.mark.slow
@pytest.mark.parametrize("number", [lesson.number for lesson in LESSONS if lesson.number not in ("07", "08")])
def test_it_runs_in_its_time_and_leaves_pictures(
    number: str, own_pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lessons 7 and 8 are run where their claims are tested."""
    run_whole(find(number), own_pictures, capsys)


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


def copied(lesson: Lesson, exercises: Path, folder: Path) -> Path:
    """A copy of the lesson with a file of exercises, which is imported where `folder` is first on the path."""
    copy = folder / "projects/foundations" / lesson.folder.name
    copy.mkdir(parents=True)
    for package in (folder / "projects", folder / "projects/foundations", copy):
        (package / "__init__.py").touch()
    for name in ("lessons.py", "checklist.py"):
        (folder / "projects/foundations" / name).write_text((FOLDER / name).read_text())
    for name in (file.name for file in lesson.folder.glob("*.py") if file.name != "exercises.py"):
        (copy / name).write_text((lesson.folder / name).read_text())
    (copy / "exercises.py").write_text(exercises.read_text())
    return copy


def run_checks(lesson: Lesson, exercises: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The lesson's checks against a file of exercises."""
    copy = copied(lesson, exercises, folder)
    options = ["-q", "-p", "no:cacheprovider", str(copy / "check_exercises.py")]
    script = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(REPOSITORY)!r}]; "
        f"import pytest; sys.exit(pytest.main({options!r}))"
    )
    return python("-c", script, cwd=folder, timeout=120)


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


def checklist(lesson: Lesson, exercises: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What `kit learn NUMBER --check` prints for a file of exercises."""
    copied(lesson, exercises, folder)
    script = (
        f"import sys; sys.path[:0] = [{str(folder)!r}, {str(REPOSITORY)!r}]; "
        f"from projects.foundations import lessons; sys.exit(lessons.check(lessons.find({lesson.number!r})))"
    )
    return python("-c", script, cwd=folder, timeout=120)


HALF = """
def second_derivative(f, x, h=1e-4):
    return (f(x + h) - 2 * f(x) + f(x - h)) / h**2

def largest_safe_step_size(curvature):
    return 1 / curvature

def descend_with_decay(derivative, start, step_size, decay, steps):
    return [0.0, 0.5]

def newton(derivative, second, start, steps):
    return derivative(None)
"""


@pytest.mark.slow
def test_the_checklist_says_what_came_and_what_should(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(HALF)
    shown = checklist(find("01"), tmp_path / "half.py", tmp_path / "copy")
    assert shown.returncode == 1 and shown.stderr == ""
    lines = [line for line in shown.stdout.splitlines() if line.startswith("[")]
    assert lines[0] == "[x] second_derivative       line   2  solved"
    assert lines[1].startswith("[ ] largest_safe_step_size  line   5  got 0.0, wanted > 1 (with a step size just above")
    assert lines[2].startswith("[ ] descend_with_decay      line   8  got [0.0, 0.5], wanted [0.0, 0.6, 0.84, 0.948]")
    assert lines[3].startswith("[ ] newton                  line  11  TypeError: unsupported operand")
    assert shown.stdout.endswith("1 of 4 solved.\n") and len(shown.stdout.splitlines()) == 9


@pytest.mark.slow
@each
def test_the_checklist_names_every_exercise(lesson: Lesson, tmp_path: Path) -> None:
    """Each has a check of its own: a solved file is all solved, an untouched one is not started."""
    solution = Path(__file__).with_name("solutions") / f"lesson{lesson.number}.py"
    solved = checklist(lesson, solution, tmp_path / "solved")
    assert solved.returncode == 0 and "[ ]" not in solved.stdout
    started = checklist(lesson, lesson.folder / "exercises.py", tmp_path / "started")
    lines = [line for line in started.stdout.splitlines() if line.startswith("[")]
    assert len(lines) >= 3 and all(line.endswith("not started") for line in lines)


@pytest.mark.slow
def test_exercises_that_python_cannot_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def second_derivative(:\n")
    shown = checklist(find("01"), tmp_path / "broken.py", tmp_path / "copy")
    assert shown.returncode == 1 and "exercises.py cannot be read (invalid syntax" in shown.stdout


def test_a_number_that_does_not_exist_gets_a_sentence() -> None:
    assert find("1") == find("01")
    with pytest.raises(UserError, match="there is no lesson '99'"):
        find("99")


@pytest.mark.slow
def test_the_command_lists_runs_and_checks(tmp_path: Path) -> None:
    def kit(*arguments: str) -> "subprocess.CompletedProcess[str]":
        own = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin"}
        return python("-m", "common.cli", "learn", *arguments, cwd=tmp_path, env=own, timeout=120)

    listed = kit().stdout
    assert all(lesson.number in listed and lesson.title in listed for lesson in LESSONS)
    assert "picture: runs/foundations/lesson01" in kit("01").stdout
    assert kit("01", "--check").returncode == 1
    assert kit("99").returncode == 2
