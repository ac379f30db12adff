"""Rules of connections: weights and geometry that compiled code can walk without leaving its arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.arrays import AnyArray
from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse
from snn_deploy.network.validity.topology import Wired

#: (what is wrong, found, allowed)
Fault = tuple[str, str, str]


def connections_are_sound(network: Wired) -> Iterator[Violation]:
    """Every array has its shape and kind, every index its place, every geometry a meaning."""
    for edge in network.projections:
        for what, found, allowed in _faults(edge.connection):
            yield Violation(what, f"projection {edge.name!r}", found, allowed)


def _faults(connection: Connection) -> Iterator[Fault]:
    if isinstance(connection, Sparse):
        yield from _compressed_rows(connection)
    elif isinstance(connection, Dense):
        yield from _array("weight", connection.weight, 2)
    else:
        yield from _convolution(connection)


def _array(name: str, array: AnyArray, dimensions: int) -> Iterator[Fault]:
    if array.ndim != dimensions or 0 in array.shape:
        yield f"{name} has the wrong shape", str(array.shape), f"{dimensions} dimensions, none empty"
    yield from _numbers(name, array)


def _numbers(name: str, array: AnyArray) -> Iterator[Fault]:
    if array.dtype.kind not in "iuf":
        yield f"{name} must be numbers", str(array.dtype), ""
    elif array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        bad = np.count_nonzero(~np.isfinite(array))
        yield f"{name} must be finite", f"NaN or infinity in {bad} of {array.size}", ""


def _compressed_rows(connection: Sparse) -> Iterator[Fault]:
    data, indices, indptr = connection.data, connection.indices, connection.indptr
    if len(connection.shape) != 2 or not all(_whole(n, 1) for n in connection.shape):
        yield "shape must be two whole numbers above 0", str(connection.shape), ""
        return
    rows, columns = connection.shape
    if indptr.shape != (rows + 1,) or data.ndim != 1 or indices.shape != data.shape:
        found = f"indptr {indptr.shape}, indices {indices.shape}, data {data.shape}"
        allowed = f"indptr ({rows + 1},), indices and data of one length"
        yield "the arrays of compressed rows do not fit each other", found, allowed
    elif indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        yield "indices and indptr must be integers", f"{indices.dtype}, {indptr.dtype}", ""
    elif indptr[0] != 0 or indptr[-1] != data.size or np.any(np.diff(indptr) < 0):
        found = f"{indptr[0]} .. {indptr[-1]}"
        yield "indptr must rise from 0 to the number of synapses", found, f"0 .. {data.size}"
    elif data.size and (indices.min() < 0 or indices.max() >= columns):
        found = f"{indices.min()} .. {indices.max()}"
        yield "indices name sources that do not exist", found, f"0 .. {columns - 1}"
    else:
        yield from _numbers("data", data)
        places = np.sort(np.repeat(np.arange(rows), np.diff(indptr)) * columns + indices)
        doubled = int(np.count_nonzero(np.diff(places) == 0))
        if doubled:
            yield "two synapses join the same two neurons", f"{doubled} of {data.size}", ""


def _convolution(connection: Conv2d) -> Iterator[Fault]:
    faults = [*_array("weight", connection.weight, 4), *_geometry(connection)]
    yield from faults
    if faults:
        return
    channels_out, per_group = connection.weight.shape[:2]
    groups, channels_in = connection.groups, connection.input_shape[0]
    if channels_in != per_group * groups or channels_out % groups:
        found = f"{channels_in} in, {channels_out} out, weight {connection.weight.shape}, {groups} groups"
        yield "channels do not divide into groups", found, ""
    elif min(connection.output_shape) < 1:
        yield "the kernel is larger than its input", f"output {connection.output_shape}", ""


def _geometry(connection: Conv2d) -> Iterator[Fault]:
    for name, count, least in (
        ("input_shape", 3, 1),
        ("stride", 2, 1),
        ("padding", 2, 0),
        ("dilation", 2, 1),
    ):
        values = getattr(connection, name)
        if len(values) != count or not all(_whole(n, least) for n in values):
            yield f"{name} is out of range", str(values), f"{count} whole numbers >= {least}"
    if not _whole(connection.groups, 1):
        yield "groups is out of range", str(connection.groups), "a whole number >= 1"


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least
