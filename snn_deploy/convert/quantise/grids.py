"""The grids that weights can lie on, and the ladder of levels that spreads them over planes.

Several projections may join the same two populations, and each synapse needs an entry in only one of
them. Level 0 keeps one mixed plane. A split by sign gains a bit, because an unsigned plane has half
the step of a mixed one. A split by magnitude gives large and small weights their own exponents. With
residuals every weight has the fine step: those beyond the fine plane's range get a coarse entry and a
fine remainder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray, IntArray

#: Widest distance of the exponents of two disjoint planes.
_DISJOINT_DISTANCE = 6


@dataclass(frozen=True)
class Level:
    """One rung of the ladder.

    by_sign: excitatory and inhibitory weights in planes of their own. kind: one exponent a source, two
    disjoint ones, or a coarse plane with fine remainders. share: of the weights, at most this part may
    need a coarse entry.
    """

    by_sign: bool
    kind: Literal["single", "disjoint", "residual"]
    share: float = 0.0
    title: str = ""


LEVELS = (
    Level(False, "single", title="one mixed plane"),
    Level(True, "single", title="split by sign"),
    Level(False, "disjoint", title="split by magnitude"),
    Level(True, "disjoint", title="split by sign and magnitude"),
    Level(True, "residual", 0.05, title="split by sign, remainders for 5 %"),
    Level(True, "residual", 0.1, title="split by sign, remainders for 10 %"),
    Level(True, "residual", 0.25, title="split by sign, remainders for 25 %"),
    Level(True, "residual", 1.0, title="split by sign, remainders for all that need one"),
)


def check_level(level: int) -> None:
    """Raise UsageError for a level that is not on the ladder."""
    if not 0 <= level < len(LEVELS):
        raise UsageError(
            "unknown quantisation level", where="--level", found=level, allowed=f"auto, 0..{len(LEVELS) - 1}"
        )


@dataclass(frozen=True)
class Grid:
    """The values that one source's planes can sum to, in integer units of the synaptic input.

    step, limit: spacing and largest magnitude of a plane's own integers. coarse: exponent of the plane
    that holds the largest weights. fine: of the plane for small ones, None for a single plane.
    disjoint: each weight lies in one of the two, else large ones have an entry in both.
    by_sign: planes are unsigned.
    """

    step: int
    limit: int
    coarse: int
    fine: int | None
    disjoint: bool
    by_sign: bool

    @property
    def top(self) -> int:
        """Largest magnitude."""
        return self.limit << self.coarse

    def nearest(self, values: FloatArray) -> FloatArray:
        """Return the nearest grid value of each of ``values``."""
        coarse = float(self.step << self.coarse)
        if self.fine is None:
            return _clip(values, coarse, self.top)
        fine = float(self.step << self.fine)
        if not self.disjoint:
            return _clip(values, fine, self.top)
        reach = self.limit << self.fine
        small = _clip(values, fine, reach)
        large = _clip(values, coarse, self.top)
        return np.where(np.abs(small - values) <= np.abs(large - values), small, large)

    def split(self, values: FloatArray) -> list[tuple[int, IntArray]]:
        """Split grid values into (exponent, plane integers); the planes sum to the values exactly."""
        whole = np.rint(values).astype(np.int64)
        if self.fine is None:
            return [(self.coarse, whole >> self.coarse)]
        large = np.abs(whole) > (self.limit << self.fine)
        unit = self.step << self.coarse
        entries = np.where(large, np.sign(whole) * ((np.abs(whole) + unit // 2) // unit) * self.step, 0)
        entries = np.clip(entries, -self.limit, self.limit)
        rest = whole - (entries << self.coarse)
        return [(self.coarse, entries), (self.fine, rest >> self.fine)]


def plane_range(level: Level, profile: Profile, bits: int) -> tuple[int, int]:
    """The step and the largest magnitude of a plane's own integers.

    Raises UsageError where the width leaves no value but zero beside the sign.
    """
    sign: Literal["excitatory", "mixed"] = "excitatory" if level.by_sign else "mixed"
    step = profile.integers.weight_step(sign, bits)
    # symmetric: Lava clips -256 to -255 in a plane that holds no positive weight
    limit = profile.integers.weights(sign).high // step * step
    if limit == 0:
        raise UsageError(
            "weights of this width have no room for a sign",
            where="--bits",
            found=bits,
            allowed=">= 2 at levels 0 and 2",
            remedy="Choose a level that splits weights by sign: 1, 3 or above.",
        )
    return step, limit


def choose_grid(
    level: Level,
    scaled: FloatArray,
    importance: FloatArray,
    profile: Profile,
    bits: int,
    *,
    magnitudes: FloatArray | None = None,
) -> Grid:
    """Fit the grid of ``level`` to one source's weights.

    scaled: weights times the state scale, (rows, columns). importance: weight of a squared error in
    each column. magnitudes: of all nonzero weights times the state scale, in rising order, where
    ``scaled`` is a sample of them.
    """
    step, limit = plane_range(level, profile, bits)
    if magnitudes is None:
        magnitudes = sorted_magnitudes(scaled)
    largest = float(magnitudes[-1]) if magnitudes.size else 0.0
    coarse = 0 if largest <= limit else int(np.ceil(np.log2(largest / limit)))
    coarse = min(coarse, profile.integers.weight_exp.high)

    def grid(distance: int) -> Grid:
        fine = coarse - distance if distance else None
        return Grid(step, limit, coarse, fine, level.kind == "disjoint", level.by_sign)

    if level.kind == "single" or coarse == 0:
        return grid(0)
    if level.kind == "disjoint":
        distances = range(min(coarse, _DISJOINT_DISTANCE) + 1)
        return min(map(grid, distances), key=lambda g: squared_error(g, scaled, importance))
    # the fine plane must reach half a coarse step, or remainders would not fit
    widest = min(coarse, int(np.log2(2 * limit / step)))
    for distance in range(widest, 0, -1):
        reach = limit * 2.0 ** (coarse - distance)
        beyond = magnitudes.size - int(np.searchsorted(magnitudes, reach, side="right"))
        if beyond <= level.share * magnitudes.size:
            return grid(distance)
    return grid(0)


def sorted_magnitudes(weights: FloatArray) -> FloatArray:
    """Magnitudes of the nonzero weights in rising order."""
    return np.sort(np.abs(weights[weights != 0]))


def _clip(values: FloatArray, unit: float, top: int) -> FloatArray:
    """Round to multiples of ``unit`` (a power of two times an integer, so exactly) within +-top."""
    out = np.asarray(values / unit)
    np.rint(out, out=out)
    np.minimum(out, top / unit, out=out)
    np.maximum(out, -top / unit, out=out)
    out *= unit
    return out


def squared_error(grid: Grid, scaled: FloatArray, importance: FloatArray) -> float:
    """Importance-weighted squared error of nearest rounding, in integer units."""
    error = grid.nearest(scaled)
    error -= scaled
    error *= error
    return float(error.sum(axis=0) @ np.broadcast_to(importance, scaled.shape[1:]))
