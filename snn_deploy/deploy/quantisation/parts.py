"""Run a part of an integer network: some nodes alone, everything else given as spikes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.connections import synapses
from snn_deploy.convert.network import Input
from snn_deploy.convert.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.deploy.backends.fixed.kernel import NUMPY, choose, prepare
from snn_deploy.deploy.backends.fixed.numpy_kernel import FixedNeurons, FixedSynapses
from snn_deploy.deploy.backends.stepping import Neurons, Spikes, Synapses, simulate

#: Added planes are held as a dense matrix up to this many entries, as compressed rows beyond.
_DENSE_LIMIT = 4_000_000
_FLOAT32_EXACT = 1 << 24


class _FusedPlanes:
    """All planes between two populations as one exact product: sums of W << e with e >= 0."""

    def __init__(self, planes: Sequence[QuantisedProjection]) -> None:
        first = planes[0]
        self.source, self.target, self.delay = first.source, first.target, first.delay
        parts = [synapses(p.connection).astype(np.int64) * (1 << p.weight_exp) for p in planes]
        whole = sum(parts[1:], start=parts[0])
        graded = any(p.message_bits for p in planes)
        largest = int(abs(whole).sum(axis=1).max()) if whole.nnz else 0
        narrow = np.float32 if largest < _FLOAT32_EXACT and not graded else np.float64
        if whole.shape[0] * whole.shape[1] <= _DENSE_LIMIT:
            self._matrix: Any = np.ascontiguousarray(whole.T.todense(), dtype=narrow)
        else:
            self._matrix = whole.astype(narrow)

    def apply(self, spikes: Spikes) -> NDArray[np.float64]:
        if isinstance(self._matrix, np.ndarray):
            return np.asarray(spikes.astype(self._matrix.dtype) @ self._matrix, dtype=np.float64)
        return np.asarray((self._matrix @ spikes.T.astype(self._matrix.dtype)).T, dtype=np.float64)


def run_nodes(
    network: QuantisedNetwork,
    nodes: Collection[str],
    given: Mapping[str, Spikes],
    neurons: Callable[[QuantisedPopulation], Neurons] | None = None,
) -> dict[str, Spikes]:
    """Run the populations of ``nodes``; return their rasters, by node.

    given: rasters (samples, steps, neurons) of inputs and of all other nodes that reach them.
    neurons: makes the populations of a NumPy run; None leaves the engine to :func:`choose`.
    """
    part, rasters = _cut_out(network, nodes, given)
    names = [p.name for p in part.populations]
    kernel = NUMPY if neurons is not None else choose().name
    if kernel == NUMPY:
        make = neurons or FixedNeurons
        found = simulate(part, {p.name: make(p) for p in part.populations}, fuse(part.projections), rasters)
    else:
        found = dict(prepare(part, kernel).run(rasters, rasters=names).rasters)
    return {node: by_node(network, node, found) for node in nodes}


def _cut_out(
    network: QuantisedNetwork, nodes: Collection[str], given: Mapping[str, Spikes]
) -> tuple[QuantisedNetwork, dict[str, Spikes]]:
    """The network of ``nodes`` alone, whose inputs are all other senders, and the rasters of those."""
    populations = tuple(p for p in network.populations if p.node in nodes)
    names = {p.name for p in populations}
    edges = tuple(e for e in network.projections if e.target in names)
    whole = {p.name: p for p in network.populations}
    bits = {node.name: node.message_bits for node in network.inputs}
    outside = dict.fromkeys(e.source for e in edges if e.source not in names)
    rasters = {
        name: np.ascontiguousarray(given[whole[name].node][:, :, whole[name].index])
        if name in whole
        else given[name]
        for name in outside
    }
    if not rasters:  # nothing outside reaches these nodes, but samples and steps must be known
        name, raster = next(iter(given.items()))
        rasters = {name: raster}
    inputs = tuple(Input(name, (int(r.shape[2]),), bits.get(name, 0)) for name, r in rasters.items())
    part = replace(network, inputs=inputs, populations=populations, projections=edges, outputs=())
    return part, rasters


def by_node(network: QuantisedNetwork, node: str, rasters: Mapping[str, Spikes]) -> Spikes:
    """Put the populations of one node back in their places; rasters by population name."""
    parts = [p for p in network.populations if p.node == node]
    samples, steps = rasters[parts[0].name].shape[:2]
    joined = np.empty((samples, steps, sum(p.neurons for p in parts)), dtype=np.uint8)
    for part in parts:
        joined[:, :, part.index] = rasters[part.name]
    return joined


def fuse(edges: Sequence[QuantisedProjection]) -> list[Synapses]:
    """The edges ready to run, with the planes of one projection added up."""
    together: dict[tuple[str, str, int], list[QuantisedProjection]] = {}
    for edge in edges:
        together.setdefault((edge.source, edge.target, edge.delay), []).append(edge)
    found: list[Synapses] = []
    for planes in together.values():
        if all(p.weight_exp >= 0 for p in planes):
            found.append(_FusedPlanes(planes))
        else:
            found += [FixedSynapses(plane, plane.message_bits) for plane in planes]
    return found


def downstream(network: QuantisedNetwork, node: str) -> set[str]:
    """The node and all nodes that its spikes can reach."""
    node_of: dict[str, Any] = {p.name: p.node for p in network.populations}
    reached = {node}
    grown = True
    while grown:
        more = {node_of[e.target] for e in network.projections if node_of.get(e.source) in reached} - reached
        reached |= more
        grown = bool(more)
    return reached
