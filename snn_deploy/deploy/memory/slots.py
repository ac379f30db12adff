"""Slots: the places of items in the caches' arrays, in the order in which the items were stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.arrays import appended
from snn_deploy.deploy.memory.contents import Items

_RECENT_MIN = 4096


class Slots:
    """Which item each slot holds, and which slot each item; a forgotten item leaves a tombstone.

    Slots of older items are found in a sorted array (12 bytes an item), those of recent ones in a dict.
    """

    def __init__(self) -> None:
        self.size = 0
        self.count = self.checksum_sum = 0
        self._ids = np.empty(0, np.int64)
        self._rows = np.empty(0, np.int64)
        self._checksums = np.empty(0, np.uint32)
        self._notes = np.empty(0, np.uint32)
        self._alive = np.empty(0, np.bool_)
        self._sorted_ids = np.empty(0, np.int64)
        self._sorted_slots = np.empty(0, np.int32)
        self._recent: dict[int, int] = {}

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which slots hold an item, bool (slots,)."""
        return self._alive[: self.size]

    @property
    def ids(self) -> NDArray[np.int64]:
        """Id of the item that each slot holds or held, int64 (slots,)."""
        return self._ids[: self.size]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row of each slot in the database, increasing, int64 (slots,)."""
        return self._rows[: self.size]

    @property
    def notes(self) -> NDArray[np.uint32]:
        """Checksum of the note of each slot's item, 0 where it has none, uint32 (slots,)."""
        return self._notes[: self.size]

    @property
    def tombstones(self) -> int:
        """Slots of forgotten items."""
        return self.size - self.count

    def add(self, items: Items) -> None:
        """Give items the next slots; ValueError if one has a slot already."""
        count = items.ids.size
        if np.unique(items.ids).size != count or (self.of(items.ids) >= 0).any():
            raise ValueError("two items of one id")
        first = self.size
        self._ids = appended(self._ids, first, items.ids)
        self._rows = appended(self._rows, first, items.rows)
        self._checksums = appended(self._checksums, first, items.checksums)
        self._notes = appended(self._notes, first, items.notes)
        self._alive = appended(self._alive, first, np.ones(count, np.bool_))
        self.size += count
        self.count += count
        self.checksum_sum += int(items.checksums.sum(dtype=np.int64))
        if count + len(self._recent) <= max(_RECENT_MIN, self.size // 8):
            self._recent.update(zip(items.ids.tolist(), range(first, self.size), strict=True))
            return
        living = np.flatnonzero(self.alive)
        order = living[np.argsort(self._ids[living], kind="stable")]
        self._sorted_ids, self._sorted_slots = self._ids[order], order.astype(np.int32)
        self._recent = {}

    def find(self, item: int) -> int:
        """Slot of an item, -1 where there is none."""
        recent = self._recent.get(item)
        if recent is not None:
            return recent
        place = int(np.searchsorted(self._sorted_ids, item))
        if place == self._sorted_ids.size or self._sorted_ids[place] != item:
            return -1
        slot = int(self._sorted_slots[place])
        return slot if self._alive[slot] else -1

    def of(self, items: NDArray[np.int64]) -> NDArray[np.int32]:
        """Slots of items, int32 (items,), -1 where there is none."""
        if items.size < 64:
            return np.array([self.find(item) for item in items.tolist()], np.int32)
        found = np.full(items.size, -1, np.int32)
        if self._sorted_ids.size:
            place = np.minimum(np.searchsorted(self._sorted_ids, items), self._sorted_ids.size - 1)
            slots = self._sorted_slots[place]
            hit = (self._sorted_ids[place] == items) & self._alive[slots]
            found[hit] = slots[hit]
        if self._recent:
            recent = np.array([self._recent.get(item, -1) for item in items.tolist()], np.int32)
            found = np.where(recent >= 0, recent, found)
        return found

    def at_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slots of items by their rows in the database, which all have one."""
        return np.searchsorted(self.rows, rows)

    def forget(self, item: int) -> int:
        """Leave a tombstone for an item; its slot, or -1 if it has none."""
        slot = self.find(item)
        if slot >= 0:
            self._recent.pop(item, None)
            self._alive[slot] = False
            self.count -= 1
            self.checksum_sum -= int(self._checksums[slot])
        return slot
