"""Retrieval metrics: rank of the right item, then Recall@k and mean reciprocal rank."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.metrics.estimate import Estimator, mean, proportion
from snn_deploy.deploy.memory import AssociativeMemory, unit_vectors

#: Ranks are looked up this deep; a right item further down counts as not found.
DEPTH = 100
RECALL_AT = (1, 5)
NOT_FOUND = 0
METRICS: dict[str, Estimator] = {**{f"recall@{k}": proportion for k in RECALL_AT}, f"mrr@{DEPTH}": mean}
"""Name of a metric -> how its figure is estimated; the first is the main one."""


def ranks(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rank (from 1) of gallery row i for query row i among all rows, by the memory's own first hop.

    queries, gallery: (items, n). NOT_FOUND where the right item is not among the DEPTH nearest, where
    the query is silent, or where the stored item is silent and so could not be stored.
    """
    stored = unit_vectors(gallery)
    found = np.full(len(queries), NOT_FOUND, dtype=np.int64)
    asked = unit_vectors(queries)
    rows = np.flatnonzero(~stored.silent)
    with (
        tempfile.TemporaryDirectory() as folder,
        AssociativeMemory.open(Path(folder) / "gallery.sqlite", dim=gallery.shape[1], fit_at=()) as memory,
    ):
        ids = memory.store_many(gallery[rows])
        item_of = dict(zip(rows.tolist(), ids, strict=True))
        for row in np.flatnonzero(~asked.silent).tolist():
            hits = [hit.id for hit in memory.recall(queries[row], DEPTH)]
            if item_of.get(row) in hits:
                found[row] = hits.index(item_of[row]) + 1
    return found


def ranks_of_scores(scores: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Rank of item i for query i in a score matrix (queries, items); ties count against the right item."""
    right = np.diag(scores)[:, None]
    found = np.count_nonzero(scores >= right, axis=1).astype(np.int64)
    return np.where(found <= DEPTH, found, NOT_FOUND)


def hit_at(found: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """1 where the rank is at most k, else 0; shape of ``found``."""
    return np.asarray((found != NOT_FOUND) & (found <= k), dtype=np.float64)


def reciprocal(found: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 / rank, 0 where not found."""
    return np.asarray(np.where(found == NOT_FOUND, 0.0, 1.0 / np.maximum(found, 1)), dtype=np.float64)


def values(found: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Recall@1, Recall@5 and reciprocal rank of ranks (items,), metric -> (items,)."""
    hits = {f"recall@{k}": hit_at(found, k) for k in RECALL_AT}
    return {**hits, f"mrr@{DEPTH}": reciprocal(found)}


def chance(items: int) -> dict[str, float]:
    """What drawing at random reaches among ``items``."""
    metrics = {f"recall@{k}": min(1.0, k / items) for k in RECALL_AT}
    metrics[f"mrr@{DEPTH}"] = float(np.sum(1.0 / np.arange(1, min(items, DEPTH) + 1)) / items)
    return metrics
