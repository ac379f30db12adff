"""The order in which a network is simulated, shared by the float and the NumPy integer engine.

A population without a cycle runs over all time steps at once behind one matrix product; populations
of one cycle advance together, step by step. Time is the network's own: a forward projection acts in
the step of the spike, one with delay d acts d steps later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from snn_deploy.network.schedule import Edge, Topology, stages

Spikes = NDArray[np.uint8]
State = list[NDArray[Any]]


class Synapses(Edge, Protocol):
    """One projection, ready to run."""

    def apply(self, spikes: Spikes) -> NDArray[Any]:
        """Weighted input of each row: (rows, neurons in) -> (rows, neurons out)."""
        ...


class Neurons(Protocol):
    """One population, ready to run."""

    @property
    def size(self) -> int: ...

    def start(self, samples: int) -> State:
        """State before the first step, arrays of shape (samples, neurons)."""
        ...

    def step(self, state: State, drive: NDArray[Any]) -> NDArray[np.bool_]:
        """Advance ``state`` in place by one step; return the spikes, shape (samples, neurons)."""
        ...


def simulate(
    network: Topology,
    neurons: Mapping[str, Neurons],
    synapses: Sequence[Synapses],
    inputs: Mapping[str, Spikes],
) -> dict[str, Spikes]:
    """Run one chunk; inputs and result map names to uint8 rasters (samples, steps, neurons)."""
    rasters = dict(inputs)
    for stage in stages(network):
        arriving = [s for s in synapses if s.target in stage]
        if len(stage) == 1 and all(s.source != stage[0] for s in arriving):
            rasters[stage[0]] = _run_forward(neurons[stage[0]], arriving, rasters)
        else:
            rasters.update(_run_cycle({name: neurons[name] for name in stage}, arriving, rasters))
    return rasters


def _run_forward(population: Neurons, arriving: Sequence[Synapses], rasters: Mapping[str, Spikes]) -> Spikes:
    drives = [_drive(s, rasters[s.source]) for s in arriving]
    drive = sum(drives[1:], drives[0]) if drives else np.zeros(population.size)
    samples, steps = next(iter(rasters.values())).shape[:2]
    drive = np.broadcast_to(drive, (samples, steps, population.size))
    state = population.start(samples)
    raster = np.empty((samples, steps, population.size), dtype=np.uint8)
    for t in range(steps):
        raster[:, t] = population.step(state, drive[:, t])
    return raster


def _run_cycle(
    populations: Mapping[str, Neurons], arriving: Sequence[Synapses], rasters: Mapping[str, Spikes]
) -> dict[str, Spikes]:
    samples, steps = next(iter(rasters.values())).shape[:2]
    outside = {
        name: sum(
            _drive(s, rasters[s.source]) for s in arriving if s.target == name and s.source not in populations
        )
        for name in populations
    }
    inside = [s for s in arriving if s.source in populations]
    own = {name: np.zeros((samples, steps, p.size), dtype=np.uint8) for name, p in populations.items()}
    states = {name: p.start(samples) for name, p in populations.items()}
    order = same_step_order(list(populations), inside)
    for t in range(steps):
        for name in order:
            external = outside[name]
            drive = (
                external[:, t]
                if isinstance(external, np.ndarray)
                else np.zeros((samples, populations[name].size))
            )
            for s in inside:
                if s.target == name and t >= s.delay:
                    drive = drive + s.apply(own[s.source][:, t - s.delay])
            own[name][:, t] = populations[name].step(states[name], drive)
    return own


def same_step_order(names: Sequence[str], inside: Sequence[Edge]) -> list[str]:
    """Order the populations of a cycle so that a projection without delay finds its source done."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((s.source, s.target) for s in inside if s.delay == 0)
    return list(nx.topological_sort(graph))


def _drive(synapse: Synapses, raster: Spikes) -> NDArray[Any]:
    samples, steps, width = raster.shape
    if not raster.any():  # an input that was left out: no product of its size
        nothing = synapse.apply(np.zeros((1, width), dtype=raster.dtype))
        return np.broadcast_to(nothing, (samples, steps, nothing.shape[-1]))
    delay = min(synapse.delay, steps)
    weighted = synapse.apply(np.ascontiguousarray(raster[:, : steps - delay]).reshape(-1, width))
    weighted = weighted.reshape(samples, steps - delay, weighted.shape[-1])
    if delay:
        weighted = np.concatenate(
            [np.zeros_like(weighted, shape=(samples, delay, weighted.shape[-1])), weighted], axis=1
        )
    return weighted
