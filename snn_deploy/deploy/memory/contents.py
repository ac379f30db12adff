"""What a memory is made of and what it holds, as values."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.codes import Code

Ids = NDArray[np.int64]
Checksums = NDArray[np.uint32]


@dataclass(frozen=True)
class Layout:
    """What a memory is made of, fixed when it is created.

    ``encoder`` names what makes its keys ("" where nobody said); ``index`` is how the first hop searches.
    """

    dim: int
    code_dim: int
    k: int
    seed: int
    fit_at: tuple[int, ...]
    uuid: str
    encoder: str = ""
    index: str = "exact"


@dataclass(frozen=True)
class State:
    """How far a memory's tables reach, and what they hold: one row, rewritten by every commit.

    ``*_sum`` is the sum of the checksums of a table's rows. Two sets of rows with the same count and sum
    are the same rows, so a cache is current exactly if its counts and sums are those of the database,
    and a table is whole exactly if its rows give them.
    """

    next_id: int = 1
    last_row: int = 0
    last_edge: int = 0
    last_removal: int = 0
    items: int = 0
    items_sum: int = 0
    edges: int = 0
    edges_sum: int = 0

    @property
    def associations(self) -> tuple[int, int, int, int]:
        """Counts and sums of items and edges, which cover every row that recall depends on."""
        return self.items, self.items_sum, self.edges, self.edges_sum


@dataclass(frozen=True, eq=False)
class Items:
    """Items in the order of their rows: ``rows``, ``ids`` int64 (items,), ``checksums`` uint32 (items,),
    ``notes`` uint32 (items,) checksums of their notes (0: no note), ``keys`` (items, dim) in the form of
    vectors.py, ``codes`` uint16 (items, k)."""

    rows: Ids
    ids: Ids
    checksums: Checksums
    notes: Checksums
    keys: NDArray[Any]
    codes: Code


@dataclass(frozen=True, eq=False)
class EdgeRows:
    """Links in the order of their rows: ``sources``, ``targets`` ids int64 (edges,), ``weights`` float64."""

    sources: Ids
    targets: Ids
    weights: NDArray[np.float64]
    checksums: Checksums


@dataclass(frozen=True, eq=False)
class Contents:
    """Items and links up to the rows that ``state`` names."""

    items: Items
    edges: EdgeRows
    state: State = field(default_factory=State)


def new_layout(
    *, dim: int, code_dim: int, k: int, seed: int, fit_at: Sequence[int], encoder: str, index: str
) -> Layout:
    """A layout with an identity of its own, by which snapshots know their database."""
    return Layout(dim, code_dim, k, seed, tuple(sorted(fit_at)), uuid.uuid4().hex, encoder, index)
