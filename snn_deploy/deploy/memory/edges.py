"""Associations between slots: a growing edge list with the outgoing edges of each slot chained through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NONE = -1


def appended(buffer: NDArray[Any], used: int, values: NDArray[Any]) -> NDArray[Any]:
    """``buffer`` with ``values`` written after its first ``used`` entries; grows by half when it is full."""
    size = used + values.shape[0]
    if size > buffer.shape[0]:
        grown = np.empty((max(size, buffer.shape[0] * 3 // 2, 64), *buffer.shape[1:]), buffer.dtype)
        grown[:used] = buffer[:used]
        buffer = grown
    buffer[used:size] = values
    return buffer


class Edges:
    """Edges source -> target with weights, by slot; a forgotten edge keeps its place with weight 0.

    ``newest[s]`` is the last edge out of slot s and ``previous[e]`` the one before edge e of the same
    source, so that following a slot's edges touches nothing else, and 1M edges cost 24 MB.
    """

    def __init__(
        self, slots: int, sources: NDArray[np.int64], targets: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> None:
        self._slots = slots
        self._size = sources.size
        self._sources = sources.astype(np.int32)
        self._targets = targets.astype(np.int32)
        self._weights = weights.astype(np.float64)
        self._degree = np.bincount(sources, minlength=slots).astype(np.int32)
        self._newest = np.full(slots, _NONE, np.int32)
        self._newest[sources] = np.arange(sources.size)
        order = np.argsort(sources, kind="stable")
        self._previous = np.full(sources.size, _NONE, np.int32)
        same = np.flatnonzero(sources[order][1:] == sources[order][:-1])
        self._previous[order[same + 1]] = order[same]

    @property
    def sources(self) -> NDArray[np.int32]:
        """Source slot of each edge (edges,)."""
        return self._sources[: self._size]

    @property
    def targets(self) -> NDArray[np.int32]:
        """Target slot of each edge (edges,)."""
        return self._targets[: self._size]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each edge (edges,), 0 where forgotten."""
        return self._weights[: self._size]

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Whether a slot has an edge out of it, bool (slots,)."""
        return self._degree[: self._slots] > 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = (self._sources, self._targets, self._weights, self._degree, self._newest, self._previous)
        return sum(array.nbytes for array in arrays)

    def add_slots(self, count: int) -> None:
        """Make room for ``count`` more slots, without edges."""
        self._degree = appended(self._degree, self._slots, np.zeros(count, np.int32))
        self._newest = appended(self._newest, self._slots, np.full(count, _NONE, np.int32))
        self._slots += count

    def out_of(self, slot: int) -> Iterator[tuple[int, float]]:
        """Targets and weights of a slot's edges, newest first."""
        for edge in self._edges_of(slot):
            yield int(self._targets[edge]), float(self._weights[edge])

    def _edges_of(self, slot: int) -> Iterator[int]:
        edge = int(self._newest[slot])
        while edge != _NONE:
            if self._weights[edge]:
                yield edge
            edge = int(self._previous[edge])

    def put(self, source: int, target: int, weight: float) -> None:
        """Add an edge, or give the existing one its new weight."""
        for edge in self._edges_of(source):
            if self._targets[edge] == target:
                self._weights[edge] = weight
                return
        self._sources = appended(self._sources, self._size, np.array([source], np.int32))
        self._targets = appended(self._targets, self._size, np.array([target], np.int32))
        self._weights = appended(self._weights, self._size, np.array([weight]))
        self._previous = appended(self._previous, self._size, self._newest[source : source + 1])
        self._newest[source] = self._size
        self._degree[source] += 1
        self._size += 1

    def forget(self, slot: int) -> None:
        """Drop every edge into or out of ``slot``."""
        touching = (self.sources == slot) | (self.targets == slot)
        gone = np.flatnonzero(touching & (self.weights != 0.0))
        self._weights[gone] = 0.0
        np.subtract.at(self._degree, self._sources[gone], 1)
