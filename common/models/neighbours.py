"""The training rows nearest to an input, by the vectors that the fine-tuned model itself makes of them.

What lies further from all of them than nearly every validation row does is unlike what the model was trained on,
however sure its answer looks ("Out-of-Distribution Detection with Deep Nearest Neighbors", Sun et al. 2022). The
vector is what the last layer reads, so that it costs no second model.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.metrics.calibration import FEWEST_ROWS
from common.run import NEAREST_ROWS
from common.system.errors import UserError
from common.system.files import write_text, written_with_safetensors

VECTORS = "vectors.safetensors"
# Training rows that are remembered: more hardly tell apart what is unlike them, and each question is held against all.
ROWS = 3_000
NEAREST = 3
# The share of rows like the training rows that may be called unlike them: where the field compares its methods.
DISTURBED = 0.05
# Distances are rounded, so that an answer follows from what predictions.jsonl holds.
DIGITS = 6


class Neighbours:
    """Remembered training rows.

    Args:
        vectors: (n, d), of any length; they are kept with unit length and in half precision, as on disk.
    """

    def __init__(self, vectors: Tensor):
        self.vectors = nn.functional.normalize(vectors.float(), dim=1).half().float()

    def __len__(self) -> int:
        return len(self.vectors)

    def nearest(self, vectors: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(b, k) cosine distances of (b, d) vectors to the nearest rows, and (b, k) their indices; the nearest first.

        Of equally near rows the first comes first. Raises UserError where the rows have vectors of another model.
        """
        if vectors.shape[1] != self.vectors.shape[1]:
            lengths = f"{self.vectors.shape[1]} numbers, and those of the model {vectors.shape[1]}"
            raise UserError(f"the remembered training rows have vectors of {lengths}: get the run's files again.")
        self.vectors = self.vectors.to(vectors.device)
        with torch.autocast(vectors.device.type, enabled=False):
            distances = 1 - nn.functional.normalize(vectors.float(), dim=1) @ self.vectors.T
        found = distances.clamp(min=0).topk(min(NEAREST, len(self)), dim=1, largest=False)
        values, indices = found.values.cpu().numpy().round(DIGITS), found.indices.cpu().numpy()
        order = np.lexsort((indices, values), axis=1)
        return np.take_along_axis(values, order, axis=1), np.take_along_axis(indices, order, axis=1)

    def save(self, folder: Path) -> None:
        """Write the vectors."""
        from safetensors.torch import save_file

        with written_with_safetensors(folder):
            save_file({"vectors": self.vectors.half().cpu().contiguous()}, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path) -> "Neighbours | None":
        """What `save` wrote; None where there is nothing.  Raises UserError where it is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = folder / VECTORS
        if not file.is_file():
            return None
        try:
            vectors = load_file(file)["vectors"]
        except (SafetensorError, KeyError) as error:
            raise UserError(f"{file} is damaged ({error}): get the run's files again.") from error
        if vectors.ndim != 2 or not vectors.numel() or not vectors.is_floating_point() or not vectors.isfinite().all():
            raise UserError(f"{file} holds no vectors of training rows: get the run's files again.")
        return cls(vectors)


def write_shown(folder: Path, rows: list[tuple[str, str]]) -> None:
    """Write (reference, input) of the remembered rows, for people to look at."""
    lines = (json.dumps({"reference": reference, "input": given}) for reference, given in rows)
    write_text(folder / NEAREST_ROWS, "".join(f"{line}\n" for line in lines))


def read_shown(file: Path) -> list[tuple[str, str]]:
    """What `write_shown` wrote; nothing where it is missing, as in what is published.

    Raises UserError where it is damaged.
    """
    if not file.is_file():
        return []
    try:
        rows = (json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line)
        return [(str(row["reference"]), str(row["input"])) for row in rows]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({error}): get the run's files again.") from error


def farthest(distances: NDArray[Any]) -> float | None:
    """The distance beyond which an input is unlike the training rows, given those of (n,) validation rows.

    Of further rows like these at most `DISTURBED` lie beyond it, on average over validation splits (Bates et al. 2023,
    "Testing for Outliers with Conformal p-values"). None for too few rows.
    """
    if len(distances) < FEWEST_ROWS:
        return None
    rank = min(len(distances), math.ceil((1 - DISTURBED) * (len(distances) + 1)))
    return round(float(np.sort(distances)[rank - 1]), DIGITS)


def last_layer(model: nn.Module, outputs: int) -> nn.Linear | None:
    """The last linear layer that gives so many outputs, if there is one."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return next((module for module in reversed(linear) if module.out_features == outputs), None)


@contextmanager
def inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """What the layer reads in each forward pass inside."""
    read: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    try:
        yield read
    finally:
        hook.remove()
