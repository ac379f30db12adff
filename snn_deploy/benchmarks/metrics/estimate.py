"""A number with its n and 95 % interval, the only form in which a benchmark prints one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

_CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True, config=ConfigDict(allow_inf_nan=False))
class Estimate:
    """value, its 95 % interval (low, high), and the number of independent items behind it."""

    value: float
    ci95: tuple[float, float]
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain containers for JSON."""
        return {**asdict(self), "ci95": list(self.ci95)}


Estimator = Callable[[NDArray[np.float64]], Estimate]
"""Values of the items, their mean over seeds, to a figure with its interval."""


def proportion(hits: NDArray[np.float64]) -> Estimate:
    """Share of hits with Wilson's interval; hits: one value in [0, 1] an item, its mean over seeds."""
    from scipy.stats import binomtest

    n, mean = int(hits.size), float(hits.mean())
    interval = binomtest(round(mean * n), n).proportion_ci(_CONFIDENCE, method="wilson")
    return Estimate(mean, (float(interval.low), float(interval.high)), n)


def mean_of_units(values: NDArray[np.float64], units: NDArray[np.int64]) -> Estimate:
    """Mean over items of which those of one unit depend on each other, such as the windows of a piece.

    units: number of each item's unit, (items,). A percentile bootstrap resamples whole units, each with all
    of its items (2,000 resamples, fixed seed); ``n`` of the estimate is the number of units.
    """
    _, unit = np.unique(units, return_inverse=True)
    sums, items = np.bincount(unit, weights=values), np.bincount(unit)
    chosen = np.random.default_rng(0).integers(0, len(sums), (_RESAMPLES, len(sums)))
    means = sums[chosen].sum(axis=1) / items[chosen].sum(axis=1)
    tail = 50 * (1 - _CONFIDENCE)
    low, high = np.percentile(means, (tail, 100 - tail))
    return Estimate(float(values.mean()), (float(low), float(high)), len(sums))


def mean(values: NDArray[np.float64]) -> Estimate:
    """Mean with a percentile bootstrap over items (2,000 resamples, fixed seed).

    For a difference, give the paired differences: the items are then resampled in pairs.
    """
    from scipy.stats import bootstrap

    n, centre = int(values.size), float(values.mean())
    if np.all(values == values[0]):
        return Estimate(centre, (centre, centre), n)
    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=_CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(centre, (float(interval.low), float(interval.high)), n)
