"""Inverted index over sparse codes: for each unit, the items whose code contains it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.codes import Code
from snn_deploy.deploy.memory.edges import appended

Overlaps = NDArray[np.int64]

_DELTA_MIN = 1024  # newest codes are compared one by one until they are this many


class Postings:
    """Overlap of a cue with every stored code, reading only the posting lists of the cue's units.

    Codes belong to slots 0, 1, 2, ... in the order in which they are added. The lists are one CSR array
    (start of each unit's list, then slots); codes added since it was built are compared directly, and
    the array is built anew when those are more than a quarter of it, so adding stays O(k) on average.
    """

    def __init__(self, codes: Code, code_dim: int) -> None:
        self._code_dim = code_dim
        self._codes = codes.copy()
        self.size = codes.shape[0]
        self._build()

    def _build(self) -> None:
        units = self._codes[: self.size].ravel()
        k = self._codes.shape[1]
        self._slots = (np.argsort(units, kind="stable") // k).astype(np.int32)
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(units, minlength=self._code_dim))))
        self._built = self.size

    @property
    def codes(self) -> Code:
        """All codes, uint16 (slots, k); a view, not to be written."""
        return self._codes[: self.size]

    @property
    def nbytes(self) -> int:
        """Bytes held by codes and lists."""
        return self._codes.nbytes + self._slots.nbytes + self._starts.nbytes

    def unit_use(self) -> NDArray[np.int64]:
        """Number of codes that contain each unit (code_dim,)."""
        return np.bincount(self.codes.ravel(), minlength=self._code_dim)

    def add(self, codes: Code) -> None:
        """Append codes (n, k), which take the next n slots."""
        self._codes = appended(self._codes, self.size, codes)
        self.size += codes.shape[0]
        if self.size - self._built > max(_DELTA_MIN, self._built // 4):
            self._build()

    def overlaps(self, cue: Code) -> Overlaps:
        """Number of units that each slot's code shares with ``cue``: int64 (slots,)."""
        units = cue.astype(np.int64)  # unit 65535 has a next one
        ranges = zip(self._starts[units].tolist(), self._starts[units + 1].tolist(), strict=True)
        lists = [self._slots[start:end] for start, end in ranges]
        hits = np.concatenate(lists) if lists else np.empty(0, np.int32)
        overlap = np.bincount(hits, minlength=self.size)
        if self._built < self.size:
            active = np.zeros(self._code_dim, dtype=np.bool_)
            active[cue] = True
            overlap[self._built :] = active[self._codes[self._built : self.size]].sum(axis=1)
        return overlap
