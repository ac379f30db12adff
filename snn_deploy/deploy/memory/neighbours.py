"""First hop: the stored keys nearest to a cue by cosine.

exact   FAISS flat, inner product of unit vectors; of spike counts, integer inner products of the
        bytes themselves, divided by the norms: the same order at a quarter of the memory
fp16    FAISS scalar quantiser, 2 bytes a number
sq8     FAISS scalar quantiser, 1 byte a number
hnsw    FAISS hierarchical navigable small world graph (Malkov and Yashunin 2018) over unit vectors
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.arrays import appended
from snn_deploy.deploy.memory.compiled import inner_products
from snn_deploy.deploy.memory.vectors import Float32, KeyRows, unit_rows, unit_vectors

INDEXES = ("exact", "fp16", "sq8", "hnsw")
_HNSW_LINKS = 32
_HNSW_EF = 64
_SPARE_MAX = 64  # tombstones that are found and dropped; beyond, FAISS is told to skip them
_QUERIES_AT_ONCE = 16  # rows of inner products that are held, of 4 bytes a key each

Found = tuple[NDArray[np.int64], Float32]


def new_index(kind: str, dim: int) -> Any:
    """An empty FAISS index of a kind, by inner product."""
    import faiss

    inner = faiss.METRIC_INNER_PRODUCT
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, _HNSW_LINKS, inner)
        index.hnsw.efSearch = _HNSW_EF
        return index
    if kind == "exact":
        return faiss.IndexFlatIP(dim)
    form = faiss.ScalarQuantizer.QT_fp16 if kind == "fp16" else faiss.ScalarQuantizer.QT_8bit
    return faiss.IndexScalarQuantizer(dim, form, inner)


def use_threads(threads: int) -> None:
    """Threads that FAISS searches with, in this process."""
    import faiss

    faiss.omp_set_num_threads(threads)


class NearestNeighbours:
    """Cosine search over the keys of slots 0, 1, 2, ...

    Slots are never removed from the index (FAISS moves the whole array to do so); a search names the
    slots that may be returned instead.
    """

    def __init__(self, dim: int, index: str) -> None:
        self.dim = dim
        self.kind = index
        self._bytes: _Counts | None = _Counts(dim) if index == "exact" else None
        self._index: Any = None
        self.size = 0

    @property
    def holds_counts(self) -> bool:
        """Whether the keys are held as the bytes of spike counts."""
        return self._bytes is not None and self.size > 0

    @property
    def bytes_a_key(self) -> float:
        """Bytes that the index takes for a key, as its form says."""
        graph = 8 * _HNSW_LINKS
        width = {"exact": 1 if self.holds_counts else 4, "fp16": 2, "sq8": 1, "hnsw": 4}[self.kind]
        return self.dim * width + (4 if self.holds_counts else 0) + (graph if self.kind == "hnsw" else 0)

    def add(self, keys: KeyRows) -> None:
        """Append keys (n, dim), which take the next n slots."""
        if not keys.shape[0]:
            return
        self.size += keys.shape[0]
        if self._bytes is not None:
            if self._bytes.add(keys):
                return
            held, self._bytes = self._bytes.unit_vectors(), None
            self._add_units(held)
        self._add_units(unit_rows(keys))

    def _add_units(self, units: Float32) -> None:
        if self._index is None:
            self._index = new_index(self.kind, self.dim)
        if units.shape[0] and not self._index.is_trained:
            self._index.train(units)
        if units.shape[0]:
            self._index.add(np.ascontiguousarray(units))

    def search(self, keys: KeyRows, k: int, allowed: NDArray[np.bool_] | None) -> list[Found]:
        """Slots and cosines of the ``k`` nearest keys of each cue, nearest first, ties to the lower slot.

        ``keys`` (cues, dim); ``allowed`` bool (slots,) or None for all. Fewer than ``k`` come back where
        fewer are allowed.
        """
        count = int(self.size if allowed is None else allowed.sum())
        if count == 0:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * keys.shape[0]
        if self._bytes is not None:
            return self._bytes.search(keys, min(k, count), allowed)
        spare = self.size - count
        wanted, parameters = min(k, count), None
        if allowed is not None and (spare > _SPARE_MAX or self.kind == "hnsw"):
            parameters = self._only(allowed)
        elif allowed is not None:
            wanted = min(k, count) + spare
        cosines, slots = self._index.search(unit_rows(keys), wanted, params=parameters)
        return [
            _ordered(*_permitted(found, cosine, allowed), min(k, count))
            for found, cosine in zip(slots, cosines, strict=True)
        ]

    def _only(self, allowed: NDArray[np.bool_]) -> Any:
        faiss: Any = importlib.import_module("faiss")  # its stubs do not know these arguments
        selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(sel=selector, efSearch=_HNSW_EF)
        return faiss.SearchParameters(sel=selector)

    def cosines(self, key: KeyRows) -> Float32:
        """Cosine of one cue (1, dim) with every slot's key, float32 (slots,); exact indexes only."""
        if self._bytes is not None:
            return self._bytes.cosines(key)[0] if self.size else np.empty(0, np.float32)
        import faiss

        held = faiss.rev_swig_ptr(self._index.get_xb(), self.size * self.dim).reshape(self.size, self.dim)
        return np.asarray(held @ unit_rows(key)[0], np.float32)

    def unit_vectors(self, slots: NDArray[np.int64]) -> Float32:
        """Keys of slots as unit vectors, float32 (slots, dim), as the index holds them."""
        if self._bytes is not None:
            return self._bytes.unit_vectors(slots)
        return np.asarray(self._index.reconstruct_batch(slots), np.float32)


class _Counts:
    """Spike counts in one byte each: 0 to 255, or -128 to 127 stored with an offset of 128."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._offset = 0
        self._rows = np.empty((0, dim), np.uint8)
        self._norms = np.empty(0, np.float64)
        self._size = 0

    def add(self, keys: KeyRows) -> bool:
        """Append keys; false, and nothing changed, where a byte a number cannot hold them."""
        if keys.dtype == np.float32:
            return False
        if not self._size:
            self._offset = 128 if keys.min() < 0 else 0
        if keys.min() < -self._offset or keys.max() > 255 - self._offset:
            return False
        shifted = (keys.astype(np.int16) + self._offset).astype(np.uint8)
        norms = np.sqrt(np.einsum("ij,ij->i", keys, keys, dtype=np.float64))
        self._rows = appended(self._rows, self._size, shifted)
        self._norms = appended(self._norms, self._size, norms)
        self._size += keys.shape[0]
        return True

    def unit_vectors(self, slots: NDArray[np.int64] | slice = slice(None)) -> Float32:
        counts = self._rows[: self._size][slots].astype(np.int16) - self._offset
        return unit_vectors(counts).vectors if counts.shape[0] else np.empty((0, self._dim), np.float32)

    def cosines(self, keys: KeyRows) -> Float32:
        """Cosines float32 (cues, slots)."""
        rows = self._rows[: self._size]
        whole = keys.dtype != np.float32
        if whole and int(np.abs(keys.astype(np.int32)).max()) * 255 * self._dim < 2**31:
            asked = np.ascontiguousarray(keys, np.int16)
            sums = asked.sum(axis=1, dtype=np.int64)
            products: NDArray[Any] = inner_products(rows, asked) - self._offset * sums[:, None]
            lengths = np.sqrt(np.einsum("ij,ij->i", asked, asked, dtype=np.float64))
        else:
            units = unit_rows(keys)
            products, lengths = np.empty((units.shape[0], self._size), np.float32), np.ones(units.shape[0])
            step = max(1, (1 << 22) // self._dim)
            for start in range(0, self._size, step):
                part = rows[start : start + step].astype(np.float32) - np.float32(self._offset)
                products[:, start : start + step] = units @ part.T
        return np.asarray(products / (lengths[:, None] * self._norms[None, : self._size]), np.float32)

    def search(self, keys: KeyRows, k: int, allowed: NDArray[np.bool_] | None) -> list[Found]:
        found = []
        for start in range(0, keys.shape[0], _QUERIES_AT_ONCE):
            for cosines in self.cosines(keys[start : start + _QUERIES_AT_ONCE]):
                if allowed is not None:
                    cosines[~allowed] = -np.inf
                slots = np.arange(cosines.size)
                if k < cosines.size:
                    # all that are as near as the k-th, so that ties go to the lower slot
                    least = np.partition(cosines, cosines.size - k)[cosines.size - k]
                    slots = np.flatnonzero(cosines >= least)
                found.append(_ordered(slots, cosines[slots], k))
        return found


def _permitted(slots: NDArray[Any], cosines: Float32, allowed: NDArray[np.bool_] | None) -> Found:
    keep = slots >= 0  # HNSW may find fewer
    if allowed is not None:
        keep[keep] = allowed[slots[keep]]
    return slots[keep], cosines[keep]


def _ordered(slots: NDArray[np.int64], cosines: Float32, k: int) -> Found:
    order = np.lexsort((slots, -cosines))[:k]
    return slots[order], cosines[order]
