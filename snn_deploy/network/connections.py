"""Connections: the linear maps from presynaptic spikes to postsynaptic input.

A connection holds weights and geometry, no delay and no exponent; the same classes serve the float
and the integer network. To add one, write its class and register ``size``, ``synapses``,
``weights`` and ``with_weights`` for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np

from snn_deploy.network.arrays import AnyArray, IntArray


@dataclass(frozen=True, eq=False)
class Dense:
    """y = W x.

    weight: shape (neurons out, neurons in), as in NIR's Linear.
    """

    weight: AnyArray


@dataclass(frozen=True, eq=False)
class Sparse:
    """y = W x with W stored by compressed rows (scipy's csr_matrix).

    data, indices: one entry a synapse; indptr: shape (neurons out + 1,); shape: (neurons out, neurons in).
    """

    data: AnyArray
    indices: IntArray
    indptr: IntArray
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Cross-correlation over (channels, height, width), zero padded; Conv1d has height 1.

    weight: shape (channels out, channels in / groups, kernel height, kernel width), as in NIR's Conv2d.
    input_shape: (channels in, height, width). stride, padding, dilation: (height, width), in cells.
    """

    weight: AnyArray
    input_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels out, height, width); the formula of torch.nn.Conv2d."""
        spatial = [
            (size + 2 * pad - dil * (kernel - 1) - 1) // step + 1
            for size, pad, dil, kernel, step in zip(
                self.input_shape[1:],
                self.padding,
                self.dilation,
                self.weight.shape[2:],
                self.stride,
                strict=True,
            )
        ]
        return (int(self.weight.shape[0]), spatial[0], spatial[1])


Connection = Dense | Sparse | Conv2d


@singledispatch
def size(connection: Connection) -> tuple[int, int]:
    """Return (neurons out, neurons in)."""
    raise TypeError(f"not a connection: {type(connection).__name__}")


@size.register
def _(connection: Dense) -> tuple[int, int]:
    rows, columns = connection.weight.shape
    return int(rows), int(columns)


@size.register
def _(connection: Sparse) -> tuple[int, int]:
    return connection.shape


@size.register
def _(connection: Conv2d) -> tuple[int, int]:
    return int(np.prod(connection.output_shape)), int(np.prod(connection.input_shape))


@singledispatch
def synapses(connection: Connection) -> Any:
    """Return W as a scipy csr_matrix, shape (neurons out, neurons in), one stored entry a synapse.

    Explicit zeros stay stored, so ``nnz`` counts what the chip would store: all of a Dense, the
    pattern of a Sparse, the kernel's reach of a convolution (padding left out).
    """
    raise TypeError(f"not a connection: {type(connection).__name__}")


@synapses.register
def _(connection: Dense) -> Any:
    from scipy.sparse import csr_matrix

    rows, columns = size(connection)
    indices = np.tile(np.arange(columns), rows)
    return csr_matrix(
        (connection.weight.reshape(-1), indices, np.arange(rows + 1) * columns), shape=(rows, columns)
    )


@synapses.register
def _(connection: Sparse) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((connection.data, connection.indices, connection.indptr), shape=connection.shape)


@synapses.register
def _(connection: Conv2d) -> Any:
    from scipy.sparse import csr_matrix

    rows, columns, values = _conv_synapses(connection)
    return csr_matrix((values, (rows, columns)), shape=size(connection))


@singledispatch
def weights(connection: Connection) -> AnyArray:
    """Return the stored weights in the connection's own layout."""
    raise TypeError(f"not a connection: {type(connection).__name__}")


@weights.register(Dense)
@weights.register(Conv2d)
def _(connection: Dense | Conv2d) -> AnyArray:
    return connection.weight


@weights.register
def _(connection: Sparse) -> AnyArray:
    return connection.data


@singledispatch
def with_weights(connection: Connection, values: AnyArray) -> Connection:
    """Return the same geometry with other weights, laid out as :func:`weights` returns them."""
    raise TypeError(f"not a connection: {type(connection).__name__}")


@with_weights.register(Dense)
@with_weights.register(Conv2d)
def _(connection: Dense | Conv2d, values: AnyArray) -> Connection:
    return replace(connection, weight=values)


@with_weights.register
def _(connection: Sparse, values: AnyArray) -> Connection:
    return replace(connection, data=values)


def fan_out(connection: Connection, *, stored: bool) -> IntArray:
    """Synapses a presynaptic neuron drives, shape (neurons in,).

    stored: count every stored synapse (Dense stores zeros, as Loihi's dense encoding does), else only
    those with a nonzero weight.
    """
    if isinstance(connection, Dense):
        rows, columns = size(connection)
        nonzero = np.count_nonzero(connection.weight, axis=0)
        return np.full(columns, rows, dtype=np.int64) if stored else np.asarray(nonzero, dtype=np.int64)
    matrix = synapses(connection)
    driven = matrix.indices if stored else matrix.indices[matrix.data != 0]
    return np.asarray(np.bincount(driven, minlength=size(connection)[1]), dtype=np.int64)


def map_weights(connection: Connection, function: Callable[[AnyArray], Any]) -> Connection:
    """Return the connection with ``function`` applied to its stored weights."""
    return with_weights(connection, function(weights(connection)))


def _conv_synapses(conv: Conv2d) -> tuple[IntArray, IntArray, AnyArray]:
    """List every synapse of a convolution as (row, column, weight), padding left out."""
    channels_out, height_out, width_out = conv.output_shape
    _, height, width = conv.input_shape
    per_group_in = conv.weight.shape[1]
    per_group_out = channels_out // conv.groups
    o, i, ky, kx, y, x = np.meshgrid(
        *(np.arange(n) for n in (*conv.weight.shape, height_out, width_out)), indexing="ij", sparse=True
    )
    row_in = y * conv.stride[0] - conv.padding[0] + ky * conv.dilation[0]
    column_in = x * conv.stride[1] - conv.padding[1] + kx * conv.dilation[1]
    inside = np.broadcast_to(
        (row_in >= 0) & (row_in < height) & (column_in >= 0) & (column_in < width),
        (*conv.weight.shape, height_out, width_out),
    )
    channel_in = (o // per_group_out) * per_group_in + i
    rows = np.broadcast_to((o * height_out + y) * width_out + x, inside.shape)[inside]
    columns = np.broadcast_to((channel_in * height + row_in) * width + column_in, inside.shape)[inside]
    values = np.broadcast_to(conv.weight[:, :, :, :, None, None], inside.shape)[inside]
    return rows, columns, values
