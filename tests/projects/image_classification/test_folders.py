"""Whatever lies in a folder of pictures is read, counted as left out, or named: no file and no label goes silently."""

import contextlib
import io
import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from common.data.splits import Data
from common.kinds.classification_checks import labels_of
from common.system.errors import UserError
from projects.image_classification.config import ImageClassificationConfig
from projects.image_classification.rows import load_rows
from tests.conftest import SHAPES, draw_pictures

# Of the long run: another seed makes other folders.
SEED = int(os.environ.get("KIT_SEED", "0"))
ALREADY = "a link to a folder that is read already: remove the link."


def load(folder: Path) -> Data:
    return load_rows(ImageClassificationConfig(image_folder=str(folder)))[0]


def ids(data: Data) -> list[str]:
    return sorted(row_id for rows in data.splits.values() for row_id in rows["id"])


def left_out(data: Data) -> dict[str, int]:
    """How many files were left out, by the reason."""
    found: Counter[str] = Counter()
    for tally in data.tallies:
        for (unit, why), count in tally.no_rows.items():
            assert unit == "files"
            found[why] += count
    return dict(found)


def files(folder: Path) -> int:
    """How many files there are below a folder and what it links to: what the counts must add up to."""
    count = 0
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not (name.startswith(".") and (Path(here) / name).is_symlink())]
        count += len(names)
    return count


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    draw_pictures(tmp_path / "shapes", 48)
    return tmp_path / "shapes"


def linked(folder: Path, root: Path) -> None:
    """The folder as a link to itself outside of `root`."""
    elsewhere = root.parent / "elsewhere" / str(folder.relative_to(root)).replace("/", " ")
    elsewhere.parent.mkdir(exist_ok=True)
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


def one_label(root: Path) -> None:
    linked(root / "circle", root)


def all_labels(root: Path) -> None:
    for label in SHAPES:
        linked(root / label, root)


def folder_within_a_label(root: Path) -> None:
    draw_pictures(root.parent / "more", 9, seed=4)
    (root / "circle" / "more").symlink_to(root.parent / "more" / "square")


def a_link_in_a_linked_folder(root: Path) -> None:
    one_label(root)
    folder_within_a_label(root)


def relative(root: Path) -> None:
    one_label(root)
    target = os.path.relpath((root / "circle").readlink(), root)
    (root / "circle").unlink()
    (root / "circle").symlink_to(target)


def single_pictures(root: Path) -> None:
    for number, file in enumerate(draw_pictures(root.parent / "more", 9, seed=4)):
        (root / file.parent.name / f"link{number}{file.suffix}").symlink_to(file)


def split_folders(root: Path) -> None:
    shutil.copytree(root, root.parent / "train")
    draw_pictures(root.parent / "test", 9, seed=5)
    shutil.rmtree(root)
    root.mkdir()
    for split in ("train", "test"):
        (root / split).symlink_to(root.parent / split)


def a_label_of_one_split(root: Path) -> None:
    split_folders(root)
    linked(root / "train" / "square", root)


def root_itself(root: Path) -> None:
    linked(root, root.parent)


LINKS: list[Callable[[Path], None]] = [
    one_label,
    all_labels,
    folder_within_a_label,
    a_link_in_a_linked_folder,
    relative,
    single_pictures,
    split_folders,
    a_label_of_one_split,
    root_itself,
]


@pytest.mark.parametrize("link", LINKS)
def test_linked_folders_are_read_like_copies(shapes: Path, tmp_path: Path, link: Callable[[Path], None]) -> None:
    link(shapes)
    shutil.copytree(shapes, tmp_path / "copy" / "shapes")  # without links
    found, expected = load(shapes), load(tmp_path / "copy" / "shapes")
    assert ids(found) == ids(expected) and len(ids(found)) == files(shapes) >= 48
    assert {name: list(rows["id"]) for name, rows in found.splits.items()} == {
        name: list(rows["id"]) for name, rows in expected.splits.items()
    }
    assert labels_of(found) == sorted(SHAPES) and found.fingerprint == expected.fingerprint


def chain(root: Path) -> None:
    """Two folders outside that link to each other."""
    for name, other in (("one", "two"), ("two", "one")):
        (root.parent / name).mkdir()
        (root.parent / name / "next").symlink_to(root.parent / other)
    (root / "star").symlink_to(root.parent / "one")


def parts_first(root: Path) -> None:
    """A link to a folder and a link to a folder in that one."""
    (root.parent / "star").mkdir()
    shutil.move(root / "square", root.parent / "star")
    (root / "square").symlink_to(root.parent / "star/square")
    (root / "star").symlink_to(root.parent / "star")


CIRCLES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "itself": ("circle/again", lambda root: (root / "circle/again").symlink_to(root / "circle")),
    "its parent": ("circle/up", lambda root: (root / "circle/up").symlink_to("..")),
    "above all": ("circle/up", lambda root: (root / "circle/up").symlink_to(root.parent)),
    "the whole disk": ("star", lambda root: (root / "star").symlink_to("/")),
    "two that link to each other": ("star/next/next", chain),
    "the same folder twice": ("ring", lambda root: (root / "ring").symlink_to(root / "circle")),
    "the same folder twice, the link first": ("a ring", lambda root: (root / "a ring").symlink_to(root / "circle")),
    "one whose parts were read": (
        "star/square",
        parts_first,
    ),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_folder_that_would_be_read_twice_is_named(shapes: Path, name: str) -> None:
    link, make = CIRCLES[name]
    make(shapes)
    with pytest.raises(UserError) as caught:
        load(shapes)
    assert f"{shapes}, {link}: {ALREADY}" in str(caught.value)


def test_one_folder_for_train_and_test_is_named(shapes: Path) -> None:
    pool = shapes.parent / "pool"
    shapes.rename(pool)
    for split in ("train", "test"):
        (shapes / split).mkdir(parents=True)
        for label in SHAPES:
            (shapes / split / label).symlink_to(pool / label)
    with pytest.raises(UserError, match=ALREADY):
        load(shapes)


def test_links_to_nothing_and_folders_that_may_not_be_read_are_named(
    shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shapes / "star").symlink_to(shapes / "nowhere")
    (shapes / "circle/loop.png").symlink_to(shapes / "circle/loop.png")
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("square"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UserError) as caught:
        load(shapes)
    assert "circle/loop.png, star: a link to nothing: mend or remove it." in str(caught.value)
    assert "square: a folder that may not be read: check its permissions." in str(caught.value)


def test_a_folder_without_pictures_is_named(shapes: Path) -> None:
    (shapes / "star" / "deeper").mkdir(parents=True)
    (shapes / "ring").mkdir()
    (shapes / "ring/Thumbs.db").write_text("")
    with pytest.raises(UserError) as caught:
        load(shapes)
    remedy = "add pictures of this label, or remove the folder."
    assert str(caught.value).endswith(f"shapes, ring, star: a folder without pictures: {remedy}")


HIDDEN = (".DS_Store", "circle/._000.png", "circle/.thumbnails/000.png", ".git/HEAD", "square/.picasa.ini")
OTHERS = (
    "circle/@eaDir/000.png/SYNOPHOTO_THUMB_M.jpg",
    "@eaDir/a.jpg",
    "circle/thumbs.db",
    "square/Thumbs.db",
    "square/ehthumbs.db",
    "Desktop.ini",
    "circle/desktop.ini",
    "circle/000.png:Zone.Identifier",
    "circle/000.PNG:Zone.Identifier:$DATA",
    "circle/000.png\uf03aZone.Identifier",
    "circle/1:2.png:com.dropbox.attributes",
    "square/__MACOSX/a.png",
    "circle/Icon\r",
    "#recycle/circle/a.png",
    "$RECYCLE.BIN/a.png",
    "System Volume Information/tracking.log",
    "square/picasa.ini",
)


@pytest.mark.parametrize("case", [str, str.lower, str.upper, str.swapcase])
def test_what_other_programs_leave_is_left_out_and_counted(shapes: Path, case: Callable[[str], str]) -> None:
    before = load(shapes)
    assert left_out(before) == {}
    picture = next(shapes.glob("circle/*.png")).read_bytes()
    for name in (*HIDDEN, *OTHERS, "LICENSE.txt"):
        first, _, rest = name.partition("/")
        file = shapes / (
            name if first in SHAPES and not rest else f"{first}/{case(rest)}" if first in SHAPES else case(name)
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
    after = load(shapes)
    assert after.fingerprint == before.fingerprint and labels_of(after) == sorted(SHAPES)
    assert left_out(after) == {
        "hidden": len(HIDDEN),
        "made by other programs": len(OTHERS),
        "beside the folders of the labels": 1,
    }
    assert len(ids(after)) + sum(left_out(after).values()) == files(shapes)
    (line,) = (line for line in after.account if line.startswith(str(shapes)))
    total = f"{len(HIDDEN) + len(OTHERS) + 1} of {files(shapes)} files"
    assert "48 rows with 3 labels" in line and total in line


def test_a_colon_in_a_name_makes_no_note_of_another_program(shapes: Path) -> None:
    (shapes / "circle/000.png").rename(shapes / "circle/12:30.png")
    (shapes / "circle/006.png").rename(shapes / "circle/b.jpg:c.png")
    data = load(shapes)
    assert len(ids(data)) == 48 and left_out(data) == {}
    (shapes / "circle/notes:today.txt").write_text("no picture")
    with pytest.raises(UserError, match=r"notes:today\.txt: no picture of a known format"):
        load(shapes)


@pytest.mark.parametrize("names", [("bus", "car", "train"), ("valid", "invalid", "dubious"), ("train", "test", "val")])
def test_labels_that_are_called_like_splits_have_a_way_out(shapes: Path, names: tuple[str, ...]) -> None:
    for label, name in zip(SHAPES, names, strict=True):
        (shapes / label).rename(shapes / name)
    with pytest.raises(UserError) as caught:
        load(shapes)
    assert f"should be labels, move the folders of all labels into a new folder {shapes / 'train'}" in str(caught.value)
    new = shapes.parent / "new"
    shapes.rename(new)
    shapes.mkdir()
    new.rename(shapes / "train")
    assert labels_of(load(shapes)) == sorted(names)


def test_splits_within_the_labels_are_not_mixed(shapes: Path) -> None:
    for label, split in itertools.product(SHAPES, ("Test", "train")):
        shutil.copytree(shapes / label, shapes.parent / "mixed" / label / split)
    with pytest.raises(UserError) as caught:
        load(shapes.parent / "mixed")
    remedy = "put the folders of the labels into those of the splits, or rename it."
    assert str(caught.value).endswith(f" and 91 more: a split within a label: {remedy}")


def test_a_picture_beside_the_folders_of_the_splits_is_named(shapes: Path) -> None:
    draw_pictures(shapes.parent / "pictures/train", 24)
    draw_pictures(shapes.parent / "pictures/test", 9, seed=3)
    (shapes.parent / "pictures/README.txt").write_text("what it is")
    assert left_out(load(shapes.parent / "pictures")) == {}, "it lies in neither of them"
    shutil.copy(shapes / "circle/000.png", shapes.parent / "pictures/lost.png")
    with pytest.raises(UserError, match=r"splits \(test and train\), and lost.png beside them: move that elsewhere"):
        load(shapes.parent / "pictures")


ODD_LABELS = (
    "<script>alert(1)<\\script>",
    "__init__",
    "![p](http:)",
    "$0 - $10",
    "# a | b",
    "C:\\new",
    "null",
    "007",
    "1.0",
    "{{ 7 }}",
    "two\nlines",
    "%s",
    "日本",
    "🙂",
    "a, b",
    "'quoted\"",
    "--max_steps",
    "~",
    "x" * 200,
)


def test_odd_labels_stand_as_they_are(tmp_path: Path) -> None:
    for number, label in enumerate(ODD_LABELS):
        for file in draw_pictures(tmp_path / "drawn" / str(number), 4, seed=number):
            (tmp_path / "odd" / label).mkdir(parents=True, exist_ok=True)
            file.rename(tmp_path / "odd" / label / file.name)
    data = load(tmp_path / "odd")
    assert labels_of(data) == sorted(ODD_LABELS)
    assert len(ids(data)) == 4 * len(ODD_LABELS)


# Generated folders


@pytest.fixture(scope="module")
def pool() -> list[tuple[str, bytes]]:
    """(ending, content) of small pictures, each another one."""
    random, found = np.random.default_rng(0), []
    kinds = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "BMP": ".BMP", "WEBP": ".WebP", "TIFF": ".tif"}
    for kind, ending in itertools.islice(itertools.cycle(kinds.items()), 240):
        content = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(content, kind)
        found.append((ending, content.getvalue()))
    return found


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0:\uf022\uf03a", exclude_categories=["Cc", "Cs"]), max_size=8
)
# What is left out, and what stops the run, by how it is made; each is given the folder of a label.
LEFT_OUT: dict[str, Callable[[Path, bytes], object]] = {
    "hidden": lambda folder, content: (folder / ".a.png").write_bytes(content),
    "hidden folder": lambda folder, content: write(folder / ".cache/deep/a.png", content),
    "thumbnails": lambda folder, content: write(folder / "@eadir/a.png", content),
    "note": lambda folder, content: (folder / "a.jpg:Zone.Identifier").write_bytes(content),
    "file manager": lambda folder, content: (folder / "THUMBS.db").write_bytes(content),
    "licence": lambda folder, content: (folder.parent / "LICENSE").write_bytes(content),
    "hidden link to everything": lambda folder, _: (folder / ".all").symlink_to("/"),
}
STOPS: dict[str, Callable[[Path, bytes], object]] = {
    "damaged": lambda folder, content: (folder / "damaged.png").write_bytes(content[: len(content) // 2]),
    "empty": lambda folder, _: (folder / "empty.jpg").write_bytes(b""),
    "text": lambda folder, _: (folder / "notes.txt").write_text("no picture"),
    "no suffix": lambda folder, content: (folder / "picture").write_bytes(content),
    "link to nothing": lambda folder, _: (folder / "gone.png").symlink_to("nowhere.png"),
    "circle": lambda folder, _: (folder / "up").symlink_to(".."),
    "twice": lambda folder, _: (folder.parent / "twin").symlink_to(folder.name),
    "folder without pictures": lambda folder, _: (folder.parent / "nothing").mkdir(),
    "beside": lambda folder, content: (folder.parent / "lost.png").write_bytes(content),
    "latin-1": lambda folder, content: write(Path(os.fsdecode(os.fsencode(folder) + b"/gr\xfcn.png")), content),
    "pipe": lambda folder, _: os.mkfifo(folder / "pipe.png"),
    "folder like a picture": lambda folder, _: write(folder / "a.png/b.txt", b"no picture"),
}


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Folders of splits and labels, how many pictures are in each and how deep, which are linked, and what else is."""
    labels = [f"{draw(NAMES)}{number}" for number in range(draw(st.integers(2, 4)))]
    labels = [label if not label.startswith(".") else f"a{label}" for label in labels]
    splits = draw(
        st.sampled_from([[""], ["train"], ["Train", "test"], ["training", "val", "test"], ["train", "valid"]])
    )
    places = [(split, label) for split in splits for label in labels]
    return {
        "pictures": {place: draw(st.lists(NAMES, min_size=5, max_size=8)) for place in places},
        "deeper": {place: draw(st.sampled_from(["", "", "a", "a/b"])) for place in places},
        "linked": draw(st.sets(st.sampled_from(places))),
        "left out": draw(st.sets(st.tuples(st.sampled_from(places), st.sampled_from(sorted(LEFT_OUT))), max_size=4)),
        "stops": draw(st.sets(st.tuples(st.sampled_from(places), st.sampled_from(sorted(STOPS))), max_size=2))
        if draw(st.booleans())
        else set(),
    }


def make(root: Path, plan: dict[str, Any], pool: list[tuple[str, bytes]]) -> dict[str, str]:
    """Make the folder of a plan; returns the label of each picture."""
    fresh, label_of = iter(pool), {}
    for (split, label), names in plan["pictures"].items():
        folder = root / split / label
        for number, name in enumerate(names):
            ending, content = next(fresh)
            file = folder / plan["deeper"][split, label] / f"{number}{name}{ending}"
            write(file, content)
            label_of[file.relative_to(root).as_posix()] = label
        if (split, label) in plan["linked"]:
            linked(folder, root)
    content = pool[0][1]
    for what, makers in (("left out", LEFT_OUT), ("stops", STOPS)):
        for (split, label), kind in sorted(plan[what]):
            with contextlib.suppress(FileExistsError):  # two of the plan's parts are one and the same
                makers[kind](root / split / label, content)
    return label_of


def check(plan: dict[str, Any], pool: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        label_of = make(root, plan, pool)
        try:
            data = load(root)
        except UserError as error:
            assert plan["stops"], error
            return
        assert not plan["stops"], sorted(plan["stops"])
        found = {row["image"]: row["reference"] for rows in data.splits.values() for row in rows}
        assert found == label_of and labels_of(data) == sorted(set(label_of.values()))
        assert sum(len(rows) for rows in data.splits.values()) == len(label_of)
        assert sum(left_out(data).values()) == files(root) - len(label_of)


@given(plan=plans())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_file_and_no_label_of_a_generated_folder_goes_silently(
    plan: dict[str, Any], pool: list[tuple[str, bytes]]
) -> None:
    check(plan, pool)


@pytest.mark.slow
@seed(SEED)
@given(plan=plans())
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_no_file_and_no_label_of_many_generated_folders_goes_silently(
    plan: dict[str, Any], pool: list[tuple[str, bytes]]
) -> None:
    print(f"KIT_SEED={SEED}")
    check(plan, pool)
