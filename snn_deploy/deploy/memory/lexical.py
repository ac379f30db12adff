"""A lexical key beside the vector: BM25 over the texts of items, fused with the cosine.

BM25 (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75) is SQLite FTS5's, over Porter stems. Its index is a
cache in memory, made of checked texts, so a damaged or hostile file has no say in it. Fused score of an
item: z(BM25) + w z(cosine), z being taken over all items that hold a key, items without a matching word
having BM25 0.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

COSINE_WEIGHT = 0.2  # of z(cosine) beside z(BM25); .1 to .4 are within a point on conversations
_TERMS_MAX = 256


class LexicalIndex:
    """Words of the texts of slots."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._database.execute(
            "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='porter unicode61')"
        )
        self.last_row = 0  # of the memory's database, up to which texts are in

    def add(self, slots_and_texts: Iterable[tuple[int, str]]) -> None:
        """Index the texts of slots that have none yet."""
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", slots_and_texts)
        self._database.execute("COMMIT")

    def scores(self, text: str, slots: int) -> NDArray[np.float64]:
        """BM25 of each slot's text for the words of ``text``, float64 (slots,), 0 where none occurs."""
        scores = np.zeros(slots)
        words = list(dict.fromkeys(re.findall(r"\w+", text.lower())))[:_TERMS_MAX]
        if words:
            query = " OR ".join(f'"{word}"' for word in words)
            found = self._database.execute(
                "SELECT rowid, bm25(words) FROM words WHERE words MATCH ?", (query,)
            ).fetchall()
            if found:
                places, values = np.array(found).T
                scores[places.astype(np.int64)] = -values
        return scores


def fused(
    bm25: NDArray[np.float64], cosines: NDArray[np.float32], held: NDArray[np.bool_], weight: float
) -> NDArray[np.float64]:
    """z(bm25) + weight z(cosines), each standardised over the slots that are ``held``: float64 (slots,)."""
    return _standardised(bm25, held) + weight * _standardised(cosines.astype(np.float64), held)


def _standardised(values: NDArray[np.float64], held: NDArray[np.bool_]) -> NDArray[np.float64]:
    among = values[held]
    deviation = float(among.std()) if among.size else 0.0
    if deviation == 0.0:
        return np.zeros_like(values)
    return np.asarray((values - among.mean()) / deviation)
