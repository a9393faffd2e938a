"""The pictures of the repository's README show the pages and the numbers of today."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from common.reporting import report
from common.reporting.picture import describe
from common.system.errors import UserError
from common.system.files import read_json
from tests import pictures
from tests.conftest import REPOSITORY

AGAIN = "take them again: python -m tests.pictures runs/text_classification/starter --log make-run.log"


@pytest.fixture(scope="module")
def now() -> dict[str, str]:
    return pictures.pages()


def test_they_show_the_pages_as_they_are(now: dict[str, str]) -> None:
    assert read_json(pictures.FOLDER / pictures.SHOWN)["pages"] == now, AGAIN


def test_they_show_the_numbers_of_the_tables() -> None:
    committed = read_json(REPOSITORY / "projects/text_classification/results/starter.json")
    assert read_json(pictures.FOLDER / pictures.SHOWN)["numbers"] == describe(committed), AGAIN


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the report's templates, which the pages are drawn from."""
    shutil.copytree(report.TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr(report, "TEMPLATES", tmp_path / "templates")
    return tmp_path / "templates"


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("report.css", "font-size", "font-weight"),
        ("report.html.j2", "<h1>", "<h1>So: "),
        ("card.md.j2", "# ", "# So: "),
    ],
)
def test_a_changed_page_is_noticed(templates: Path, now: dict[str, str], file: str, before: str, after: str) -> None:
    text = (templates / file).read_text(encoding="utf-8")
    assert before in text
    (templates / file).write_text(text.replace(before, after, 1), encoding="utf-8")
    then = pictures.pages()
    changed = "card" if file.startswith("card") else "report"
    assert [name for name in now if now[name] != then[name]] == [changed]


def test_a_comment_is_no_change(templates: Path, now: dict[str, str]) -> None:
    for file, comment in (("report.css", "/* why */"), ("report.html.j2", "{# why #}<!-- why -->")):
        text = (templates / file).read_text(encoding="utf-8")
        (templates / file).write_text(f"{text.rstrip()}\n{comment}\n", encoding="utf-8")
    assert pictures.pages() == now


def test_the_demos_page_is_what_its_modules_say(tmp_path: Path) -> None:
    file = REPOSITORY / "apps/parts/demo.py"
    text, before = file.read_text(encoding="utf-8"), pictures.page_parts(file)
    assert before.count("\n") > 100 and "Button" in before
    word = re.search(r'gr\.Button\("(\w+)', text)
    assert word
    for changed, is_same in (
        (text.replace('"""', '"""So: ', 1) + "\n# why\n", True),
        (text.replace(word[1], f"So: {word[1]}"), False),
        (text.replace("gr.Button(", "gr.UploadButton(", 1), False),
    ):
        assert changed != text
        (tmp_path / "demo.py").write_text(changed, encoding="utf-8")
        assert (pictures.page_parts(tmp_path / "demo.py") == before) is is_same


def test_a_readme_shows_only_pictures_that_are_there_and_small() -> None:
    seen = 0
    for readme in [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("projects/*/README.md"))]:
        text = readme.read_text(encoding="utf-8")
        links = re.findall(r'(?:src|srcset)="([^"]+)"|!\[[^\]]*\]\(([^)]+)\)', text)
        for link in filter(None, (link for pair in links for link in pair)):
            if not link.startswith("../../actions/"):  # GitHub draws that one
                file = readme.parent / link
                assert file.is_file() and file.stat().st_size < pictures.LARGEST, f"{readme}: {link}"
                seen += 1
        assert all(re.search(r'alt="[^"]{20,}"', image) for image in re.findall(r"<img [^>]*>", text)), readme
    assert seen >= 15


def test_the_recording_moves_and_names_no_folder_of_a_machine() -> None:
    for theme in ("light", "dark"):
        with Image.open(pictures.FOLDER / f"recording-{theme}.gif") as recording:
            assert getattr(recording, "n_frames", 1) >= 5 and recording.width >= 900
    assert pictures.read_log(pictures.FOLDER / pictures.LOG)


@pytest.mark.parametrize("said", ["report: /home/ana/runs/report.html", "from /tmp/x.whl"])
def test_a_log_with_a_folder_of_this_machine_is_refused(tmp_path: Path, said: str) -> None:
    (tmp_path / "log").write_text(f"[1/5] data\n{said}\n")
    with pytest.raises(UserError, match="a folder of this machine"):
        pictures.read_log(tmp_path / "log")
    with pytest.raises(UserError, match="there is no log"):
        pictures.read_log(tmp_path / "another")


def test_a_log_is_cut_into_the_steps_that_it_names() -> None:
    log = "movies: 3 rows\n\n[1/5] data\nfine\n[2/5] <model>\ntweets 3 68.5 76.3  -7.7 (-9.2..-6.4)\n"
    taken = list(pictures.frames(log))
    assert [text.count("\n") for text, _ in taken] == [0, 2, 4, 6]
    assert (
        "<b>[2/5] &lt;model&gt;</b>" in taken[-1][0] and '<span class="worse">-7.7 (-9.2..-6.4)</span>' in taken[-1][0]
    )


def test_the_signs_say_what_the_package_says() -> None:
    project = json.dumps(pictures.badges())
    assert "Apache-2.0" in project
    for name, (left, right) in pictures.badges().items():
        assert (pictures.FOLDER / f"{name}.svg").read_text(encoding="utf-8") == pictures.badge(left, right)
