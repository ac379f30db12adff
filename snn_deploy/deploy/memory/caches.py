"""Everything that recall needs in memory, derived from the database and thrown away at will."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.codes import Code
from snn_deploy.deploy.memory.contents import Contents, Ids
from snn_deploy.deploy.memory.edges import Edges, appended
from snn_deploy.deploy.memory.neighbours import NearestNeighbours
from snn_deploy.deploy.memory.postings import Postings
from snn_deploy.deploy.memory.vectors import Float32


class Caches:
    """Neighbour index, postings and edges over slots, which number the items in the order of their rows.

    A forgotten item leaves a tombstone: its slot stays in every array, and is never returned.
    Raises ValueError for contents that contradict themselves.
    """

    def __init__(self, contents: Contents, code_dim: int) -> None:
        slots = contents.ids.size
        self._ids = contents.ids.copy()
        self._alive = np.ones(slots, np.bool_)
        self._slot_of = {item: slot for slot, item in enumerate(contents.ids.tolist())}
        if len(self._slot_of) != slots:
            raise ValueError("two items of one id")
        self.neighbours = NearestNeighbours(contents.keys)
        self.postings = Postings(contents.codes, code_dim)
        ends = [
            np.array([self._slot_of.get(item, -1) for item in column.tolist()], np.int64)
            for column in (contents.sources, contents.targets)
        ]
        if any((column < 0).any() for column in ends):
            raise ValueError("a link to an item that is not there")
        self.edges = Edges(slots, ends[0], ends[1], contents.weights)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which slots hold an item, bool (slots,)."""
        return self._alive[: self.postings.size]

    @property
    def tombstones(self) -> int:
        """Slots of forgotten items."""
        return self.postings.size - len(self._slot_of)

    def id_at(self, slot: int) -> int:
        """Id of the item in ``slot``."""
        return int(self._ids[slot])

    def slot_at(self, item: int) -> int:
        """Slot of a stored item."""
        return self._slot_of[item]

    def allowed(self, ids: Collection[int] | None) -> NDArray[np.bool_] | None:
        """Slots of ``ids`` (None: of all items) as a mask, or None where every slot is allowed."""
        if ids is None:
            return self.alive if self.tombstones else None
        mask = np.zeros(self.postings.size, np.bool_)
        mask[[self._slot_of[item] for item in ids if item in self._slot_of]] = True
        return mask

    def add(self, ids: Sequence[int], keys: Float32, codes: Code) -> None:
        """Append stored items."""
        start = self.postings.size
        column: Ids = np.array(ids, np.int64)
        self._ids = appended(self._ids, start, column)
        self._alive = appended(self._alive, start, np.ones(len(ids), np.bool_))
        self.neighbours.add(keys)
        self.postings.add(codes)
        self.edges.add_slots(len(ids))
        self._slot_of.update((item, start + offset) for offset, item in enumerate(ids))

    def link(self, source: int, target: int, weight: float) -> None:
        """Add or re-weight the edge between two stored items, by id."""
        self.edges.put(self._slot_of[source], self._slot_of[target], weight)

    def forget(self, item: int) -> None:
        """Leave a tombstone for a stored item, by id."""
        slot = self._slot_of.pop(item)
        self._alive[slot] = False
        self.edges.forget(slot)
