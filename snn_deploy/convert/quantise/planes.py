"""Planes: cut the integers of one source into the projections that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.convert.quantise.blocks import Block, sparse
from snn_deploy.convert.quantise.grids import Grid
from snn_deploy.convert.quantise.groups import Piece
from snn_deploy.network.arrays import AnyArray, FloatArray, IntArray
from snn_deploy.network.connections import Connection, Dense, weights
from snn_deploy.network.quantised import QuantisedProjection, SignMode

#: A dense plane with fewer nonzero weights than this share is stored as compressed rows; one sign's is not.
_SPARSE_BELOW = 0.35


@dataclass(frozen=True, eq=False)
class Plane:
    """Integers of one plane, shape of the block's matrix, on the grid of ``sign``."""

    sign: SignMode
    exponent: int
    values: IntArray


def cut(rounded: FloatArray, grid: Grid) -> list[Plane]:
    """Planes whose ``values << exponent`` sum to ``rounded``; those without any weight are left out.

    At least one plane remains, so that a projection of zeros still exists.
    """
    parts: list[Plane] = []
    for exponent, values in grid.split(rounded):
        if not grid.by_sign:
            parts.append(Plane("mixed", exponent, values))
            continue
        parts.append(Plane("excitatory", exponent, np.maximum(values, 0)))
        parts.append(Plane("inhibitory", exponent, np.minimum(values, 0)))
    filled = [plane for plane in parts if np.any(plane.values)]
    return filled or parts[:1]


def projections(
    piece: Piece, block: Block, planes: list[Plane], *, target: str, bits: int, message_bits: int
) -> list[QuantisedProjection]:
    """The planes as projections; a second one's name ends with its sign and exponent."""
    found = []
    for plane in planes:
        suffix = "" if len(planes) == 1 else f"[{plane.sign[:3]}{plane.exponent}]"
        found.append(
            QuantisedProjection(
                name=piece.name + suffix,
                source=piece.source,
                target=target,
                connection=_stored(block.rebuild(plane.values), len(planes)),
                weight_exp=plane.exponent,
                weight_bits=bits,
                sign=plane.sign,
                delay=piece.edge.delay,
                message_bits=message_bits,
            )
        )
    return found


def _stored(connection: Connection, planes: int) -> Connection:
    """Compressed rows where a split has left most of a dense plane empty."""
    if planes == 1 or not isinstance(connection, Dense):
        return connection
    filled = np.count_nonzero(connection.weight)
    return connection if filled >= _SPARSE_BELOW * connection.weight.size else sparse(connection)


def describe(projection: QuantisedProjection) -> dict[str, Any]:
    """One plane in the report."""
    values: AnyArray = weights(projection.connection)
    return {
        "name": projection.name,
        "source": projection.source,
        "sign": projection.sign,
        "weight_exp": projection.weight_exp,
        "nonzero_weights": int(np.count_nonzero(values)),
        "largest_weight": int(np.abs(values).max(initial=0)),
    }
