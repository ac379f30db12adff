"""Delays longer than a synapse can hold go through relay populations that repeat their input.

A relay neuron is an LIF without memory (tau = dt, so v is the input of the step alone) whose threshold
lies at half a spike: it fires exactly when its one input did. Relays of one source are shared.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snn_deploy.convert.arrays import frozen
from snn_deploy.convert.compose import identity
from snn_deploy.convert.network import Network, Population, Projection
from snn_deploy.convert.neurons import LIF
from snn_deploy.convert.schedule import depths, lava_delay
from snn_deploy.errors import ModelNotSupported, Violation

#: Steps a synapse can wait beyond the step that each connection costs (Lava's DelayDense, Loihi 1 and 2).
LONGEST_DELAY = 62


def relay_long_delays(network: Network) -> Network:
    """Return the network with every delay split so that no synapse waits longer than 62 steps on the chip.

    Raises ModelNotSupported where a long delay carries graded spikes, which a relay would not repeat.
    """
    graded = {node.name for node in network.inputs if node.message_bits}
    while True:
        depth = depths(network)
        long = [e for e in network.projections if lava_delay(e, depth) > LONGEST_DELAY and e.delay > 0]
        if not long:
            return network
        broken = [e for e in long if e.source in graded]
        if broken:
            raise ModelNotSupported(
                Violation(
                    "graded spikes cannot be delayed this long: a relay neuron repeats 0 and 1",
                    where=e.name,
                    found=f"{e.delay} steps",
                    allowed=f"{LONGEST_DELAY} steps",
                )
                for e in broken
            )
        network = _relay(network, long[0])


def _relay(network: Network, edge: Projection) -> Network:
    """Let ``edge`` wait its first steps on the way to a relay, and the rest on the way from it."""
    first = min(edge.delay, LONGEST_DELAY)
    name = f"relay:{edge.source}:{first}"
    populations, projections = network.populations, list(network.projections)
    if all(population.name != name for population in populations):
        shapes = {node.name: node.shape for node in network.inputs} | {p.name: p.shape for p in populations}
        shape = shapes[edge.source]
        populations = (*populations, _population(name, shape, network.contract.dt))
        wires = identity(int(np.prod(shape)))
        projections.append(Projection(f"{edge.source}->{name}", edge.source, name, wires, None, first))
    index = projections.index(edge)
    projections[index] = replace(edge, source=name, delay=edge.delay - first)
    return replace(network, populations=populations, projections=tuple(projections))


def _population(name: str, shape: tuple[int, ...], dt: float) -> Population:
    size = int(np.prod(shape))

    def each(value: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return frozen(np.full(size, value), np.float64)

    return Population(
        name,
        shape,
        LIF(tau=each(dt), r=each(1.0), v_leak=each(0.0), v_threshold=each(0.5), v_reset=each(0.0)),
    )
