"""A run's folder: written whole, and never taken from another run."""

import os
from pathlib import Path

import pytest

from common.config import Config, save
from common.errors import UserError
from common.run import Run, latest, read_json, write_json


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_free_folder_a_strangers_and_ones_own(tmp_path: Path) -> None:
    config = Config(train_file="a.csv", run_name="x", output_dir=str(tmp_path))
    run = Run.of(config, "project")
    run.check_free(config)
    run.open(config)
    run.check_free(config)
    run.config.unlink()
    (run.folder / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds files that are no run"):
        run.check_free(config)
    other = Config(train_file="b.csv", run_name="x", output_dir=str(tmp_path))
    save(other, run.config)
    with pytest.raises(UserError, match=r"another configuration \(train_file\)"):
        run.check_free(config)


def test_the_latest_run_is_the_one_measured_last(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no finished run"):
        latest("p", str(tmp_path))
    for number, name in enumerate(("old", "new")):
        (tmp_path / "p" / name).mkdir(parents=True)
        (tmp_path / "p" / name / "results.json").write_text("{}")
        os.utime(tmp_path / "p" / name / "results.json", (number, number))
    assert latest("p", str(tmp_path)).name == latest(None, str(tmp_path)).name == "new"
