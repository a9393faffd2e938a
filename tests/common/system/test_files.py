"""Files and folders are there whole or not at all."""

import os
from pathlib import Path

import pytest

from common.system.errors import UserError
from common.system.files import as_written, read_json, sha256, whole_folder, write_json, write_sums, write_text


def test_a_folder_appears_whole_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "model"
    with whole_folder(target) as draft:
        (draft / "a").write_text("1")
        assert draft.parent == target.parent and not target.exists()
    assert [file.name for file in target.iterdir()] == ["a"]
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_is_replaced_only_at_the_end_and_by_all_of_the_new_one(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    with whole_folder(target) as draft:
        (draft / "new").write_text("new")
        assert (target / "old").read_text() == "old"
    assert [file.name for file in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(error), whole_folder(target) as draft:
        (draft / "half").write_text("")
        raise error
    assert list(tmp_path.iterdir()) == [target] and (target / "old").read_text() == "old"


def test_what_a_killed_process_left_is_not_in_the_way(tmp_path: Path) -> None:
    left = tmp_path / f".model-{os.getpid()}"
    left.mkdir()
    (left / "half").write_text("")
    with whole_folder(tmp_path / "model") as draft:
        (draft / "a").write_text("1")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["a"]


def test_in_a_cache_the_folder_of_the_faster_process_stays(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with whole_folder(target, replace=False) as draft:
        (draft / "a").write_text("mine")
        target.mkdir()
        (target / "a").write_text("faster")
    assert (target / "a").read_text() == "faster" and list(tmp_path.iterdir()) == [target]


def test_a_failed_rename_brings_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    rename = Path.rename

    def refuse(self: Path, other: Path) -> Path:
        if self.name == f".model-{os.getpid()}":
            raise PermissionError
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError), whole_folder(target) as draft:
        (draft / "new").write_text("new")
    assert list(tmp_path.iterdir()) == [target] and (target / "old").read_text() == "old"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"ü": [1]})
    assert read_json(file) == {"ü": [1]}
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "\ud83d")
    assert read_json(file) == {"ü": [1]} and list(tmp_path.iterdir()) == [file]
    assert sha256(file) == sha256(file) != sha256(Path(__file__))


def test_a_cached_folder_is_believed_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("c")
    assert not as_written(tmp_path)
    write_sums(tmp_path)
    assert as_written(tmp_path)
    for name, content in (("a/b", "d"), ("a/c", ""), ("sums.json", "[" * 100_000)):
        before = (tmp_path / name).read_text() if (tmp_path / name).exists() else None
        (tmp_path / name).write_text(content)
        assert not as_written(tmp_path)
        (tmp_path / name).unlink() if before is None else (tmp_path / name).write_text(before)
    assert as_written(tmp_path)


def test_a_missing_and_a_damaged_file_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"results.json is missing: the run is not finished"):
        read_json(tmp_path / "results.json")
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(
        UserError, match=r"results.json is damaged .*: `kit evaluate .*` writes the results of a run again"
    ):
        read_json(tmp_path / "results.json")
