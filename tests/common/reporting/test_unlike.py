"""The table of what is found unlike the training data."""

from common.reporting.readme import TABLES
from common.reporting.wording import plain


def test_each_way_stands_beside_how_right_the_model_is() -> None:
    figures = {"test": {"found": 0.043}, "letters": {"found": 0.94, "auroc": 0.9871}}
    measured = {
        "rows": {"test": 300, "letters": 100},
        "ways": {"fine-tuned": figures, "confidence": figures},
        "right": {"test": [0.7174, 0.8702]},
        "remembered": 3_000,
        "bytes": 2_304_088,
        "with_ms": 13.24,
        "without_ms": 12.86,
        "device": "a CPU",
    }
    lines = plain(TABLES["unlike"]({"unlike": measured})).splitlines()
    assert "3,000 training rows are remembered (2.2 MiB)" in lines[0] and "13.2 ms" in lines[0]
    assert lines[-2:] == [
        "| test | 300 | 4 % | 4 % | 71.7 % | 87.0 % |",
        "| letters | 100 | 94 % (AUROC 0.987) | 94 % (AUROC 0.987) |  |  |",
    ]
