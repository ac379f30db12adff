"""Calibration: run the float network on example spikes and note how large its state becomes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.discrete import DiscreteNetwork
from snn_deploy.convert.quantise import Extremes
from snn_deploy.deploy.backends.float_reference import FloatNeurons, FloatSynapses
from snn_deploy.deploy.backends.stepping import Spikes, State, simulate

#: Generated calibration spikes: samples, steps, and the rates that are drawn from.
_SAMPLES, _STEPS, _RATES = 32, 60, (0.02, 0.3)


class _Observed(FloatNeurons):
    """FloatNeurons that remember the largest |u|, |drive| and |v| they saw."""

    def start(self, samples: int) -> State:
        state = super().start(samples)
        self.u, self.v = (float(np.abs(part).max(initial=0.0)) for part in state)
        self.drive = 0.0
        return state

    def step(self, state: State, drive: NDArray[np.float64]) -> NDArray[np.bool_]:
        before = np.abs(state[1]).max(initial=0.0)
        fired = super().step(state, drive)
        self.drive = max(self.drive, float(np.abs(drive).max(initial=0.0)))
        self.u = max(self.u, float(np.abs(state[0]).max(initial=0.0)))
        # v is reset where it fired, so its peak is bounded by what it was plus what it received
        peak = float(before + np.abs(state[0]).max(initial=0.0)) if fired.any() else 0.0
        self.v = max(self.v, peak, float(np.abs(state[1]).max(initial=0.0)))
        return fired


def observe(network: DiscreteNetwork, inputs: Mapping[str, Spikes]) -> dict[str, Extremes]:
    """Return the extremes of every population; inputs: name -> uint8 (samples, steps, neurons)."""
    neurons = {population.name: _Observed(population) for population in network.populations}
    simulate(network, neurons, [FloatSynapses(projection) for projection in network.projections], inputs)
    return {name: Extremes(n.u, n.drive, n.v) for name, n in neurons.items()}


def generated_spikes(
    network: DiscreteNetwork, seed: int, samples: int = _SAMPLES, steps: int = _STEPS
) -> dict[str, Spikes]:
    """Bernoulli spikes for every input, each sample at its own rate between 2 % and 30 %."""
    generator = np.random.default_rng(seed)
    rates = generator.uniform(*_RATES, size=(samples, 1, 1))
    return {
        node.name: (generator.random((samples, steps, int(np.prod(node.shape)))) < rates).astype(np.uint8)
        for node in network.inputs
    }
