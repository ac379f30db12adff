"""What quantising cost, in numbers that need no run: weights, decays, biases, the static bound of u."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_deploy.convert.quantise import decays
from snn_deploy.convert.quantise.headroom import describe, drive, onsets, static_bound_u
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.discrete import DiscretePopulation
from snn_deploy.network.quantised import QuantisedPopulation, QuantisedProjection


def population_row(
    exact: DiscretePopulation,
    population: QuantisedPopulation,
    incoming: Sequence[QuantisedProjection],
    profile: Profile,
    *,
    bias: FloatArray,
    gain: FloatArray,
) -> dict[str, Any]:
    """One population in the report.

    bias: before rounding, integer units of v. The bias error is in units of the threshold, a step.
    headroom: the input from which on u wraps, and v saturates; None where no input does it.
    """
    arriving = drive(population, incoming)
    return {
        "name": population.name,
        "node": population.node,
        "state_scale": population.scale,
        "decay_gain": float(gain.mean()),
        "decay_rounding": decays.rounding_errors(exact, population, profile),
        "bias_rounding": float(np.abs(population.bias - bias).max(initial=0.0)) / population.unit,
        "static_bound_u": static_bound_u(population, arriving, profile),
        "headroom": describe(onsets(population, arriving, profile)),
        "limit_u": 1 << (profile.integers.state_bits.value - 1),
    }


def tail_ratio(weights: FloatArray) -> float:
    """Largest magnitude over mean magnitude of the nonzero weights: how heavy the tail is."""
    magnitudes = np.abs(weights[weights != 0])
    return float(magnitudes.max() / magnitudes.mean()) if magnitudes.size else 1.0
