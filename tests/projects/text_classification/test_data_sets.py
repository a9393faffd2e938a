"""The data sets that the project names: what they are, and a short training on a real one."""

import csv
from pathlib import Path

import numpy as np
import pytest

from common.data import packages
from common.data.packages import Archive, fetch
from common.fine_tune import fine_tune
from common.kinds.classification_checks import labels_of
from common.models.pretrained import pretrained
from common.system.errors import UserError
from common.system.files import read_json, sha256
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.rows import load_rows
from projects.text_classification.starter_data import STARTERS


def test_movie_snippets_are_the_rows_that_the_readme_names() -> None:
    starter = STARTERS["movie-snippets"]()
    sizes = {name: len(rows) for name, rows in {**starter.splits, **starter.out_of_domain}.items()}
    assert sizes == {"train": 10_072, "amazon": 2_985, "newspaper": 2_970, "tweets": 3_432}
    assert {row["reference"] for row in starter.splits["train"]} == {"positive", "negative"}
    assert len({row["group"] for row in starter.splits["train"]}) == 10_072
    assert len({row["group"] for row in starter.out_of_domain["amazon"]}) < 400


def test_the_starters_splits_are_always_the_same() -> None:
    data = load_rows(TextClassificationConfig(dataset="starter:movie-snippets"))
    assert labels_of(data) == ["negative", "positive"]
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 7252, "validation": 806, "test": 2014}
    again = load_rows(TextClassificationConfig(dataset="starter:movie-snippets"))
    assert list(data.splits["test"]["id"][:3]) == list(again.splits["test"]["id"][:3])


def test_voice_commands_are_sampled_the_same_each_time_and_split_by_template() -> None:
    one, two = STARTERS["home-assistant"](), STARTERS["home-assistant"]()
    rows = one.splits["train"]
    assert rows == two.splits["train"]
    assert (
        len(rows) > 5_000
        and len({row["reference"] for row in rows}) == 42
        and len({row["group"] for row in rows}) > 850
    )
    assert not [row for row in rows if set(row["text"]) & set("{}[]()<>|")]
    data = load_rows(TextClassificationConfig(dataset="starter:home-assistant"))
    templates = [set(data.splits[name]["group"]) for name in ("train", "validation", "test")]
    assert not (templates[0] & templates[1] or templates[0] & templates[2] or templates[1] & templates[2])


def test_a_download_that_is_not_the_pinned_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    monkeypatch.setattr(packages, "_download", lambda _, target: target.write_bytes(b"something else"))
    with pytest.raises(UserError, match="is not the pinned file"):
        fetch(Archive("a", "a.whl", "00", 100))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_starter_model_is_the_one_that_was_pinned() -> None:
    model = pretrained("starter:minilm-l6")
    assert (
        sha256(model.folder / "model.safetensors") == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )
    assert not [file for file in model.folder.iterdir() if file.suffix in (".py", ".bin", ".pt", ".pkl")]


@pytest.mark.slow
def test_a_short_training_on_banking77_beats_the_frozen_encoder(assets: Path, tmp_path: Path) -> None:
    """1,500 rows in 20 of the 77 intents, two epochs: well above 0.9, and above every baseline on the same rows."""
    for split in ("train", "test"):
        with (assets / f"data/banking77/{split}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        kept = sorted({row["category"] for row in rows})[:20]
        rows = [row for row in rows if row["category"] in kept]
        order = np.random.default_rng(0).permutation(len(rows))[:1500]
        with (tmp_path / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "category"])
            writer.writeheader()
            writer.writerows(rows[index] for index in order)
    options = [
        "--train_file",
        str(tmp_path / "train.csv"),
        "--test_file",
        str(tmp_path / "test.csv"),
        "--label_column",
        "category",
    ]
    fine_tune(
        "text_classification",
        [*options, "--epochs", "2", "--output_dir", str(tmp_path / "runs"), "--run_name", "short"],
    )
    results = read_json(tmp_path / "runs/text_classification/short/results.json")
    accuracy = results["metrics"]["accuracy"]["value"]
    assert accuracy >= 0.93
    assert accuracy >= results["baselines"]["tfidf_logistic_regression"]["accuracy"]["value"] + 0.02
