"""The memory's compiled loops (memory.c beside the engine's kernels), spoken to through ctypes.

Each has an equivalent in NumPy, which runs where the package was built without a C compiler and which
the tests hold it against, bit for bit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_int64, c_void_p
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LANES = 8  # blocks of the projection that are transformed side by side; memory.c


@cache
def compiled() -> Any:
    """The loaded object, or None where there is none."""
    from snn_deploy.engine.kernels.library import library

    return library()


class _Projection(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("signs", "block_signs", "mean", "scale")),
        *((name, c_int64) for name in ("dim", "order", "groups", "units", "k")),
    )


class _Index(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("starts", "slots", "codes", "degree", "newest", "previous")),
        *((name, c_void_p) for name in ("targets", "weights", "overlap", "active", "votes", "voted")),
        *((name, c_int64) for name in ("segments", "size", "listed", "k", "code_dim")),
    )


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


class CompiledCoder:
    """Projection, z-scores and winners of :mod:`codes`, on arrays in the order that memory.c works in."""

    def __init__(
        self, signs: NDArray[np.float32], mean: NDArray[Any], scale: NDArray[Any], dim: int, k: int
    ) -> None:
        blocks, order = signs.shape[0] - 1, signs.shape[1]
        groups = -(-blocks // LANES)
        self._units = mean.size
        self._shape = (groups, order, LANES)

        def laid_out(values: NDArray[Any], fill: float) -> NDArray[np.float32]:
            """Values in unit order, as (groups, order, LANES)."""
            padded = np.full(groups * LANES * order, fill, np.float32)
            padded[: values.size] = values
            by_group = padded.reshape(groups, LANES, order).transpose(0, 2, 1)
            return np.ascontiguousarray(by_group)

        self._arrays = (
            np.ascontiguousarray(signs[0]),
            laid_out(signs[1:].ravel(), 1.0),
            laid_out(mean, np.inf),  # what is no unit never wins
            laid_out(scale, 1.0),
        )
        numbers = (dim, order, groups, self._units, k)
        self._projection = _Projection(*map(_address, self._arrays), *numbers)
        self._dim, self._k = dim, k

    def encode(self, keys: NDArray[np.float32]) -> NDArray[np.uint16]:
        """As :meth:`codes.SparseCoder.encode`."""
        rows = np.ascontiguousarray(keys, np.float32)
        codes = np.empty((rows.shape[0], self._k), np.uint16)
        reference = ctypes.byref(self._projection)
        if compiled().snn_memory_encode(reference, _address(rows), rows.shape[0], _address(codes)):
            raise MemoryError("no memory for the codes' scratch space")
        return codes

    def field_sums(self, keys: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As :func:`codes.field_sums`."""
        rows = np.ascontiguousarray(keys, np.float32)
        sums = np.zeros(self._shape), np.zeros(self._shape)
        places = map(_address, sums)
        reference = ctypes.byref(self._projection)
        if compiled().snn_memory_sum_fields(reference, _address(rows), rows.shape[0], *places):
            raise MemoryError("no memory for the statistics' scratch space")
        total, squares = (array.transpose(0, 2, 1).ravel()[: self._units].copy() for array in sums)
        return total, squares


def lists_of(
    codes: NDArray[np.uint16], first: int, units: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Inverted lists of codes (slots, k), whose slots begin at ``first``.

    Start of each unit's list int32 (units + 1,), and the lists' slots one after the other, increasing.
    """
    count, k = codes.shape
    starts = np.zeros(units + 1, np.int32)
    library = compiled()
    if library is None:
        slots = np.argsort(codes.ravel(), kind="stable").astype(np.int32)  # a radix sort of 16 bits
        np.cumsum(np.bincount(codes.ravel(), minlength=units), out=starts[1:])
        return starts, slots // np.int32(k) + np.int32(first)
    slots = np.empty(count * k, np.int32)
    rows = np.ascontiguousarray(codes)
    library.snn_memory_lists(_address(rows), first, count, k, units, _address(starts), _address(slots))
    return starts, slots


class CompiledIndex:
    """One state of postings and edges, laid out for memory.c; made anew when either changes."""

    def __init__(
        self,
        segments: Sequence[tuple[NDArray[np.int32], NDArray[np.int32]]],
        codes: NDArray[np.uint16],
        listed: int,
        code_dim: int,
        edges: Sequence[NDArray[Any]],
    ) -> None:
        size, k = codes.shape
        self._size, self._k = size, k
        count = max(1, len(segments))
        starts, slots = ((c_void_p * count)(*(_address(s[n]) for s in segments)) for n in (0, 1))
        self.overlap = np.zeros(max(1, size), np.uint16)
        scratch = (np.zeros(code_dim, np.uint8), np.zeros(max(1, size)), np.zeros(max(1, size), np.int32))
        arrays = (codes, *edges, self.overlap, *scratch)
        self._held = (segments, starts, slots, arrays)
        self._index = _Index(
            ctypes.addressof(starts),
            ctypes.addressof(slots),
            *map(_address, arrays),
            len(segments),
            size,
            listed,
            k,
            code_dim,
        )

    def overlaps(self, cue: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Units that each slot's code shares with ``cue``: uint16 (slots,), overwritten by the next call."""
        units = np.ascontiguousarray(cue, np.uint16)
        compiled().snn_memory_overlaps(ctypes.byref(self._index), _address(units), units.size)
        return self.overlap[: self._size]

    def chain(
        self, cue: NDArray[np.uint16], slot: int, hops: int, stop: float, threshold: float
    ) -> tuple[list[int], list[int], int]:
        """Slots and overlaps of the hops that were made, and the overlap of the one that was not."""
        units = np.ascontiguousarray(cue, np.uint16)
        path, overlaps = np.empty(hops, np.int32), np.empty(hops, np.int32)
        last = ctypes.c_int32(0)
        made = compiled().snn_memory_chain(
            ctypes.byref(self._index), _address(units), slot, hops, stop, threshold,
            _address(path), _address(overlaps), ctypes.byref(last),
        )  # fmt: skip
        return path[:made].tolist(), overlaps[:made].tolist(), last.value


def inner_products(rows: NDArray[np.uint8], queries: NDArray[np.int16]) -> NDArray[np.int32]:
    """rows (count, dim) with queries (queries, dim): int32 (queries, count), exact below 2^31."""
    products = np.empty((queries.shape[0], rows.shape[0]), np.int32)
    library = compiled()
    if library is None:
        step = max(1, (1 << 22) // rows.shape[1])
        for start in range(0, rows.shape[0], step):
            part = rows[start : start + step].astype(np.int32)
            products[:, start : start + step] = queries.astype(np.int32) @ part.T
        return products
    library.snn_memory_products(
        _address(rows), rows.shape[0], rows.shape[1], _address(queries), queries.shape[0], _address(products)
    )
    return products
