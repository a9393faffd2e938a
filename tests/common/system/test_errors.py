"""Errors that a user can mend end in one sentence, from the process that knows it."""

import errno
import os
from pathlib import Path

import pytest

from common.system.errors import LocalUserError, UserError, exit_with_sentence


def said(error: BaseException, capsys: pytest.CaptureFixture[str]) -> str:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as left:
        exit_with_sentence(main)
    assert left.value.code == 2
    return capsys.readouterr().err


def test_what_comes_to_all_processes_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "0")
    assert said(UserError("bad rows."), capsys) == said(LocalUserError("bad rows."), capsys) == "error: bad rows.\n"
    monkeypatch.setenv("RANK", "1")
    assert said(UserError("bad rows."), capsys) == ""


def test_what_comes_to_one_process_is_said_by_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "3")
    assert said(LocalUserError("the memory ran out."), capsys) == "process 3: error: the memory ran out.\n"
    assert said(OSError(errno.ENOSPC, "No space left on device"), capsys).startswith(
        "process 3: error: No space left on device: free some space;"
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = said(OSError(number, os.strerror(number), "runs/a"), capsys)
    remedy = "free some space; KIT_CACHE moves the cache, --output_dir the runs"
    assert sentence == f"error: {os.strerror(number)} (runs/a): {remedy}.\n"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_may_not_be_read_or_written(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = said(OSError(number, os.strerror(number), "my.csv"), capsys)
    remedy = "check the permissions; KIT_CACHE moves the cache, --output_dir the runs"
    assert sentence == f"error: {os.strerror(number)} (my.csv): {remedy}.\n"


@pytest.mark.parametrize("below", ["file/runs", "file"])
def test_a_file_where_a_folder_is_needed(tmp_path: Path, below: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        (tmp_path / below).mkdir(parents=True, exist_ok=True)
    sentence = said(caught.value, capsys)
    assert sentence.endswith(
        f"({tmp_path / below}): a file stands where a folder is needed: choose another --output_dir or KIT_CACHE.\n"
    )


def test_other_errors_keep_their_traceback() -> None:
    def main() -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        exit_with_sentence(main)
