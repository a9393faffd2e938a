"""The nearest training rows, and how far is too far."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from common.metrics.calibration import FEWEST_ROWS
from common.models.neighbours import (
    DISTURBED,
    NEAREST,
    VECTORS,
    Neighbours,
    farthest,
    inputs_of,
    last_layer,
    read_shown,
    write_shown,
)
from common.run import NEAREST_ROWS
from common.system.errors import UserError

AROUND = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, -1.0]])


def test_distances_are_those_of_directions_and_the_nearest_comes_first() -> None:
    distances, indices = Neighbours(AROUND).nearest(torch.tensor([[5.0, 0.1], [0.0, -0.2]]))
    assert distances.shape == indices.shape == (2, NEAREST)
    assert indices[:, 0].tolist() == [0, 3]
    assert distances[0, 0] == pytest.approx(1 - 5 / np.hypot(5, 0.1), abs=1e-5) and distances[1, 0] == 0
    assert (np.diff(distances, axis=1) >= 0).all()


def test_of_equally_near_rows_the_first_comes_first() -> None:
    assert Neighbours(torch.ones(3, 8)).nearest(torch.ones(2, 8))[1].tolist() == [[0, 1, 2]] * 2


def test_fewer_rows_than_are_shown() -> None:
    distances, indices = Neighbours(AROUND[:1]).nearest(AROUND)
    assert distances.shape == (4, 1) and (indices == 0).all()


def test_a_distance_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    neighbours, asked = Neighbours(torch.randn(200, 32)), torch.randn(20, 32)
    together = neighbours.nearest(asked)[0]
    alone = np.concatenate([neighbours.nearest(one[None])[0] for one in asked])
    assert np.abs(together - alone).max() <= 2e-6


def test_saved_vectors_give_the_same_distances(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made, asked = Neighbours(torch.randn(50, 16)), torch.randn(5, 16)
    made.save(tmp_path)
    loaded = Neighbours.load(tmp_path)
    assert loaded is not None and len(loaded) == 50
    for one, two in zip(made.nearest(asked), loaded.nearest(asked), strict=True):
        assert np.abs(one - two).max() <= 1e-6


def test_a_folder_without_vectors_and_one_with_damaged_ones(tmp_path: Path) -> None:
    assert Neighbours.load(tmp_path) is None and Neighbours.load(tmp_path / "missing") is None
    (tmp_path / VECTORS).write_bytes(b"no vectors")
    with pytest.raises(UserError, match="damaged"):
        Neighbours.load(tmp_path)


@pytest.mark.parametrize(
    "vectors",
    [
        torch.ones(8),
        torch.ones(1, 4, 2),
        torch.ones(0, 2),
        torch.ones(4, 0),
        torch.ones(4, 2, dtype=torch.int64),
        torch.full((4, 2), torch.nan),
        torch.full((4, 2), torch.inf),
    ],
    ids=["1-D", "3-D", "no rows", "no numbers", "whole numbers", "NaN", "infinite"],
)
def test_what_is_no_vectors_of_rows_is_refused(tmp_path: Path, vectors: torch.Tensor) -> None:
    save_file({"vectors": vectors}, tmp_path / VECTORS)
    with pytest.raises(UserError, match="holds no vectors of training rows"):
        Neighbours.load(tmp_path)


def test_vectors_of_another_model_are_refused() -> None:
    with pytest.raises(UserError, match="have vectors of 2 numbers, and those of the model 5: get the run's files"):
        Neighbours(AROUND).nearest(torch.ones(1, 5))


@pytest.mark.parametrize("line", ["no JSON", "[1]", "7", '{"input": "a"}', "[" * 100_000, "\xff"])
def test_damaged_rows_are_said_in_a_sentence(tmp_path: Path, line: str) -> None:
    (tmp_path / NEAREST_ROWS).write_bytes(line.encode("latin-1"))
    with pytest.raises(UserError, match=r"rows.jsonl is damaged .*: get the run's files again"):
        read_shown(tmp_path / NEAREST_ROWS)


def test_shown_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [("a", "one\u2028line"), ("b", "another\nwith \ud800 half a pair")]
    assert read_shown(tmp_path / NEAREST_ROWS) == []
    write_shown(tmp_path, rows)
    assert read_shown(tmp_path / NEAREST_ROWS) == rows


@pytest.mark.parametrize("rows", [0, 1, FEWEST_ROWS - 1])
def test_few_validation_rows_choose_no_distance(rows: int) -> None:
    assert farthest(np.zeros(rows)) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 2), min_size=FEWEST_ROWS, max_size=300))
def test_at_most_the_stated_share_of_validation_rows_lies_beyond(distances: list[float]) -> None:
    rounded = np.asarray(distances).round(6)
    chosen = farthest(rounded)
    assert chosen is not None and (rounded > chosen).mean() <= DISTURBED


def test_of_new_rows_of_the_same_kind_the_stated_share_lies_beyond_on_average() -> None:
    random = np.random.default_rng(0)
    beyond = [(random.normal(size=2_000) > farthest(random.normal(size=60))).mean() for _ in range(300)]
    assert DISTURBED / 2 < np.mean(beyond) <= DISTURBED * 1.1


def test_what_the_last_layer_reads() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    layer = last_layer(model, 2)
    assert layer is not None
    with inputs_of(layer) as read:
        model(torch.ones(5, 4))
    assert layer is model[2] and read[0].shape == (5, 3) and last_layer(model, 7) is None
    model(torch.ones(5, 4))
    assert len(read) == 1
