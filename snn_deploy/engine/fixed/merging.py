"""Weight planes put together again: Loihi holds them apart in 8 bits, the engine's rows hold 16.

A left shift is linear, so projections with exponents of 0 and above may be added before it:
sum_p (W_p s) 2^e_p = (sum_p W_p 2^(e_p - e) s) 2^e, with e the least exponent. A right shift rounds each
plane's own sum, so those stay apart. Events are counted elsewhere, for each plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snn_deploy.engine.fixed.bounds import LARGEST_WEIGHT, largest_weight
from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse, synapses, weights, with_weights
from snn_deploy.network.quantised import QuantisedProjection


def merged(projections: Sequence[QuantisedProjection]) -> list[QuantisedProjection]:
    """Projections that give the same input, as few as fit ``LARGEST_WEIGHT``, in the order of the first."""
    together: dict[Any, list[QuantisedProjection]] = {}
    for projection in projections:
        together.setdefault(_key(projection), []).append(projection)
    joined = [one for planes in together.values() for one in _merge(planes)]
    return [_aligned(projection, joined) for projection in joined]


def _key(projection: QuantisedProjection) -> Any:
    """Equal for projections that may be added."""
    connection = projection.connection
    if projection.weight_exp < 0:
        return projection.name
    shape: Any = "matrix"
    if isinstance(connection, Conv2d):
        shape = (connection.weight.shape, connection.input_shape, connection.stride, connection.padding)
        shape += (connection.dilation, connection.groups)
    return projection.source, projection.target, projection.delay, projection.message_bits, shape


def _merge(planes: list[QuantisedProjection]) -> list[QuantisedProjection]:
    if len(planes) == 1:
        return planes
    least = min(plane.weight_exp for plane in planes)
    reach = sum(largest_weight(plane.connection) << (plane.weight_exp - least) for plane in planes)
    if reach <= LARGEST_WEIGHT:
        return [replace(planes[0], connection=_sum(planes, least), weight_exp=least)]
    apart = [[plane for plane in planes if plane.weight_exp == e] for e in {p.weight_exp for p in planes}]
    return planes if len(apart) == 1 else [one for same in apart for one in _merge(same)]


def _sum(planes: list[QuantisedProjection], least: int) -> Connection:
    first = planes[0].connection
    shifts = [plane.weight_exp - least for plane in planes]
    if isinstance(first, Conv2d):
        terms = [weights(p.connection).astype(np.int64) << s for p, s in zip(planes, shifts, strict=True)]
        return with_weights(first, sum(terms[1:], terms[0]))
    matrices = [
        synapses(p.connection).astype(np.int64) * (1 << s) for p, s in zip(planes, shifts, strict=True)
    ]
    total = sum(matrices[1:], matrices[0])
    if any(isinstance(plane.connection, Dense) for plane in planes):
        return Dense(total.toarray())
    total = total.tocsr()
    return Sparse(
        total.data, total.indices.astype(np.int64), total.indptr.astype(np.int64), tuple(total.shape)
    )


def _aligned(projection: QuantisedProjection, others: list[QuantisedProjection]) -> QuantisedProjection:
    """The projection at the least exponent of its target's, where the weights allow it: one shift for all."""
    if projection.weight_exp < 0:
        return projection
    least = min(p.weight_exp for p in others if p.target == projection.target and p.weight_exp >= 0)
    shift = projection.weight_exp - least
    if not shift or largest_weight(projection.connection) << shift > LARGEST_WEIGHT:
        return projection
    scaled = weights(projection.connection).astype(np.int64) << shift
    return replace(projection, connection=with_weights(projection.connection, scaled), weight_exp=least)
