"""Find, run and check the lessons: the folders beside this file whose name begins with `lesson`."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.system.errors import UserError, nearest
from common.system.progress import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).resolve().parent
PICTURES = Path("runs/foundations")


@dataclass(frozen=True)
class Lesson:
    """One lesson: `number` is two digits, `title` the first line of its lesson.py."""

    number: str
    title: str
    folder: Path

    @property
    def module(self) -> str:
        return f"projects.foundations.{self.folder.name}.lesson"


def lessons() -> list[Lesson]:
    """All lessons in their order."""
    found = []
    for file in sorted(FOLDER.glob("lesson*/lesson.py")):
        title = file.read_text(encoding="utf-8").splitlines()[0].strip('"')
        found.append(Lesson(file.parent.name[len("lesson") :][:2], title, file.parent))
    return found


def find(number: str) -> Lesson:
    """The lesson of a number, `3` or `03`.  Raises UserError where there is none."""
    wanted = number.zfill(2)
    for lesson in lessons():
        if lesson.number == wanted:
            return lesson
    numbers = [lesson.number for lesson in lessons()]
    raise UserError(f"there is no lesson {number!r}{nearest(wanted, numbers)}: `kit learn` lists them.")


def run(lesson: Lesson) -> None:
    """Run a lesson: it prints what it finds and leaves its pictures in runs/foundations/.

    Where a compare.py is beside it, that holds what the lesson trained against the libraries.
    """
    trained = importlib.import_module(lesson.module).main()
    if (lesson.folder / "compare.py").exists():
        importlib.import_module(lesson.module.removesuffix(".lesson") + ".compare").main(trained)
    say(
        f"\nread:      {lesson.folder / 'README.md'}\nexercises: {lesson.folder / 'exercises.py'}, "
        f"`kit learn {lesson.number} --check` checks them\nplay:      kit demo {FOLDER.name}"
    )


def check(lesson: Lesson) -> int:
    """Check the reader's exercises, print which are solved, and return the exit status: 0 where all are."""
    from .checklist import checked

    file = lesson.folder / "exercises.py"
    exercises = checked(file, lesson.folder / "check_exercises.py")
    say(f"{lesson.title}\nexercises: {file}\n")
    width = max(len(exercise.name) for exercise in exercises)
    for exercise in exercises:
        mark = " " if exercise.problem else "x"
        say(f"[{mark}] {exercise.name:{width}}  line {exercise.line:3}  {exercise.problem or 'solved'}")
    solved = sum(not exercise.problem for exercise in exercises)
    say(f"\n{solved} of {len(exercises)} solved.")
    return int(solved < len(exercises))


def save_picture(figure: "Figure", name: str) -> Path:
    """Write a figure as runs/foundations/NAME.png, say so, and return the file."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = PICTURES / f"{name}.png"
    figure.savefig(file, dpi=120)
    say(f"picture: {file}")
    return file
