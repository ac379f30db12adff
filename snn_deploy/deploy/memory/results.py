"""What a memory answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Hit:
    """One recalled item: cosine ``score`` with the cue, and ``confidence`` in [0, 1].

    The confidence is the softmax of 20 x cosine over the 32 nearest items, the attention weight of one
    step of a modern Hopfield network (Ramsauer et al. 2020): near 1 for a clear match, small among equals.
    It orders nothing; the score does. Where a text was part of the cue, ``score`` is the fused one of
    lexical.py.
    """

    id: int
    score: float
    confidence: float
    meta: dict[str, Any] | None
    text: str | None = None


@dataclass(frozen=True, eq=False)
class Recall:
    """The answers to many cues: row i holds those to cue i, nearest first.

    ``ids`` int64, ``scores`` and ``confidence`` float32, all (cues, k); where fewer than k items fit, the
    rest of a row is id -1, score and confidence 0.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """One stored item without its key (see :meth:`AssociativeMemory.reconstruct`)."""

    id: int
    meta: dict[str, Any] | None
    text: str | None = None


@dataclass(frozen=True)
class Link:
    """An edge to the item ``target``."""

    target: int
    weight: float


@dataclass(frozen=True)
class Hop:
    """One recalled association.

    ``id`` and ``meta`` of the recalled item. ``overlap`` in [0, 1], 1 being exact: for the policy
    ``threshold`` the share of the cue's winners that its best stored cue has, for ``hebbian`` and
    ``willshaw`` the share of winners that the recalled code has in common with the item's stored code.
    """

    id: int
    overlap: float
    meta: dict[str, Any] | None = None


@dataclass(frozen=True)
class Chain:
    """What a chain recalled.

    ``start`` is the item the cue was cleaned up to and ``start_score`` its cosine with the cue (1 for an
    id); ``path`` the hops in order; ``stopped`` why it ended: ``hops`` (all were made), ``confidence``
    (the next one was below stop_confidence) or ``no association``.
    """

    start: int
    start_score: float
    policy: str
    path: tuple[Hop, ...]
    stopped: str

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the recalled items, without the start."""
        return tuple(hop.id for hop in self.path)


@dataclass(frozen=True)
class MemoryStats:
    """Sizes and state of a memory.

    ``fitted_items``: items the unit statistics were fitted on (0: not yet). ``hub_ratio``: uses of the
    most used unit over the mean use (1: perfectly even; 0: no items). ``tombstones``: forgotten items
    still in the caches. ``code_bytes``: postings, codes and edges in memory; ``index_bytes``: the keys in
    the neighbour index. ``keys``: the numbers that the keys are held in. ``recall_of_exact``: for an
    approximate index, the share of the 10 exactly nearest items that it finds for noisy cues (cosine
    0.7, n = ``recall_cues``); None for the exact one. ``snapshot``: whether a snapshot file exists.
    """

    items: int
    links: int
    texts: int
    dim: int
    code_dim: int
    k: int
    seed: int
    encoder: str
    index: str
    keys: str
    fitted_items: int
    hub_ratio: float
    tombstones: int
    code_bytes: int
    index_bytes: int
    database_bytes: int
    snapshot: bool
    recall_of_exact: float | None = None
    recall_cues: int = 0


@dataclass(frozen=True)
class Check:
    """What :meth:`AssociativeMemory.check` read and found whole.

    ``snapshot`` is ``none``, ``current`` (it holds this memory up to some point) or ``not usable``.
    """

    items: int
    notes: int
    links: int
    bytes_read: int
    snapshot: str
