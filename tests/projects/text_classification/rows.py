"""Rows of a file, loaded."""

from pathlib import Path

from common.data.splits import Data
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows
from tests.conftest import sentences

GOOD = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in sentences(60))


def load(
    tmp_path: Path, train: str | bytes, name: str = "train.csv", test: str | None = None, **options: object
) -> Data:
    path = tmp_path / name
    path.write_bytes(train if isinstance(train, bytes) else train.encode())
    if test is not None:
        (tmp_path / "test.csv").write_text(test, encoding="utf-8")
        options["test_file"] = str(tmp_path / "test.csv")
    return load_rows(TextClassificationConfig(train_file=str(path), **options))
