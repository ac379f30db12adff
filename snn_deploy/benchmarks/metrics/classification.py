"""Classification metrics: accuracy and top-k from the scores of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def hit_at(scores: NDArray[Any], labels: NDArray[np.int64], k: int = 1) -> NDArray[np.float64]:
    """Whether the right class is among the ``k`` best; scores (items, classes), labels (items,).

    Spike counts tie often. Of classes that tie across the k-th place each is as likely to be in: with b
    classes above the right one and t level with it (itself among them), the value is
    min(max((k - b) / t, 0), 1). A silent network so scores exactly k / classes, its chance.
    """
    right = scores[np.arange(len(scores)), labels][:, None]
    better = np.count_nonzero(scores > right, axis=1)
    level = np.count_nonzero(scores == right, axis=1)
    return np.asarray(np.clip((k - better) / level, 0.0, 1.0), dtype=np.float64)


def confusion(scores: NDArray[Any], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Items of each class (rows) by the class with the highest score (columns), the first where they tie."""
    found = np.zeros((classes, classes), np.int64)
    np.add.at(found, (labels, scores.argmax(axis=1)), 1)
    return found
