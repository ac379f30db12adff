"""Run a part of an integer network: some nodes alone, everything else given as spikes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.fixed.kernel import NUMPY, choose, prepare
from snn_deploy.engine.fixed.numpy_kernel import FLOAT32_EXACT, FixedNeurons, FixedSynapses
from snn_deploy.engine.stepping import Neurons, Spikes, Synapses, simulate
from snn_deploy.network.connections import synapses
from snn_deploy.network.network import Input
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

#: Added planes are held as a dense matrix up to this many entries, as compressed rows beyond.
_DENSE_LIMIT = 4_000_000


class _FusedPlanes:
    """All planes between two populations as one exact product: sums of W << e with e >= 0."""

    def __init__(self, planes: Sequence[QuantisedProjection]) -> None:
        first = planes[0]
        self.source, self.target, self.delay = first.source, first.target, first.delay
        parts = [synapses(p.connection).astype(np.int64) * (1 << p.weight_exp) for p in planes]
        whole = sum(parts[1:], start=parts[0])
        graded = any(p.message_bits for p in planes)
        largest = int(abs(whole).sum(axis=1).max()) if whole.nnz else 0
        narrow = np.float32 if largest < FLOAT32_EXACT and not graded else np.float64
        if whole.shape[0] * whole.shape[1] <= _DENSE_LIMIT:
            self._matrix: Any = np.ascontiguousarray(whole.T.todense(), dtype=narrow)
        else:
            self._matrix = whole.astype(narrow)

    def apply(self, spikes: Spikes) -> NDArray[np.float64]:
        if isinstance(self._matrix, np.ndarray):
            return np.asarray(spikes.astype(self._matrix.dtype) @ self._matrix, dtype=np.float64)
        return np.asarray((self._matrix @ spikes.T.astype(self._matrix.dtype)).T, dtype=np.float64)


class Subnetwork:
    """Some nodes of an integer network made ready to run alone; all their other senders are given as spikes.

    neurons: makes the populations of a NumPy run; None leaves the engine to :func:`choose`.
    """

    def __init__(
        self,
        network: QuantisedNetwork,
        nodes: Collection[str],
        neurons: Callable[[QuantisedPopulation], Neurons] | None = None,
    ) -> None:
        self._network, self._nodes = network, tuple(nodes)
        populations = tuple(p for p in network.populations if p.node in nodes)
        self._names = [p.name for p in populations]
        edges = tuple(e for e in network.projections if e.target in self._names)
        outside = dict.fromkeys(e.source for e in edges if e.source not in self._names)
        # where nothing outside reaches these nodes, samples and steps must still be known
        self._senders = list(outside) or [network.inputs[0].name]
        self._whole = {p.name: p for p in network.populations}
        self._alone = replace(
            network,
            inputs=tuple(self._as_input(name) for name in self._senders),
            populations=populations,
            projections=edges,
            outputs=(),
        )
        self._neurons = neurons
        kernel = NUMPY if neurons is not None else choose().name
        self._prepared = None if kernel == NUMPY else prepare(self._alone, kernel)

    def run(self, given: Mapping[str, Spikes]) -> dict[str, Spikes]:
        """Rasters of the nodes; given: (samples, steps, neurons) of inputs and of nodes that reach them."""
        rasters = {name: self._raster(name, given) for name in self._senders}
        if self._prepared is not None:
            found = dict(self._prepared.run(rasters, rasters=self._names).rasters)
        else:
            make = self._neurons or FixedNeurons
            neurons = {p.name: make(p) for p in self._alone.populations}
            found = simulate(self._alone, neurons, fuse(self._alone.projections), rasters)
        return {node: by_node(self._network, node, found) for node in self._nodes}

    def _as_input(self, name: str) -> Input:
        if name in self._whole:
            return Input(name, (self._whole[name].neurons,))
        return next(node for node in self._network.inputs if node.name == name)

    def _raster(self, name: str, given: Mapping[str, Spikes]) -> Spikes:
        """The spikes that this input or integer population sends."""
        if name not in self._whole:
            return given[name]
        population = self._whole[name]
        raster = given[population.node]
        if population.neurons == raster.shape[2]:
            return raster
        return np.ascontiguousarray(raster[:, :, population.index])


def run_nodes(
    network: QuantisedNetwork,
    nodes: Collection[str],
    given: Mapping[str, Spikes],
    neurons: Callable[[QuantisedPopulation], Neurons] | None = None,
) -> dict[str, Spikes]:
    """Run the populations of ``nodes`` once; return their rasters, by node. See :class:`Subnetwork`."""
    return Subnetwork(network, nodes, neurons).run(given)


def by_node(network: QuantisedNetwork, node: str, rasters: Mapping[str, Spikes]) -> Spikes:
    """Put the populations of one node back in their places; rasters by population name."""
    parts = [p for p in network.populations if p.node == node]
    if len(parts) == 1 and np.array_equal(parts[0].index, np.arange(parts[0].neurons)):
        return rasters[parts[0].name]
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
