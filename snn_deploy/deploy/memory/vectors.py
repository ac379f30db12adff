"""Keys of the memory: spike counts or float vectors, read out of ON/OFF populations and normalised.

A key is kept in the smallest form that holds it: spike counts as the integers they are (uint8, or int16
where one is negative or beyond 255), anything else as its unit vector in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn_deploy.errors import UsageError, Violation

Float32 = NDArray[np.float32]
KeyRows = NDArray[Any]  # uint8, int16 or float32 unit vectors, (samples, dim)

_ROWS_AT_ONCE = 4096  # bounds what a check takes beside its input
_NAMED_MAX = 20  # violations named one by one


@dataclass(frozen=True, eq=False)
class UnitVectors:
    """Rows of L2 norm 1, and the rows that have none.

    ``vectors`` float32 (samples, n), silent rows all zero; ``silent`` bool (samples,), true where a
    sample is all zero (no spike, or ON equal to OFF everywhere), which has no direction to recall by.
    """

    vectors: Float32
    silent: NDArray[np.bool_]

    @property
    def silent_count(self) -> int:
        """Number of silent samples, to be printed beside any recall figure."""
        return int(self.silent.sum())


def on_minus_off(counts: ArrayLike) -> Float32:
    """Signed read-out of paired output populations: ON counts minus OFF counts.

    ``counts`` is (samples, 2n), spikes per output neuron; columns 0..n-1 are the ON population and
    columns n..2n-1 the OFF population, neuron n + i being the partner of neuron i. Returns float32
    (samples, n). Raises :class:`UsageError` for an odd width, negative or non-finite counts.
    """
    values = _matrix(counts, "counts").astype(np.float64)
    width = values.shape[1]
    if width % 2:
        raise UsageError(
            "ON and OFF populations must have the same size",
            where="counts",
            found=f"width {width}",
            allowed="an even width 2n: n ON neurons, then n OFF neurons",
            remedy="Drop neurons that belong to neither population, or use the counts as they are.",
        )
    if (values < 0).any():
        raise UsageError("spike counts cannot be negative", where="counts", found=f"minimum {values.min():g}")
    half = width // 2
    return (values[:, :half] - values[:, half:]).astype(np.float32)


def unit_vectors(values: ArrayLike) -> UnitVectors:
    """Divide every row of ``values`` (samples, n) by its L2 norm; all-zero rows are kept and marked silent.

    Rows are scaled by their largest magnitude before squaring, so that neither huge nor tiny values
    overflow or vanish. Raises :class:`UsageError` for a wrong shape, non-numbers, NaN or infinity.
    """
    rows = _matrix(values, "vectors")
    vectors = np.empty(rows.shape, np.float32)
    silent = np.zeros(rows.shape[0], np.bool_)
    for start in range(0, rows.shape[0], _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE].astype(np.float64)
        peak = np.abs(part).max(axis=1, keepdims=True)
        quiet = peak[:, 0] == 0.0
        peak[quiet] = 1.0
        part /= peak
        norm = np.sqrt((part * part).sum(axis=1, keepdims=True))
        norm[quiet] = 1.0
        vectors[start : start + _ROWS_AT_ONCE] = part / norm
        silent[start : start + _ROWS_AT_ONCE] = quiet
    return UnitVectors(vectors, silent)


def silent_rows(keys: ArrayLike) -> NDArray[np.bool_]:
    """Which of ``keys`` (samples, n) are all zero, bool (samples,): they cannot be stored or recalled."""
    silent: NDArray[np.bool_] = ~_matrix(keys, "keys").any(axis=1)
    return silent


def checked_keys(keys: ArrayLike, dim: int, where: str = "keys") -> KeyRows:
    """Keys (samples, dim) in the form in which they are kept, or one :class:`UsageError` for all faults."""
    rows = _matrix(keys, where)
    if rows.shape[1] != dim:
        raise UsageError(
            "keys of another width than the memory's",
            where=where,
            found=f"width {rows.shape[1]}",
            allowed=f"width {dim}",
            remedy="Read the same output population that the memory was created for.",
        )
    silent = np.flatnonzero(~rows.any(axis=1))
    if silent.size:
        raise UsageError(_silence(silent, where, rows.shape[0]))
    kept = _as_integers(rows)
    return unit_vectors(rows).vectors if kept is None else kept


def unit_rows(keys: KeyRows) -> Float32:
    """Unit vectors float32 (samples, dim) of keys in the form in which they are kept."""
    return keys if keys.dtype == np.float32 else unit_vectors(keys).vectors


def _silence(rows: NDArray[np.int64], where: str, samples: int) -> list[Violation]:
    remedy = "Drop silent samples first: silent_rows() marks them, and --skip-silent leaves them out."
    what = "a silent (all-zero) key has no direction and cannot be stored or recalled"
    named = [Violation(what, f"{where}[{row}]", remedy=remedy) for row in rows[:_NAMED_MAX].tolist()]
    if rows.size > _NAMED_MAX:
        rest = rows.size - _NAMED_MAX
        named.append(Violation(f"and {rest} more silent keys of {samples}", where, remedy=remedy))
    return named


def _as_integers(rows: NDArray[Any]) -> KeyRows | None:
    """``rows`` as uint8 or int16, or None where they are no integers that fit."""
    if rows.dtype.kind not in "bui":
        return None
    if rows.dtype in (np.uint8, np.int16):
        return rows
    low, high = (int(rows.min()), int(rows.max())) if rows.size else (0, 0)
    for kind in (np.uint8, np.int16):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return rows.astype(kind)
    return None


def _matrix(values: ArrayLike, where: str) -> NDArray[Any]:
    """``values`` as finite numbers (samples, n) in row order, n at least 1, of their own type."""
    try:
        raw = np.asarray(values)
    except ValueError as error:
        raise UsageError("rows of unequal length", where=where, found=str(error)) from error
    if raw.dtype.kind not in "buif":
        raise UsageError("not real numbers", where=where, found=f"dtype {raw.dtype}", allowed="int or float")
    if raw.ndim != 2 or raw.shape[1] == 0:
        raise UsageError(
            "wrong shape", where=where, found=f"shape {raw.shape}", allowed="(samples, n), n >= 1"
        )
    matrix = np.ascontiguousarray(raw)
    if matrix.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if bad.size:
            raise UsageError(
                Violation("NaN or infinity in a key", f"{where}[{row}]", allowed="finite numbers")
                for row in bad[:_NAMED_MAX].tolist()
            )
    return matrix
