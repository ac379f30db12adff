"""Keys of the memory: spike counts or float vectors, read out of ON/OFF populations and normalised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn_deploy.errors import UsageError, Violation

Float32 = NDArray[np.float32]


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
    values = _matrix(counts, "counts")
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
    peak = np.abs(rows).max(axis=1, keepdims=True)
    silent = peak[:, 0] == 0.0
    peak[silent] = 1.0
    rows = rows / peak
    norm = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    norm[silent] = 1.0
    return UnitVectors((rows / norm).astype(np.float32), silent)


def checked_keys(keys: ArrayLike, dim: int, where: str = "keys") -> Float32:
    """Unit keys float32 (samples, dim), or one :class:`UsageError` naming every row that is no key."""
    rows = _matrix(keys, where)
    if rows.shape[1] != dim:
        raise UsageError(
            "keys of another width than the memory's",
            where=where,
            found=f"width {rows.shape[1]}",
            allowed=f"width {dim}",
            remedy="Read the same output population that the memory was created for.",
        )
    unit = unit_vectors(rows)
    if unit.silent_count:
        raise UsageError(
            Violation(
                "a silent (all-zero) key has no direction and cannot be stored or recalled",
                f"{where}[{row}]",
                remedy="Drop silent samples first; unit_vectors() marks them.",
            )
            for row in np.flatnonzero(unit.silent)
        )
    return unit.vectors


def _matrix(values: ArrayLike, where: str) -> NDArray[np.float64]:
    """``values`` as finite float64 (samples, n) in row order, n at least 1."""
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
    matrix = np.ascontiguousarray(raw, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        raise UsageError(
            Violation("NaN or infinity in a key", f"{where}[{row}]", allowed="finite numbers") for row in bad
        )
    return matrix
