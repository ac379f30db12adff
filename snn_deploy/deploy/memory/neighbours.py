"""First hop: exact inner product over unit keys by FAISS's flat index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.vectors import Float32


class NearestNeighbours:
    """Cosine search over the keys of slots 0, 1, 2, ...; nothing is approximated.

    Slots are never removed from the index (FAISS moves the whole array to do so); a search names the
    slots that may be returned instead.
    """

    def __init__(self, keys: Float32) -> None:
        import faiss

        self._faiss: Any = faiss
        self._index: Any = faiss.IndexFlatIP(keys.shape[1])
        self.add(keys)

    def add(self, keys: Float32) -> None:
        """Append unit keys (n, dim), which take the next n slots."""
        if keys.shape[0]:
            self._index.add(np.ascontiguousarray(keys, dtype=np.float32))

    def search(
        self, key: Float32, k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], Float32]:
        """Slots and cosines of the ``k`` nearest keys, nearest first, ties to the lower slot.

        ``key`` is a unit vector (dim,); ``allowed`` bool (slots,) or None for all. Fewer than ``k``
        come back where fewer are allowed.
        """
        count = int(self._index.ntotal if allowed is None else allowed.sum())
        if count == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        parameters = None
        if allowed is not None:
            bitmap = np.packbits(allowed, bitorder="little")
            parameters = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBitmap(bitmap))
        cosines, slots = self._index.search(key[None, :], min(k, count), params=parameters)
        order = np.lexsort((slots[0], -cosines[0]))
        return slots[0][order], cosines[0][order]
