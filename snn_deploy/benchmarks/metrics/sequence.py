"""Metrics of the next step of a sequence, which is a set: how much of it is among the k best guesses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def recall_of_sets(scores: NDArray[Any], sets: NDArray[np.uint8], k: int) -> NDArray[np.float64]:
    """Share of each set's members among the ``k`` highest scores; both (items, members), sets 0/1.

    Members whose scores tie across the k-th place are in with equal probability, so that a silent network
    scores k / members, its chance. An empty set has nothing to recall and counts as found.
    """
    ordered = -np.sort(-scores, axis=1)
    limit = ordered[:, k - 1 : k]
    above, level = scores > limit, scores == limit
    free = k - np.count_nonzero(above, axis=1, keepdims=True)
    inside = above + level * (free / np.count_nonzero(level, axis=1, keepdims=True))
    size = sets.sum(axis=1)
    return np.where(size > 0, (inside * sets).sum(axis=1) / np.maximum(size, 1), 1.0)
