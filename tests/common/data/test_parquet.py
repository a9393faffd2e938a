"""Parquet: columns that are not needed, cells that Python cannot hold, bytes, and folders of parts."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from common.data import tables
from common.data.findings import Finding, Problems, check_row_problems
from common.data.parquet import CHUNK
from common.system.errors import UserError

TEXTS = ["rain", "soup", "a drum"]


def write(path: Path, **columns: Any) -> Path:
    pyarrow.parquet.write_table(pa.table({"text": TEXTS, **columns}), path)
    return path


def with_bytes(values: list[bytes]) -> pa.Array:
    """A column that says that it is text in UTF-8, whether that is true or not."""
    return pa.array(values, pa.binary()).view(pa.string())


UNHELD: dict[str, tuple[pa.Array, str]] = {
    "latin-1": (with_bytes([b"a", "ö".encode("latin-1"), b"c"]), "byte 0xf6 is no UTF-8"),
    "the year 10000": (pa.array([0, 253_402_300_800, 0], pa.timestamp("s")), "out of range"),
    "a day of it": (pa.array([0, 2_932_897, 0], pa.date32()), "out of range"),
    "an unknown time zone": (pa.array([None, 1, None], pa.timestamp("s", "Mars/Olympus")), "unknown time zone"),
}


@pytest.mark.parametrize("name", UNHELD)
def test_what_python_cannot_hold_is_not_read_or_is_named(tmp_path: Path, name: str) -> None:
    column, said = UNHELD[name]
    path = write(tmp_path / "rows.parquet", **{"odd (kept)": column})
    assert [row for _, row in tables.read(path, ["text"])] == [{"text": text} for text in TEXTS]
    (first, second, third) = (row for _, row in tables.read(path))
    assert isinstance(first, dict) and isinstance(third, dict) and isinstance(second, tables.RowProblem)
    assert said in str(second) and "column 'odd (kept)'" in str(second)
    findings: list[Finding] = []
    check_row_problems("rows.parquet", Problems({str(second): [2]}), findings)
    remedy = "save the column as text in UTF-8, or leave it out"
    assert findings[0].remedy == remedy and "'odd (kept)' that cannot be read, " in findings[0].problem


def test_the_row_behind_the_first_batch_is_named(tmp_path: Path) -> None:
    values = [b"x"] * (CHUNK + 5)
    values[CHUNK + 2] = b"\xff"
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pa.table({"text": with_bytes(values)}), path)
    problems = [number for number, row in tables.rows(path) if isinstance(row, tables.RowProblem)]
    assert problems == [CHUNK + 3]


def test_bytes_that_are_text_are_text_and_others_stay_bytes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.parquet",
        binary=pa.array(["ä".encode(), b"\xff", None], pa.binary()),
        tags=pa.array([[b"O", b"B-x"], [], None], pa.list_(pa.binary())),
        picture=pa.array([{"bytes": b"PNG", "path": None}] * 3),
    )
    assert [row["binary"] for _, row in tables.rows(path) if isinstance(row, dict)] == ["ä", b"\xff", None]
    assert [row["tags"] for _, row in tables.rows(path) if isinstance(row, dict)] == [["O", "B-x"], [], None]
    assert all(row["picture"]["bytes"] == b"PNG" for _, row in tables.rows(path) if isinstance(row, dict))


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "spark.parquet"
    folder.mkdir()
    for number in range(3):
        write(folder / f"part-0000{number}.snappy.parquet", n=[number] * 3)
    for name in ("_SUCCESS", ".part-00000.snappy.parquet.crc", "._SUCCESS.crc"):
        (folder / name).touch()
    assert tables.column_names(folder) == ["text", "n"]
    assert [(number, row["n"]) for number, row in tables.rows(folder) if isinstance(row, dict)] == list(
        enumerate([0, 0, 0, 1, 1, 1, 2, 2, 2], start=1)
    )


@pytest.mark.parametrize(
    ("files", "name", "said"),
    [
        ([], "rows.parquet", "holds no Parquet file"),
        (["part-0.parquet", "notes.txt"], "rows.parquet", r"holds other files than Parquet \(notes.txt\)"),
        (["part-0.parquet"], "rows", "rows is a folder: give one file of rows, or a folder of parts"),
        (["part-0.parquet", "part-1.parquet"], "rows.parquet", "have different columns"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: list[str], name: str, said: str) -> None:
    (tmp_path / name).mkdir()
    for file in files:
        if file.endswith(".parquet"):
            write(tmp_path / name / file, **({} if file == files[0] else {"more": [1, 2, 3]}))
        else:
            (tmp_path / name / file).touch()
    with pytest.raises(UserError, match=said):
        tables.column_names(tmp_path / name)
