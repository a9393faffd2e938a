"""Parts of a test set of pictures that are looked at closely, and perturbations that should not matter."""

from pathlib import Path

import numpy as np
from datasets import Dataset

from common.evaluation.slices import in_thirds

from .pictures import ALTERATIONS, Altered


def by_light_and_size(rows: Dataset) -> dict[str, list[str]]:
    """By mean brightness (0 to 255), and by the shorter side where pictures differ in it."""
    found = {
        "brightness": in_thirds(
            np.asarray(rows["brightness"], dtype=np.float64), ("dark", "medium", "bright"), "of 255"
        )
    }
    sides = np.asarray(rows["side"], dtype=np.float64)
    if len(set(sides.tolist())) > 1:
        found["shorter side"] = in_thirds(sides, ("small", "medium", "large"), "pixels")
    return found


def perturbed(rows: Dataset, root: Path, seed: int) -> dict[str, list[Altered]]:
    """The pictures with noise, blurred, turned, and compressed (Hendrycks & Dietterich 2019)."""
    files = [root / name for name in rows["image"]]
    return {
        alteration: [Altered(file, alteration, seed + place) for place, file in enumerate(files)]
        for alteration in ALTERATIONS
    }
