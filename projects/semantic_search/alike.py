"""An order of documents in which those that share words are near to each other."""

import numpy as np
from numpy.typing import NDArray

from .words import words_of

# Directions in which documents are compared (latent semantic analysis, Deerwester et al. 1990), and documents that are
# not parted any more.
DIRECTIONS, LEAF = 64, 32


def places(texts: list[str]) -> NDArray[np.int64]:
    """(documents,) the place of each: halved again and again where they differ most, the halves stay together."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = np.arange(len(texts))
    if len(texts) <= LEAF or not any(words_of(texts)):
        return found
    counts = TfidfVectorizer(analyzer=lambda text: words_of([text])[0], sublinear_tf=True).fit_transform(texts)
    directions = min(DIRECTIONS, min(counts.shape) - 1)
    if directions < 1:
        return found
    vectors = TruncatedSVD(directions, random_state=0).fit_transform(counts)
    order = _halved(vectors, found)
    found[order] = np.arange(len(order))
    return found


def _halved(vectors: NDArray[np.float64], documents: NDArray[np.int64]) -> NDArray[np.int64]:
    """The documents ordered along the direction in which they vary most, then each half of them alike."""
    if len(documents) <= LEAF:
        return documents
    centred = vectors[documents] - vectors[documents].mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    ordered = documents[np.argsort(centred @ direction, kind="stable")]
    middle = len(ordered) // 2
    return np.concatenate([_halved(vectors, half) for half in (ordered[:middle], ordered[middle:])])
