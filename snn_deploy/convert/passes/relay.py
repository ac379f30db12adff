"""Delays longer than a synapse can hold go through relay populations that repeat their input.

A relay neuron is an LIF without memory (tau = dt, so v is the input of the step alone) whose threshold
lies at half a spike: it fires exactly when its one input did. Relays of one source are shared.

A declared delay is split over its relays. A connection that skips more than 63 layers waits in Lava's
pipeline alone: its relays repeat a spike in its own network step, and the schedule spreads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snn_deploy.convert.compose import identity
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.arrays import frozen
from snn_deploy.network.integers import LONGEST_DELAY
from snn_deploy.network.network import Network, Population, Projection
from snn_deploy.network.neurons import LIF
from snn_deploy.network.schedule import depths, lava_delay, least_depths


def relay_long_delays(network: Network) -> Network:
    """Return the network with every delay split so that no synapse waits longer than 62 steps on the chip.

    Raises ModelNotSupported where a long delay carries graded spikes, which a relay would not repeat.
    """
    while long := [e for e in _long(network, least_depths(network)) if e.delay]:
        _refuse_graded(network, long)
        network = _relay(network, long[0], min(long[0].delay, LONGEST_DELAY))[0]
    while long := _long(network, depths(network)):
        _refuse_graded(network, long)
        depth = least_depths(network)
        for edge in long:
            hop = edge
            for _ in range(lava_delay(edge, depth) // (LONGEST_DELAY + 1)):
                network, hop = _relay(network, hop, 0)
    return network


def _long(network: Network, depth: dict[str, int]) -> list[Projection]:
    return [edge for edge in network.projections if lava_delay(edge, depth) > LONGEST_DELAY]


def _refuse_graded(network: Network, long: Sequence[Projection]) -> None:
    graded = {node.name for node in network.inputs if node.message_bits}
    depth = least_depths(network)
    broken = [e for e in long if e.source in graded]
    if broken:
        raise ModelNotSupported(
            Violation(
                "graded spikes cannot be delayed this long: a relay neuron repeats 0 and 1",
                where=e.name,
                found=f"{lava_delay(e, depth)} steps",
                allowed=f"{LONGEST_DELAY} steps",
            )
            for e in broken
        )


def _relay(network: Network, edge: Projection, first: int) -> tuple[Network, Projection]:
    """Let ``edge`` wait ``first`` steps on the way to a relay; what is left of it starts there."""
    name = f"relay:{edge.source}:{first}"
    populations, projections = network.populations, list(network.projections)
    if all(population.name != name for population in populations):
        shapes = {node.name: node.shape for node in network.inputs} | {p.name: p.shape for p in populations}
        shape = shapes[edge.source]
        populations = (*populations, _population(name, shape, network.contract.dt))
        wires = identity(int(np.prod(shape)))
        projections.append(Projection(f"{edge.source}->{name}", edge.source, name, wires, None, first))
    rest = replace(edge, source=name, delay=edge.delay - first)
    projections[projections.index(edge)] = rest
    return replace(network, populations=populations, projections=tuple(projections)), rest


def _population(name: str, shape: tuple[int, ...], dt: float) -> Population:
    size = int(np.prod(shape))

    def each(value: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return frozen(np.full(size, value), np.float64)

    return Population(
        name,
        shape,
        LIF(tau=each(dt), r=each(1.0), v_leak=each(0.0), v_threshold=each(0.5), v_reset=each(0.0)),
    )
