"""What quantising cost, in numbers that need no run: weights, decays, biases, the static bound of u."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_deploy.convert.quantise import decays
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.connections import synapses
from snn_deploy.network.discrete import DiscretePopulation
from snn_deploy.network.integers import STATE_SHIFT
from snn_deploy.network.quantised import QuantisedPopulation, QuantisedProjection


def population_row(
    exact: DiscretePopulation,
    population: QuantisedPopulation,
    incoming: Sequence[QuantisedProjection],
    profile: Profile,
    *,
    bias: FloatArray,
    gain: float,
) -> dict[str, Any]:
    """One population in the report.

    bias: before rounding, integer units of v. The bias error is in units of the threshold, a step.
    """
    return {
        "name": population.name,
        "node": population.node,
        "state_scale": population.scale,
        "decay_gain": gain,
        "decay_rounding": decays.rounding_errors(exact, population, profile),
        "bias_rounding": float(np.abs(population.bias - bias).max(initial=0.0)) / population.unit,
        "static_bound_u": static_bound_u(population, incoming, profile),
        "limit_u": 1 << (profile.integers.state_bits.value - 1),
    }


def static_bound_u(
    population: QuantisedPopulation, incoming: Sequence[QuantisedProjection], profile: Profile
) -> float | None:
    """The largest |u| that any input could cause: every weight of one sign arriving in every step.

    None where u does not decay, so that no bound exists.
    """
    decay = (population.du + profile.integers.decay_u_offset.value) / decays.unity(profile)
    if decay <= 0:
        return None
    largest = np.zeros((2, population.neurons))
    for projection in incoming:
        matrix = synapses(projection.connection).astype(np.float64)
        message = float((1 << projection.message_bits) - 1) if projection.message_bits else 1.0
        scale = message * 2.0**projection.weight_exp
        for k, part in enumerate((matrix.maximum(0), -matrix.minimum(0))):
            largest[k] += np.asarray(part.sum(axis=1)).reshape(-1) * scale
    drive = float(largest.max(initial=0.0)) * (1 << STATE_SHIFT)
    return float(np.abs(population.u0).max(initial=0)) + drive / decay


def tail_ratio(weights: FloatArray) -> float:
    """Largest magnitude over mean magnitude of the nonzero weights: how heavy the tail is."""
    magnitudes = np.abs(weights[weights != 0])
    return float(magnitudes.max() / magnitudes.mean()) if magnitudes.size else 1.0
