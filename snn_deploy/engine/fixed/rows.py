"""Rows of dense weights as rows.inc adds them: in 16 bits, or in bytes where the rows come from beyond L1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.kernels.library import TILE

_INT16 = 32767
#: Neurons whose sums are bounded at a time, so that the sorted copy stays small.
_BLOCK = 256
#: A list of spikes holds no more rows than fit a C int.
_ALWAYS = 1 << 30
#: Bytes of rows that a level-1 cache keeps; it has 32 or 48 KiB.
RESIDENT = 32 << 10

Matrix = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """How the matrices of one group, each (neurons out, neurons in), are stored.

    bytes: in 8 bits, else in 16. unit: rows hold weights / 2^unit. safe: that many rows surely sum up
    within 16 bits.
    """

    bytes: bool
    unit: int
    safe: int

    def offset(self, matrix: Matrix) -> int:
        """What a weight of zero is stored as."""
        return int(-matrix.min(initial=0)) >> self.unit if self.bytes else 0

    def encode(self, matrix: Matrix, lanes: int, offset: int) -> NDArray[Any]:
        """Rows of the neurons in, tile by tile, in the order of rows.inc.

        Neuron i of 2 lanes comes in position 2i, neuron lanes + i in 2i + 1. Bytes: two groups of 2 lanes
        share the lanes of one vector, the first in the low bytes.
        """
        width = -(-matrix.shape[0] // TILE) * TILE
        rows = np.zeros((matrix.shape[1], width), dtype=np.int64)
        rows[:, : matrix.shape[0]] = matrix.T >> self.unit
        groups = rows.reshape(rows.shape[0], -1, TILE // (2 * lanes), 2, lanes).swapaxes(3, 4)
        tiles = groups.reshape(rows.shape[0], -1, TILE // (2 * lanes), 2 * lanes).swapaxes(0, 1)
        if not self.bytes:
            return np.ascontiguousarray(tiles, dtype=np.int16)
        low, high = tiles[:, :, 0::2] + offset, tiles[:, :, 1::2] + offset
        return np.ascontiguousarray(low + 256 * high).astype(np.uint16).view(np.int16)


def plan(matrices: Sequence[Matrix], unit: int, resident: int) -> Rows:
    """Choose the storage of a group whose weights are multiples of 2^unit.

    resident: bytes of the rows, at 16 bits a weight, that are in use at a time.
    """
    if not matrices:
        return Rows(False, unit, _ALWAYS)
    spans = [int(m.max(initial=0)) - int(m.min(initial=0)) for m in matrices]
    small = max(spans) >> unit <= 255
    return Rows(small and resident > RESIDENT, unit, _safe(matrices, unit))


def _safe(matrices: Sequence[Matrix], unit: int) -> int:
    """Rows that surely fit 16 bits: as many as each neuron's largest weights of one sign."""
    largest = max(int(np.abs(matrix).max(initial=1)) for matrix in matrices) >> unit
    columns = sum(matrix.shape[1] for matrix in matrices)
    if largest * columns <= _INT16:
        return _ALWAYS
    safe = columns
    for begin in range(0, matrices[0].shape[0], _BLOCK):
        block = np.concatenate([m[begin : begin + _BLOCK] for m in matrices], axis=1).astype(np.int16)
        block = np.sort(block, axis=1, kind="stable") >> unit
        for ordered in (block[:, ::-1], -block):
            sums = np.cumsum(np.maximum(ordered, 0), axis=1, dtype=np.int64)
            safe = min(safe, int((sums <= _INT16).sum(axis=1).min()))
    return _ALWAYS if safe == columns else safe
