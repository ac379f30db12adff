"""Inverted index over sparse codes: for each unit, the items whose code contains it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.arrays import appended
from snn_deploy.deploy.memory.codes import Code
from snn_deploy.deploy.memory.compiled import lists_of

_LISTED_MIN = 256  # newest codes are compared one by one until they are this many

#: Start of each unit's list (code_dim + 1,), and the lists' slots one after the other.
Segment = tuple[NDArray[np.int32], NDArray[np.int32]]


class Postings:
    """Codes of slots 0, 1, 2, ... in the order in which they are added, and the lists over them.

    The lists come in segments, each over a range of slots; a new segment is merged with its neighbour
    while that is less than twice its size, so a code is listed log(slots) times in all and a cue reads
    at most log(slots) lists a unit.
    """

    def __init__(self, codes: Code, code_dim: int) -> None:
        self._code_dim = code_dim
        self._codes = np.ascontiguousarray(codes)
        self.size = codes.shape[0]
        self._ends: list[int] = []  # where each segment's range of slots ends
        self.segments: list[Segment] = []
        self._list_new()

    @property
    def listed(self) -> int:
        """Slots below this are in segments, the others are to be compared one by one."""
        return self._ends[-1] if self._ends else 0

    @property
    def codes(self) -> Code:
        """All codes, uint16 (slots, k); a view, not to be written."""
        return self._codes[: self.size]

    @property
    def nbytes(self) -> int:
        """Bytes held by codes and lists."""
        return self._codes.nbytes + sum(starts.nbytes + slots.nbytes for starts, slots in self.segments)

    def unit_use(self) -> NDArray[np.int64]:
        """Number of codes that contain each unit (code_dim,)."""
        return np.bincount(self.codes.ravel(), minlength=self._code_dim)

    def add(self, codes: Code) -> None:
        """Append codes (n, k), which take the next n slots."""
        self._codes = appended(self._codes, self.size, codes)
        self.size += codes.shape[0]
        self._list_new()

    def _list_new(self) -> None:
        first = self.listed
        if self.size - first < _LISTED_MIN:
            return
        while self._ends:
            before = self._ends[-2] if len(self._ends) > 1 else 0
            if self._ends[-1] - before >= 2 * (self.size - first):
                break
            first = before
            self._ends.pop()
            self.segments.pop()
        self._ends.append(self.size)
        self.segments.append(lists_of(self._codes[first : self.size], first, self._code_dim))

    def overlaps(self, cue: Code) -> NDArray[np.uint16]:
        """Number of units that each slot's code shares with ``cue``: uint16 (slots,)."""
        units = cue.astype(np.int64)  # unit 65535 has a next one
        lists = [
            slots[start:end]
            for starts, slots in self.segments
            for start, end in zip(starts[units].tolist(), starts[units + 1].tolist(), strict=True)
        ]
        hits = np.concatenate(lists) if lists else np.empty(0, np.int32)
        overlap = np.bincount(hits, minlength=self.size).astype(np.uint16)
        if self.listed < self.size:
            active = np.zeros(self._code_dim, dtype=np.bool_)
            active[cue] = True
            overlap[self.listed :] = active[self._codes[self.listed : self.size]].sum(axis=1)
        return overlap
