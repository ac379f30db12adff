"""One neuron of an integer network again, step by step, from the spikes that reached it.

It tells whether a state left its range before a spike that should not be, or should.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from snn_deploy.engine.stepping import Spikes
from snn_deploy.network.arrays import IntArray
from snn_deploy.network.connections import synapses
from snn_deploy.network.integers import STATE_SHIFT, decay, kept_u, kept_v, saturate, shift, wrap
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation


def place_of(network: QuantisedNetwork, node: str, neuron: int) -> tuple[QuantisedPopulation, int]:
    """The population that holds a neuron of a node, and the neuron's place in it."""
    for population in network.populations:
        if population.node == node and neuron in population.index:
            return population, int(np.flatnonzero(population.index == neuron)[0])
    raise KeyError(neuron)


def drive(
    network: QuantisedNetwork, population: QuantisedPopulation, place: int, rasters: Mapping[str, Spikes]
) -> IntArray:
    """Summed integer input of one neuron and each step of sample 0; rasters: (samples, steps, neurons) by
    node and input."""
    senders = {p.name: p for p in network.populations}
    steps = next(iter(rasters.values())).shape[1]
    total = np.zeros(steps, dtype=np.int64)
    for edge in network.projections:
        if edge.target != population.name:
            continue
        sender = senders.get(edge.source)
        raster = rasters[edge.source][0] if sender is None else rasters[sender.node][0][:, sender.index]
        row = np.asarray(synapses(edge.connection)[place].todense(), dtype=np.int64).reshape(-1)
        late = min(edge.delay, steps)
        weighted = raster[: steps - late].astype(np.int64) @ row
        total[late:] += shift(weighted, edge.weight_exp)
    return total


def wraps(population: QuantisedPopulation, place: int, arriving: IntArray) -> bool:
    """Whether u ever leaves its range."""
    return any(int(wrap(u)) != u for u in _currents(population, place, arriving))


def membrane(
    population: QuantisedPopulation, place: int, arriving: IntArray, spikes: Spikes
) -> tuple[float, bool]:
    """The integer v before the last step's reset, and whether it was ever clipped; u must not wrap.

    spikes: (steps,), where v is reset, whether it would fire there or not.
    """
    bias, v = int(population.bias[place]), int(population.v0[place])
    potential, clipped = v, False
    for u, fired in zip(_currents(population, place, arriving), spikes, strict=True):
        potential = int(decay(v, kept_v(population.dv))) + u + bias
        clipped = clipped or int(saturate(potential)) != potential
        left = potential - (population.vth << STATE_SHIFT) if population.reset == "subtract" else 0
        v = left if fired else potential
    return float(potential), clipped


def _currents(population: QuantisedPopulation, place: int, arriving: IntArray) -> Iterator[int]:
    """The integer u of one neuron after each step, as long as it does not wrap."""
    u = int(population.u0[place])
    for total in arriving:
        u = int(decay(u, kept_u(population.du))) + (int(total) << STATE_SHIFT)
        yield u
