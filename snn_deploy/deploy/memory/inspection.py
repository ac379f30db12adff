"""What a memory holds, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.contents import Layout
from snn_deploy.deploy.memory.database import Database, damaged, translated
from snn_deploy.deploy.memory.loading import current_caches, read_contents
from snn_deploy.deploy.memory.recalling import check_all_notes
from snn_deploy.deploy.memory.results import Check, MemoryStats
from snn_deploy.deploy.memory.snapshot import read_snapshot, snapshot_path
from snn_deploy.deploy.memory.vectors import unit_vectors
from snn_deploy.errors import UnsafeFile, Violation

_CUES = 100
_NEAREST = 10
_CUE_COSINE = 0.7
_ROWS_AT_ONCE = 65536


def stats(store: Path, database: Database, caches: Caches, fitted_items: int) -> MemoryStats:
    """Sizes and state of the memory that ``caches`` are of."""
    use = caches.postings.unit_use()
    with translated(database.path):
        (texts,) = database.connection.execute("SELECT count(text) FROM notes").fetchone()
    layout, neighbours = caches.layout, caches.neighbours
    approximate = layout.index != "exact" and caches.slots.count > 0
    return MemoryStats(
        items=caches.slots.count,
        links=caches.edges.count,
        texts=texts,
        dim=layout.dim,
        code_dim=layout.code_dim,
        k=layout.k,
        seed=layout.seed,
        encoder=layout.encoder,
        index=layout.index,
        keys="8-bit counts" if neighbours.holds_counts else "unit vectors",
        fitted_items=fitted_items,
        hub_ratio=float(use.max() / use.mean()) if caches.postings.size else 0.0,
        tombstones=caches.slots.tombstones,
        code_bytes=caches.nbytes,
        index_bytes=int(neighbours.bytes_a_key * neighbours.size),
        database_bytes=database.nbytes,
        snapshot=snapshot_path(store).exists(),
        recall_of_exact=_recall_of_exact(caches) if approximate else None,
        recall_cues=_CUES if approximate else 0,
    )


def _recall_of_exact(caches: Caches) -> float:
    """Share of the exactly nearest items that the index finds for noisy cues of cosine 0.7.

    Nearest among what the index itself holds: of a scalar-quantised one, among the rounded keys.
    """
    rng = np.random.default_rng(0)
    living = np.flatnonzero(caches.slots.alive)
    keys = caches.neighbours.unit_vectors(rng.choice(living, _CUES).astype(np.int64))
    noise = rng.normal(size=keys.shape)
    keys = unit_vectors(keys).vectors
    noise -= (noise * keys).sum(axis=1, keepdims=True) * keys
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    cues = (_CUE_COSINE * keys + np.sqrt(1 - _CUE_COSINE**2) * noise).astype(np.float32)
    best: NDArray[Any] = np.empty((_CUES, 0), np.float32)
    slots: NDArray[Any] = np.empty((_CUES, 0), np.int64)
    count = min(_NEAREST, living.size)
    for start in range(0, living.size, _ROWS_AT_ONCE):
        part = living[start : start + _ROWS_AT_ONCE].astype(np.int64)
        scores = cues @ caches.neighbours.unit_vectors(part).T
        best = np.concatenate((best, scores), axis=1)
        slots = np.concatenate((slots, np.tile(part, (_CUES, 1))), axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :count]
        best, slots = (np.take_along_axis(array, order, axis=1) for array in (best, slots))
    found = caches.neighbours.search(cues, count, caches.allowed(None))
    hits = [np.isin(exact, near).sum() for exact, (near, _) in zip(slots, found, strict=True)]
    return float(np.sum(hits) / (count * _CUES))


def check(store: Path, database: Database, layout: Layout) -> Check:
    """Read every row of every table; :class:`UnsafeFile` naming all that is damaged."""
    faults = [Violation("damaged file", str(store), fault) for fault in database.integrity()]
    try:
        state = database.state()
        database.statistics(layout.code_dim)
        caches = Caches(layout, read_contents(database, layout, state))
        if not caches.current:
            raise damaged(database.path, "items or links that are not those that were written")
        notes = check_all_notes(database, caches)
    except UnsafeFile as error:
        raise UnsafeFile([*faults, *error.violations]) from error
    except ValueError as error:
        raise UnsafeFile([*faults, *damaged(database.path, str(error)).violations]) from error
    if faults:
        raise UnsafeFile(faults)
    usable = "none"
    if snapshot_path(store).exists():
        contents = read_snapshot(store, layout)
        usable = "not usable"
        if contents is not None:
            caches = current_caches(store, database, layout, None)
            usable = "current" if contents.state.last_row <= state.last_row else "not usable"
    return Check(state.items, notes, state.edges, database.nbytes, usable)
