"""What a memory is made of and what it holds, as values."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.codes import Code
from snn_deploy.deploy.memory.vectors import Float32

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """What a memory is made of, fixed when it is created."""

    dim: int
    code_dim: int
    k: int
    seed: int
    fit_at: tuple[int, ...]
    uuid: str


@dataclass(frozen=True, eq=False)
class Contents:
    """Items and edges in the order of their rows, and how far they reach.

    ``ids`` int64 (items,), ``keys`` float32 (items, dim), ``codes`` uint16 (items, k), ``sources`` and
    ``targets`` int64 (edges,), ``weights`` float64 (edges,).
    """

    ids: Ids
    keys: Float32
    codes: Code
    sources: Ids
    targets: Ids
    weights: NDArray[np.float64]
    epoch: int
    last_item: int
    last_edge: int


def joined(first: Contents, then: Contents) -> Contents:
    """``first`` extended by the rows that were appended after it."""
    names = ("ids", "keys", "codes", "sources", "targets", "weights")
    arrays: dict[str, Any] = {n: np.concatenate((getattr(first, n), getattr(then, n))) for n in names}
    return Contents(**arrays, epoch=then.epoch, last_item=then.last_item, last_edge=then.last_edge)


def new_layout(dim: int, code_dim: int, k: int, seed: int, fit_at: Sequence[int]) -> Layout:
    """A layout with an identity of its own, by which snapshots know their database."""
    return Layout(dim, code_dim, k, seed, tuple(sorted(fit_at)), uuid.uuid4().hex)
