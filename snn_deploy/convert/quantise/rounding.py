"""Rounding by coordinate descent: choose the integers whose errors cancel on the membrane.

Minimises (d, e)^T H (d, e) + ridge |d|^2 over the weight errors d of each row and the bias error e,
one column at a time over all rows at once. Rows share H. Every move goes to the grid value nearest to
the minimum of a parabola, so the error never rises above that of nearest rounding, where it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.convert.quantise.moments import Moments
from snn_deploy.network.arrays import AnyArray, FloatArray

#: Ridge in units of the mean diagonal of H; .05 to 1 differ little.
_RIDGE = 0.3
_SWEEPS = 3
#: Columns between two updates of the bias.
_BIAS_EVERY = 16

Nearest = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Columns:
    """Consecutive columns that share a grid; pattern: True where a synapse exists, None everywhere."""

    nearest: Nearest
    count: int
    pattern: AnyArray | None = None


def round_nearest(target: FloatArray, columns: Sequence[Columns]) -> FloatArray:
    """Round every column to its own grid; shape (rows, columns)."""
    stops = np.cumsum([part.count for part in columns])[:-1]
    pieces = zip(columns, np.split(target, stops, axis=1), strict=True)
    return np.concatenate([part.nearest(values) for part, values in pieces], axis=1)


def correct_bias(error: FloatArray, moments: Moments) -> FloatArray:
    """The bias change that best makes up for weight errors (rows, columns); shape (rows,)."""
    return np.asarray(-(error @ moments.with_bias) / moments.bias)


def descend(
    target: FloatArray, columns: Sequence[Columns], moments: Moments, *, use_bias: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Round ``target`` (rows, columns); return the integers and the bias change, shape (rows,).

    Where ``moments.full`` is missing, or calibration was silent, weights round to the nearest.
    """
    rounded = round_nearest(target, columns)
    error = rounded - target
    shift = correct_bias(error, moments) if use_bias else np.zeros(len(target))
    ridge = _RIDGE * float(moments.diagonal.mean()) if moments.diagonal.size else 0.0
    if moments.full is None or ridge <= 0:
        return rounded, shift
    grids = [part for part in columns for _ in range(part.count)]
    within = [j for part in columns for j in range(part.count)]
    rounded, error, target = (np.asfortranarray(a) for a in (rounded, error, target))
    for _ in range(_SWEEPS):
        for j, part in enumerate(grids):
            pull = error @ moments.full[:, j] + shift * moments.with_bias[j] + ridge * error[:, j]
            column = part.nearest(rounded[:, j] - pull / (moments.diagonal[j] + ridge))
            if part.pattern is not None:
                column = np.where(part.pattern[:, within[j]], column, 0.0)
            rounded[:, j] = column
            error[:, j] = column - target[:, j]
            if use_bias and j % _BIAS_EVERY == _BIAS_EVERY - 1:
                shift = correct_bias(error, moments)
        if use_bias:
            shift = correct_bias(error, moments)
    return np.ascontiguousarray(rounded), shift
