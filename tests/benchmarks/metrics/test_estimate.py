"""Intervals where items come in units."""

from __future__ import annotations

import numpy as np

from snn_deploy.benchmarks.metrics.estimate import mean, mean_of_units


def test_dependent_items_give_the_interval_of_their_units() -> None:
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(40) * 7, rng.integers(1, 30, 40))
    level = rng.normal(0.5, 0.1, 40)
    values = np.repeat(level, np.bincount(units)[::7]) + rng.normal(0, 0.01, len(units))
    found, naive = mean_of_units(values, units), mean(values)
    assert found.n == 40
    assert found.value == values.mean()
    # the standard error of a ratio of sums, by its usual linearisation
    sums = np.array([(values[units == unit] - values.mean()).sum() for unit in np.unique(units)])
    error = np.sqrt((sums**2).sum()) / len(values)
    assert np.isclose((found.ci95[1] - found.ci95[0]) / (2 * 1.96), error, rtol=0.15)
    assert found.ci95[1] - found.ci95[0] > 2 * (naive.ci95[1] - naive.ci95[0])


def test_units_of_one_item_give_the_interval_of_items() -> None:
    values = np.random.default_rng(1).random(200)
    apart, plain = mean_of_units(values, np.arange(200)), mean(values)
    assert apart.n == plain.n == 200
    assert np.allclose(apart.ci95, plain.ci95, atol=0.005)
