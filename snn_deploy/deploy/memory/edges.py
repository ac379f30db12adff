"""Associations between slots: a growing edge list, chained by source and by target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.arrays import appended

_NONE = -1


class _Chains:
    """For each slot, the edges that have it at one end, newest first.

    ``newest[s]`` is the last edge of slot s, ``previous[e]`` the one before edge e of the same slot.
    """

    def __init__(self) -> None:
        self.newest = np.empty(0, np.int32)
        self.previous = np.empty(0, np.int32)

    def add_slots(self, slots: int, count: int) -> None:
        self.newest = appended(self.newest, slots, np.full(count, _NONE, np.int32))

    def add(self, size: int, ends: NDArray[np.int32]) -> None:
        """Chain edges ``size``, ``size + 1``, ... to the slots ``ends`` (new,)."""
        order = np.argsort(ends, kind="stable")
        by_slot = ends[order]
        before = np.empty(ends.size, np.int32)
        before[order[1:]] = np.where(by_slot[1:] == by_slot[:-1], order[:-1] + size, _NONE)
        first = np.ones(ends.size, np.bool_)
        first[1:] = by_slot[1:] != by_slot[:-1]
        before[order[first]] = self.newest[by_slot[first]]
        self.previous = appended(self.previous, size, before)
        last = np.append(first[1:], np.ones(min(1, ends.size), np.bool_))
        self.newest[by_slot[last]] = order[last] + size

    def of(self, slot: int) -> Iterator[int]:
        edge = int(self.newest[slot])
        while edge != _NONE:
            yield edge
            edge = int(self.previous[edge])


class Edges:
    """Edges source -> target with weights, by slot; a removed edge keeps its place with weight 0.

    Following, adding or removing a slot's edges touches no other slot's. 1M edges cost 32 MB.
    """

    def __init__(self) -> None:
        self._slots = self._size = 0
        self._sources = np.empty(0, np.int32)
        self._targets = np.empty(0, np.int32)
        self._weights = np.empty(0, np.float64)
        self._checksums = np.empty(0, np.uint32)
        self._degree = np.empty(0, np.int32)
        self._out, self._in = _Chains(), _Chains()
        self.count = self.checksum_sum = 0

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
        """Weight of each edge (edges,), 0 where removed."""
        return self._weights[: self._size]

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Whether a slot has an edge out of it, bool (slots,)."""
        return self._degree[: self._slots] > 0

    @property
    def chained(self) -> tuple[NDArray[Any], ...]:
        """Degree and newest edge of each slot; previous, target and weight of each edge (compiled.py)."""
        return self._degree, self._out.newest, self._out.previous, self._targets, self._weights

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        chains = (self._out.newest, self._out.previous, self._in.newest, self._in.previous)
        columns = (self._sources, self._targets, self._weights, self._checksums, self._degree)
        return sum(array.nbytes for array in (*columns, *chains))

    def add_slots(self, count: int) -> None:
        """Make room for ``count`` more slots, without edges."""
        self._degree = appended(self._degree, self._slots, np.zeros(count, np.int32))
        for chains in (self._out, self._in):
            chains.add_slots(self._slots, count)
        self._slots += count

    def add(
        self,
        sources: NDArray[np.int32],
        targets: NDArray[np.int32],
        weights: NDArray[np.float64],
        checksums: NDArray[np.uint32],
    ) -> None:
        """Append edges between slots, none of which is there already."""
        if not sources.size:
            return
        self._out.add(self._size, sources)
        self._in.add(self._size, targets)
        self._sources = appended(self._sources, self._size, sources)
        self._targets = appended(self._targets, self._size, targets)
        self._weights = appended(self._weights, self._size, weights)
        self._checksums = appended(self._checksums, self._size, checksums)
        np.add.at(self._degree, sources, 1)
        self._size += sources.size
        self.count += sources.size
        self.checksum_sum += int(checksums.sum(dtype=np.int64))

    def out_of(self, slot: int) -> Iterator[tuple[int, float]]:
        """Targets and weights of a slot's edges, newest first."""
        for edge in self._out.of(slot):
            if self._weights[edge]:
                yield int(self._targets[edge]), float(self._weights[edge])

    def remove(self, source: int, target: int) -> None:
        """Drop the edge between two slots, if there is one."""
        for edge in self._out.of(source):
            if self._targets[edge] == target and self._weights[edge]:
                self._drop(edge)
                return

    def forget(self, slot: int) -> None:
        """Drop every edge into or out of ``slot``."""
        for chains in (self._out, self._in):
            for edge in chains.of(slot):
                if self._weights[edge]:
                    self._drop(edge)

    def _drop(self, edge: int) -> None:
        self._weights[edge] = 0.0
        self._degree[self._sources[edge]] -= 1
        self.count -= 1
        self.checksum_sum -= int(self._checksums[edge])
