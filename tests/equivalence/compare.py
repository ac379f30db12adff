"""Run a graph in the package's float engine and in the interpreter of the tests, and compare every spike."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.network.contract import Contract
from tests.equivalence import interpreter

#: Membranes agree to the rounding of float64 sums of some hundred terms.
MEMBRANE_ULPS = 1e-10


@dataclass(frozen=True)
class Comparison:
    """mismatches, neuron_steps: over all spiking nodes. rates: spikes a neuron and step, by node."""

    mismatches: int
    neuron_steps: int
    rates: dict[str, float]
    membrane_error: float


def compare(
    graph: nir.NIRGraph, inputs: dict[str, np.ndarray], dt: float, feedback=(), reset="zero"
) -> Comparison:
    """inputs: (samples, steps, *shape) by name. Every neuron node of the graph is compared."""
    expected = interpreter.run(graph, inputs, dt, feedback, reset=reset)
    network = prepare(graph, Contract(dt, reset=reset)).network
    samples, steps = next(iter(inputs.values())).shape[:2]
    flat = {name: x.reshape(samples, steps, -1) for name, x in inputs.items()}
    run = float_engine.run(network, flat)
    mismatches = neuron_steps = 0
    rates, error = {}, 0.0
    populations = {p.name: p for p in network.populations}
    for name, values in expected.items():
        wanted = np.moveaxis(values, 0, 1).reshape(samples, steps, -1)
        population = populations[name]
        if population.spiking:
            mismatches += int(np.count_nonzero(wanted != run.rasters[name]))
            neuron_steps += wanted.size
            rates[name] = float(wanted.mean())
        else:
            physical = population.v_reset + population.gap * run.membranes[name]
            scale = np.abs(wanted).max()
            assert scale > 0, f"{name}: the membrane never moved"
            error = max(error, float(np.abs(physical - wanted).max() / scale))
    return Comparison(mismatches, neuron_steps, rates, error)


def check(graph, inputs, dt, feedback=(), silent=(), *, reset="zero") -> Comparison:
    """Assert that every spike is equal and that every population fired, neither never nor always."""
    result = compare(graph, inputs, dt, feedback, reset)
    assert result.mismatches == 0, result
    assert result.membrane_error < MEMBRANE_ULPS, result
    for name, rate in result.rates.items():
        assert name in silent or 0.002 < rate < 0.98, (name, result.rates)
    return result
