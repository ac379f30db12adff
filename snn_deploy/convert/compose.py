"""Linear maps behind one another become one connection: what Loihi has is one map between two neurons.

Sums and products are taken in float64. A convolution stays one where its kernel can carry the change;
elsewhere the result is Sparse, or Dense where one of the two maps is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce, singledispatch
from typing import Any

import numpy as np

from snn_deploy.network.arrays import AnyArray, FloatArray, frozen
from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse, map_weights, size, synapses


def identity(neurons: int) -> Sparse:
    """y = x."""
    index = np.arange(neurons)
    return Sparse(
        frozen(np.ones(neurons), np.float64),
        frozen(index, np.int64),
        frozen(np.arange(neurons + 1), np.int64),
        (neurons, neurons),
    )


def compose(outer: Connection, inner: Connection | None) -> Connection:
    """Return y = outer(inner(x)); inner None is the identity."""
    if inner is None:
        return outer
    if isinstance(outer, Dense) or isinstance(inner, Dense):
        return Dense(frozen(_array(outer) @ _array(inner), np.float64))
    return sparse(synapses(outer) @ synapses(inner))


def add(connections: Sequence[Connection]) -> Connection:
    """Return y = sum of connections(x)."""
    if len(connections) == 1:
        return connections[0]
    if any(isinstance(connection, Dense) for connection in connections):
        dense = (synapses(c).toarray() if not isinstance(c, Dense) else c.weight for c in connections)
        return Dense(frozen(reduce(np.add, dense), np.float64))
    return sparse(reduce(lambda total, c: total + synapses(c), connections[1:], synapses(connections[0])))


def keep_rows(connection: Connection | None, rows: AnyArray, neurons: int) -> Connection:
    """Return the map with only the outputs ``rows`` left of ``neurons``; connection None is the identity."""
    from scipy.sparse import csr_matrix

    mask = csr_matrix((np.ones(rows.size), (rows, rows)), shape=(neurons, neurons))
    return sparse(mask if connection is None else mask @ synapses(connection))


def sparse(matrix: Any) -> Sparse:
    """A scipy sparse matrix as a Sparse connection."""
    matrix = matrix.tocsr()
    matrix.sort_indices()
    rows, columns = matrix.shape
    return Sparse(
        frozen(matrix.data, np.float64),
        frozen(matrix.indices, np.int64),
        frozen(matrix.indptr, np.int64),
        (int(rows), int(columns)),
    )


@singledispatch
def scale_rows(connection: Connection, gain: FloatArray) -> Connection:
    """Return y = gain * connection(x); gain: shape (neurons out,)."""
    raise TypeError(f"not a connection: {type(connection).__name__}")


@scale_rows.register
def _(connection: Dense, gain: FloatArray) -> Connection:
    return map_weights(connection, lambda w: frozen(gain[:, None] * w, np.float64))


@scale_rows.register
def _(connection: Sparse, gain: FloatArray) -> Connection:
    per_synapse = np.repeat(gain, np.diff(connection.indptr))
    return map_weights(connection, lambda w: frozen(per_synapse * w, np.float64))


@scale_rows.register
def _(connection: Conv2d, gain: FloatArray) -> Connection:
    per_channel = gain.reshape(connection.output_shape[0], -1)
    if np.all(per_channel == per_channel[:, :1]):
        return map_weights(connection, lambda w: frozen(per_channel[:, :1, None, None] * w, np.float64))
    # a kernel shared by neurons of different gain cannot stay a kernel
    return scale_rows(sparse(synapses(connection)), gain)


def drive(connection: Connection, values: FloatArray) -> FloatArray:
    """Return connection(values) for constant values, shape (neurons out,)."""
    if values.size != size(connection)[1]:
        raise ValueError(f"{values.size} values into {size(connection)[1]} columns")
    return np.asarray(_array(connection) @ values, dtype=np.float64)


def _array(connection: Connection) -> Any:
    return connection.weight if isinstance(connection, Dense) else synapses(connection)
