"""Rows of a folder of pictures, loaded."""

from pathlib import Path

from common.data.splits import Data
from common.kinds.classification_checks import labels_of
from projects.image_classification.config import ImageClassificationConfig
from projects.image_classification.rows import load_rows


def load(folder: Path, **options: object) -> tuple[Data, list[str]]:
    data, root = load_rows(ImageClassificationConfig(image_folder=str(folder), **options))
    assert all((root / row["image"]).is_file() for split in data.splits.values() for row in split)
    return data, labels_of(data)


def findings(data: Data) -> list[str]:
    return [str(finding) for finding in data.findings]
