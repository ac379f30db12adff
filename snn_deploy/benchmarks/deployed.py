"""A converted network as a task sees it: shown rasters, read out, and its events counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.record import Activity, Layer
from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy import backends
from snn_deploy.engine import lossy
from snn_deploy.engine.result import LayerActivity, RunResult
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.network.schedule import depths

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.modules import Towers

_FIELDS = ("spikes", "input_events", "synops", "synops_stored", "neuron_updates")


@dataclass(frozen=True, eq=False)
class Shown:
    """How a network is shown items: in so many steps, with the constants that the model carries.

    seed: draws the noise and the spikes of everything that is shown.
    """

    steps: int
    constants: Mapping[str, NDArray[Any]]
    seed: int


@dataclass(frozen=True, eq=False)
class Readings:
    """What one tower said to some items, and what that took.

    counts: spikes of the outputs, int32 (items, neurons). raster: of the layer that was recorded, uint8
    (items, steps, neurons). layers: events of the layers behind the tower's input, summed over the items.
    """

    counts: NDArray[np.int32]
    raster: NDArray[np.uint8] | None
    layers: tuple[LayerActivity, ...]

    def activity(self) -> Activity:
        """Events per item: totals and by layer, means over all items."""
        return activity_of(self.layers, len(self.counts))


def activity_of(layers: Sequence[LayerActivity], items: int) -> Activity:
    """Events of a run of ``items`` items, per item."""
    rows = [
        Layer(name=layer.name, neurons=layer.neurons, **{f: getattr(layer, f) / items for f in _FIELDS})
        for layer in layers
    ]
    return Activity(**{f: sum(getattr(row, f) for row in rows) for f in _FIELDS}, per_layer=tuple(rows))


@dataclass(frozen=True, eq=False)
class Deployed(Shown):
    """A converted network. inputs: tower -> the network's input that it is. ann: the ANN that its training
    began from, where it was trained for this run and began from one."""

    artifact: Artifact
    inputs: Mapping[str, str]
    ann: Towers | None = None

    @property
    def network(self) -> QuantisedNetwork:
        return self.artifact.network

    def run(self, engine: str, rasters: Mapping[str, NDArray[Any]], record: Sequence[str] = ()) -> RunResult:
        """Run rasters, tower -> (items, steps, ...); towers that are left out stay silent."""
        named = {self.inputs[tower]: raster for tower, raster in rasters.items()}
        return backends.get(engine).run(self.artifact, named, record=list(record))

    def read(
        self, engine: str, tower: str, raster: NDArray[Any], layer: int | None = None, *, lost: float = 0.0
    ) -> Readings:
        """Run one tower. layer: number of a layer of its neurons to record, -1 the last; None: none.
        lost: share of the spikes of every layer that arrive nowhere, the same ones on every engine."""
        behind = self.behind(tower)
        recorded = [] if layer is None else [self.layers(tower)[layer]]
        if lost:
            network = self.artifact.discrete if engine == "float" else self.network
            result = lossy.run(network, {self.inputs[tower]: raster}, lost, self.seed, recorded)
        else:
            result = self.run(engine, {tower: raster}, recorded)
        output = next(o for o in self.network.outputs if o.node in behind)
        return Readings(
            result.counts[output.name],
            result.spikes[recorded[0]] if recorded else None,
            tuple(row for row in result.layers if row.name in behind),
        )

    def layers(self, tower: str) -> list[str]:
        """Graph nodes of a tower's neurons, from its input to its output."""
        depth, behind = depths(self.network), self.behind(tower)
        populations = sorted(self.network.populations, key=lambda population: depth[population.name])
        return list(dict.fromkeys(p.node for p in populations if p.node in behind))

    def behind(self, tower: str) -> set[str]:
        """Graph nodes that spikes of a tower's input can reach."""
        network = self.network
        reached = {self.inputs[tower]}
        node_of = {population.name: population.node for population in network.populations}
        while True:
            grown = reached | {edge.target for edge in network.projections if edge.source in reached}
            if grown == reached:
                return {node_of[name] for name in reached if name in node_of}
            reached = grown
