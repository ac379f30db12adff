"""Blocks: a projection's weights as a matrix with one column a presynaptic feature.

Dense weights are that matrix. A convolution's kernel is one too, with a row a channel and a feature a
kernel cell. A sparse projection is filled with zeros that stay zero, where that is small enough.
To quantise a further connection well, register it here; without, its weights round to the nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.arrays import AnyArray, FloatArray, IntArray, frozen
from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse, map_weights, synapses, weights
from snn_deploy.network.discrete import DiscreteProjection

#: A sparse projection is filled up to this many entries.
_FILL_LIMIT = 4_000_000


@dataclass(frozen=True, eq=False)
class Block:
    """matrix: weights, shape (rows, columns); rebuild: integers of that shape -> a connection.

    rows: what a row is: one neuron, one channel of neurons, or nothing that shares features.
    pattern: True where a weight may differ from zero (a pruned synapse stays away), None for everywhere.
    """

    matrix: FloatArray
    rows: Literal["neuron", "channel", "none"]
    rebuild: Callable[[IntArray], Connection]
    pattern: AnyArray | None = None


@singledispatch
def block(connection: Connection) -> Block:
    """View a connection as a :class:`Block`."""
    raise TypeError(f"not a connection: {type(connection).__name__}")


@block.register
def _(connection: Dense) -> Block:
    matrix = np.asarray(connection.weight)
    pattern = None if np.all(matrix) else matrix != 0
    return Block(matrix, "neuron", lambda q: Dense(frozen(q, np.int64)), pattern)


@block.register
def _(connection: Conv2d) -> Block:
    shape = connection.weight.shape
    return Block(
        np.asarray(connection.weight).reshape(shape[0], -1),
        "channel" if connection.groups == 1 else "none",
        lambda q: map_weights(connection, lambda _: frozen(q.reshape(shape), np.int64)),
    )


@block.register
def _(connection: Sparse) -> Block:
    if connection.shape[0] * connection.shape[1] > _FILL_LIMIT:
        row = np.asarray(connection.data)[None, :]
        return Block(row, "none", lambda q: map_weights(connection, lambda _: frozen(q[0], np.int64)))
    rows = np.repeat(np.arange(connection.shape[0]), np.diff(connection.indptr))
    columns = np.asarray(connection.indices)
    matrix = np.zeros(connection.shape)
    matrix[rows, columns] = connection.data
    pattern = np.zeros(connection.shape, dtype=np.bool_)
    pattern[rows, columns] = True

    def rebuild(values: IntArray) -> Connection:
        return map_weights(connection, lambda _: frozen(values[rows, columns], np.int64))

    return Block(matrix, "neuron", rebuild, pattern)


def sparse(connection: Connection) -> Sparse:
    """Return the nonzero weights of an integer connection as :class:`Sparse`."""
    matrix = synapses(connection).copy()
    matrix.eliminate_zeros()
    return Sparse(
        frozen(matrix.data, np.int64),
        frozen(matrix.indices, np.int64),
        frozen(matrix.indptr, np.int64),
        (int(matrix.shape[0]), int(matrix.shape[1])),
    )


def finite_violations(edge: DiscreteProjection) -> list[Violation]:
    """Weights that are not numbers cannot be rounded."""
    values = weights(edge.connection)
    bad = np.flatnonzero(~np.isfinite(values))
    if not bad.size:
        return []
    found = f"{values.reshape(-1)[bad[0]]} at weight {bad[0]} ({bad.size} of {values.size})"
    return [Violation("weights are not finite", where=edge.name, found=found)]
