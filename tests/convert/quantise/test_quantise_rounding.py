"""Coordinate descent never does worse than nearest rounding in the error it minimises."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from snn_deploy.convert.quantise.biases import round_bias
from snn_deploy.convert.quantise.blocks import block
from snn_deploy.convert.quantise.moments import Arriving, Moments, moments
from snn_deploy.convert.quantise.rounding import (
    Columns,
    correct_bias,
    descend,
    round_nearest,
)
from snn_deploy.hw_profiles import load
from snn_deploy.network.connections import Conv2d, Dense

PROFILE = load("loihi2")


def spikes(seed: int, samples: int, steps: int, neurons: int) -> np.ndarray:
    """Inputs that share a rate from sample to sample, so that their errors can cancel."""
    generator = np.random.default_rng(seed)
    rates = generator.uniform(0.02, 0.5, size=(samples, 1, 1)) * generator.uniform(0.2, 1, size=neurons)
    return (generator.random((samples, steps, neurons)) < rates).astype(np.uint8)


def some_moments(seed: int, neurons: int) -> Moments:
    raster = spikes(seed, 12, 30, neurons)
    connection = Dense(np.ones((1, neurons)))
    return moments([Arriving(raster, 0, connection, block(connection))], du=0.3, dv=0.1, rate=0.05)


def weighted_error(error: NDArray[np.float64], shift: NDArray[np.float64], moments: Moments) -> float:
    """(d, e)^T H (d, e) + ridge |d|^2, summed over rows; the ridge is 0.3 of the mean diagonal of H."""
    assert moments.full is not None
    bordered = np.block(
        [[moments.full, moments.with_bias[:, None]], [moments.with_bias[None], np.array([[moments.bias]])]]
    )
    both = np.column_stack([error, shift])
    ridge = 0.3 * moments.diagonal.mean() * np.sum(error**2)
    return float(np.einsum("ij,jk,ik->", both, bordered, both) + ridge)


@pytest.mark.parametrize("unit", [1.0, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_descent_lowers_the_weighted_error(seed: int, unit: float) -> None:
    generator = np.random.default_rng(seed)
    target = generator.normal(scale=20, size=(30, 24))
    columns = [Columns(lambda x: np.clip(np.rint(x / unit) * unit, -60, 60), 24)]
    found = some_moments(seed, 24)
    nearest = round_nearest(target, columns)
    error = nearest - target
    plain = weighted_error(error, np.zeros(30), found)
    corrected = weighted_error(error, correct_bias(error, found), found)
    rounded, shift = descend(target, columns, found)
    best = weighted_error(rounded - target, shift, found)
    without, no_shift = descend(target, columns, found, use_bias=False)
    assert best < corrected < plain
    assert weighted_error(without - target, no_shift, found) < plain
    assert not np.any(no_shift)
    assert np.any(rounded != nearest)
    np.testing.assert_array_equal(np.rint(rounded / unit) * unit, rounded)


def test_the_moments_are_those_of_the_membranes() -> None:
    """E[phi phi^T] against one simulated membrane a neuron, written as the equations."""
    raster = spikes(1, 3, 20, 4)
    du, dv, delay = 0.3, 0.1, 2
    products = np.zeros((4, 4))
    bias_column = np.zeros(4)
    for sample in raster:
        u, v, b = np.zeros(4), np.zeros(4), 0.0
        for t in range(20):
            u = (1 - du) * u + (sample[t - delay] if t >= delay else 0)
            v = (1 - dv) * v + u
            b = (1 - dv) * b + 1
            products += np.outer(v, v)
            bias_column += v * b
    connection = Dense(np.ones((1, 4)))
    found = moments([Arriving(raster, delay, connection, block(connection))], du, dv, rate=0.01)
    assert found.full is not None
    np.testing.assert_allclose(found.full, products / 60, rtol=1e-12)
    np.testing.assert_allclose(found.diagonal, np.diag(products) / 60, rtol=1e-12)
    np.testing.assert_allclose(found.with_bias, bias_column / 60, rtol=1e-12)


def test_a_convolution_sees_its_patches() -> None:
    """With a kernel of one cell, a patch at a random place has the channels' own moments."""
    raster = np.zeros((2, 400, 2 * 3 * 3), dtype=np.uint8)
    raster[:, :, :9] = 1  # channel 0 always fires, channel 1 never
    kernel = Conv2d(np.ones((5, 2, 1, 1)), (2, 3, 3), (1, 1), (0, 0), (1, 1), 1)
    found = moments([Arriving(raster, 0, kernel, block(kernel))], du=1.0, dv=1.0, rate=0.0)
    assert found.full is not None
    np.testing.assert_allclose(found.full, [[1, 0], [0, 0]])


def test_pruned_synapses_stay_away_and_silent_calibration_rounds_to_the_nearest() -> None:
    generator = np.random.default_rng(0)
    target = generator.normal(scale=5, size=(20, 24))
    pattern = generator.random((20, 24)) < 0.4
    target[~pattern] = 0
    columns = [Columns(np.rint, 24, pattern)]
    rounded, _ = descend(target, columns, some_moments(0, 24))
    assert not np.any(rounded[~pattern])
    assert np.any(rounded != np.rint(target))
    silent = Moments(np.zeros(24), np.zeros((24, 24)), np.zeros(24), 1.0)
    rounded, shift = descend(target, columns, silent)
    np.testing.assert_array_equal(rounded, np.rint(target))
    assert not np.any(shift)


def test_a_bias_takes_the_smallest_exponent_that_holds_it() -> None:
    bias = np.array([0.0, 0.6, -4095.0, 4095.3, 4096.0, -8190.0, 100_000.0, 4095.0 * 128])
    mantissa, exponent = round_bias(bias, PROFILE)
    assert np.all(np.abs(mantissa) <= 4095)
    assert np.all((exponent >= 0) & (exponent <= 7))
    np.testing.assert_array_equal(exponent, [0, 0, 0, 1, 1, 1, 5, 7])
    np.testing.assert_array_equal(mantissa, [0, 1, -4095, 2048, 2048, -4095, 3125, 4095])
    assert np.all(np.abs((mantissa << exponent) - bias) <= 2.0**exponent / 2)
