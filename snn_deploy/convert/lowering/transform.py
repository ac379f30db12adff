"""How a linear NIR node changes a signal: the function that every primitive's file registers with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import nir
import numpy as np

from snn_deploy.convert.lowering.signal import Shape, Signal
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.arrays import FloatArray, frozen
from snn_deploy.network.contract import Contract
from snn_deploy.network.neurons import MODELS

_log = logging.getLogger(__name__)

#: NIR class -> why Loihi cannot hold it, for primitives that are known and refused.
REFUSED: dict[type[nir.NIRNode], str] = {}


@singledispatch
def transform(node: nir.NIRNode, name: str, signal: Signal, contract: Contract) -> Signal:
    """Pass a signal through a linear node.

    Every field of the node is used, or a value that Loihi cannot hold is refused with ModelNotSupported.
    """
    raise ModelNotSupported([unsupported(name, node)])


def supported() -> tuple[str, ...]:
    """Names of the NIR primitives that have a lowering, sorted."""
    linear = (cls.__name__ for cls in transform.registry if cls not in (object, nir.NIRNode))
    return tuple(sorted({*linear, *MODELS, "Input", "Output", "NIRGraph"}))


def unsupported(name: str, node: nir.NIRNode) -> Violation:
    """The refusal of a node type."""
    return Violation(
        REFUSED.get(type(node), "this node type has no lowering to Loihi"),
        where=name,
        found=type(node).__name__,
        allowed=", ".join(supported()),
    )


def require_shape(signal: Signal, shape: Sequence[int], name: str) -> None:
    """Refuse a signal of another shape than the node takes; dimensions of size 1 are let pass with a warning.

    Such a dimension is a batch that an exporter left in the shape: the flattened order is the same.
    """
    stated = tuple(int(n) for n in shape)
    if signal.shape == stated:
        return
    if [n for n in signal.shape if n > 1] == [n for n in stated if n > 1]:
        _log.warning(
            "%s: takes shape %s and is given %s: dimensions of size 1 ignored", name, stated, signal.shape
        )
    else:
        raise ModelNotSupported(
            "the node does not take what arrives",
            where=name,
            found=f"shape {signal.shape}",
            allowed=f"{stated}",
        )


def widened(stated: tuple[int, ...], arriving: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of element-wise parameters behind ``arriving``: their dimensions of size 1 take any size.

    Where the parameters fit in no such way, their own shape.
    """
    kept = stated
    while len(kept) > len(arriving) and kept[0] == 1:
        kept = kept[1:]
    wide = len(kept) <= len(arriving) and all(
        n in (1, size) for n, size in zip(kept[::-1], arriving[::-1], strict=False)
    )
    return arriving if wide else stated


def spread(values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Element-wise parameters as one value for each place of ``shape``, which :func:`widened` has found."""
    array = np.asarray(values)
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    return np.broadcast_to(array, shape)


def elementwise(values: FloatArray, signal: Signal, name: str) -> FloatArray:
    """Parameters that act on each line of a signal, as (lines,); refused where they do not fit it."""
    shape = widened(values.shape, signal.shape)
    require_shape(signal, shape, name)
    return spread(values, shape).reshape(-1)


def numbers(values: Any, name: str, field: str) -> FloatArray:
    """A field as float64, refused where it is empty."""
    array = frozen(values, np.float64)
    if array.size == 0:
        raise ModelNotSupported(f"{field} is empty", where=name, found=f"shape {array.shape}")
    return array


def integers(values: Any, count: int, name: str, field: str, least: int) -> tuple[int, ...]:
    """A field of ``count`` whole numbers; one number stands for all."""
    array = np.atleast_1d(np.asarray(values))
    whole = (
        array.dtype.kind in "biuf" and bool(np.all(np.mod(array, 1) == 0)) and bool(np.all(array >= least))
    )
    if array.size not in (1, count) or not whole:
        raise ModelNotSupported(
            f"bad {field}", where=name, found=values, allowed=f"{count} whole number(s) >= {least}"
        )
    return tuple(int(n) for n in np.broadcast_to(array.reshape(-1), (count,)))


def stated_shape(node_type: Any, key: str) -> Shape | None:
    """The shape in a node's input_type or output_type, None where it states none."""
    stated = node_type.get(key) if isinstance(node_type, dict) else None
    return None if stated is None else tuple(int(n) for n in np.atleast_1d(stated))
