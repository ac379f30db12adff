"""Sparse codes: k winners of a signed Hadamard projection with z-scored units.

A key is projected onto ``code_dim`` units; each unit is centred and scaled by its own mean and standard
deviation over the stored keys; the ``k`` largest units are the code. Without the z-scores the units
whose weights lie along the mean of the keys win for nearly every key (hubs: 75 times the mean use on
sentence embeddings), and associations through such units mix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.compiled import CompiledCoder, compiled

Float32 = NDArray[np.float32]
Code = NDArray[np.uint16]

CODE_DIM_MAX = 65536  # units are stored as uint16
_CHUNK = 16  # keys projected at once: 16 x 16384 float32 = 1 MiB, which stays in cache
_SCALE_FLOOR = 0.05  # of the units' rms deviation: a nearly constant unit must not win by its rounding


class SignedHadamard:
    """y = [H S_1; ...; H S_B] H S_0 x, cut to ``units`` rows.

    x  key padded with zeros to D, the next power of two of ``dim``
    H  Hadamard matrix of order D, entries +-1, never formed (fast transform, D log D additions)
    S  diagonal matrices of random signs drawn from ``seed``
    B  number of blocks, units / D rounded up

    H S_0 spreads a key with few non-zero entries over all D coordinates, as in the fast
    Johnson-Lindenstrauss transform (Ailon and Chazelle 2009); each further block is then as good as a
    dense +-1 projection. Only additions follow the normalised key, in a fixed order: a key has the same
    projection, bit for bit, alone or in a batch, on every machine.
    """

    def __init__(self, dim: int, units: int, seed: int) -> None:
        self.dim = dim
        self.units = units
        self.order = 1 << max(1, (dim - 1).bit_length())
        blocks = -(-units // self.order)
        # The raw stream of PCG64 is fixed by NumPy's compatibility policy; Generator methods are not.
        words = np.random.PCG64(seed).random_raw(-(-(blocks + 1) * self.order // 64))
        bits = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")
        signs = 1.0 - 2.0 * bits[: (blocks + 1) * self.order].astype(np.float32)
        self.signs: Float32 = signs.astype(np.float32).reshape(blocks + 1, self.order)

    def project(self, keys: Float32) -> Float32:
        """Projection of unit keys (samples, dim): float32 (samples, units)."""
        samples = keys.shape[0]
        blocks = self.signs.shape[0] - 1
        mixed = np.zeros((self.order, samples), dtype=np.float32)
        mixed[: self.dim] = keys.T * self.signs[0, : self.dim, None]
        _transform(mixed)
        fields = np.empty((self.order, samples, blocks), dtype=np.float32)
        np.multiply(mixed[:, :, None], self.signs[1:].T[:, None, :], out=fields)
        _transform(fields.reshape(self.order, samples * blocks))
        by_unit = fields.transpose(1, 2, 0)
        return np.ascontiguousarray(by_unit.reshape(samples, blocks * self.order)[:, : self.units])


def _transform(columns: Float32) -> None:
    """Fast Walsh-Hadamard transform, unnormalised, in place along axis 0 (a power of two) of C order."""
    order, width = columns.shape
    half = 1
    while half < order:
        pairs = columns.reshape(order // (2 * half), 2, half * width)
        difference = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] += pairs[:, 1]
        pairs[:, 1] = difference
        half *= 2


@dataclass(frozen=True, eq=False)
class UnitStatistics:
    """Per-unit statistics of the projection: z = (y - mean) / scale.

    ``mean`` and ``scale`` float32 (units,), in units of the projection; ``items`` the number of keys they
    were fitted on (0: not fitted, mean 0 and scale 1, plain winner-take-all).
    """

    mean: Float32
    scale: Float32
    items: int

    @staticmethod
    def unfitted(units: int) -> UnitStatistics:
        """Statistics of an empty memory, which leave the projection as it is."""
        return UnitStatistics(np.zeros(units, np.float32), np.ones(units, np.float32), 0)

    @staticmethod
    def fit(projection: SignedHadamard, keys: Float32) -> UnitStatistics:
        """Mean and standard deviation of each unit over ``keys`` (samples, dim), at least one sample."""
        total, squares = field_sums(projection, keys)
        samples = keys.shape[0]
        mean = total / samples
        deviation = np.sqrt(np.maximum(squares / samples - mean * mean, 0.0))
        rms = float(np.sqrt((deviation * deviation).mean()))
        # Below this all keys are the same key up to float32 rounding, and no deviation means anything.
        flat = rms <= 1e-5 * float(np.sqrt(squares.mean() / samples))
        scale = np.ones_like(deviation) if flat else np.maximum(deviation, _SCALE_FLOOR * rms)
        return UnitStatistics(mean.astype(np.float32), scale.astype(np.float32), samples)


def field_sums(
    projection: SignedHadamard, keys: Float32, *, use_compiled: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and sum of squares of each unit's projection over ``keys`` (samples, dim): float64 (units,)."""
    if use_compiled and compiled() is not None:
        plain = UnitStatistics.unfitted(projection.units)
        return CompiledCoder(projection.signs, plain.mean, plain.scale, projection.dim, 1).field_sums(keys)
    total, squares = np.zeros(projection.units), np.zeros(projection.units)
    for chunk in _chunks(keys):
        for field in projection.project(chunk).astype(np.float64):  # one by one, in the order of the C code
            total += field
            squares += field * field
    return total, squares


class SparseCoder:
    """Keys to codes: projection, z-score, ``k`` winners. Ties go to the lower unit."""

    def __init__(
        self, projection: SignedHadamard, statistics: UnitStatistics, k: int, *, use_compiled: bool = True
    ) -> None:
        self.projection = projection
        self.statistics = statistics
        self.k = k
        self._compiled: CompiledCoder | None = None
        if use_compiled and compiled() is not None:
            self._compiled = CompiledCoder(
                projection.signs, statistics.mean, statistics.scale, projection.dim, k
            )

    def with_statistics(self, statistics: UnitStatistics) -> SparseCoder:
        """The same projection and winners with other unit statistics."""
        return SparseCoder(self.projection, statistics, self.k)

    def encode(self, keys: Float32) -> Code:
        """Codes of unit keys (samples, dim): uint16 (samples, k), each row strictly increasing."""
        if self._compiled is not None:
            return self._compiled.encode(keys)
        codes = np.empty((keys.shape[0], self.k), dtype=np.uint16)
        start = 0
        for chunk in _chunks(keys):
            fields = (self.projection.project(chunk) - self.statistics.mean) / self.statistics.scale
            for row, field in enumerate(fields):
                codes[start + row] = winners(field, self.k)
            start += chunk.shape[0]
        return codes


def winners(field: NDArray[Any], k: int) -> Code:
    """The ``k`` largest units of ``field`` (units,) in increasing order, ties to the lower unit."""
    if k >= field.size:
        return np.arange(field.size, dtype=np.uint16)
    cut = np.partition(field, field.size - k)[field.size - k]
    above = np.flatnonzero(field > cut)
    level = np.flatnonzero(field == cut)[: k - above.size]
    return np.sort(np.concatenate((above, level))).astype(np.uint16)


def active_winners(field: NDArray[np.float64], k: int) -> Code:
    """As :func:`winners`, but only units that received anything, which may be fewer than ``k``."""
    chosen = winners(field, k)
    return chosen[field[chosen] > 0]


def _chunks(keys: Float32) -> Iterator[Float32]:
    for start in range(0, keys.shape[0], _CHUNK):
        yield keys[start : start + _CHUNK]
