"""RunResult: what every backend returns, in the network's own time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.network.connections import fan_out
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.quantised import QuantisedNetwork

Rasters = Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class LayerActivity:
    """Events of one graph node over a whole run (all samples, all steps).

    spikes: emitted. input_events: spikes that arrived, one a projection. synops: arriving spikes times
    their synapses of nonzero weight; synops_stored: times all stored synapses (Dense stores zeros).
    neuron_updates: neurons x steps x samples. A spike whose delay ends after the last step arrives nowhere.
    """

    name: str
    neurons: int
    spikes: int
    input_events: int
    synops: int
    synops_stored: int
    neuron_updates: int


@dataclass(frozen=True)
class Overflows:
    """Neuron-steps in which the integers of a state left their range, and no longer mean what they stood for.

    wraps: u left its 24 bits and came back at the other end. saturations: v was clipped to its range; of a
    neuron that fires by it and is reset to 0 all the same, this is none.
    """

    wraps: int = 0
    saturations: int = 0

    def __add__(self, other: Overflows) -> Overflows:
        return Overflows(self.wraps + other.wraps, self.saturations + other.saturations)


@dataclass(frozen=True, eq=False)
class RunResult:
    """One run of one backend.

    counts: spikes a neuron and sample, output name -> int32 (samples, neurons).
    spikes: recorded rasters, node name -> uint8 (samples, steps, neurons); step t answers input step t.
    layers: activity in topological order. seconds: {"run": stepping alone, "total": all}.
    membranes: v of read-outs that never spike, after each step, output name -> (samples, steps, neurons):
    int32 where the backend computes integers, float64 in units of the threshold otherwise.
    notes: what the backend wants a reader to know (kernel, strategy, Lava process count, ...).
    overflows: node name -> how often u wrapped or v was clipped; None where the backend does not count it.
    """

    backend: str
    samples: int
    steps: int
    counts: Mapping[str, NDArray[np.int32]]
    spikes: Rasters
    layers: tuple[LayerActivity, ...]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    notes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    membranes: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    overflows: Mapping[str, Overflows] | None = None

    @property
    def wraps(self) -> Mapping[str, int] | None:
        """Neuron-steps in which u wrapped, by node; None where they were not counted."""
        return None if self.overflows is None else {name: lost.wraps for name, lost in self.overflows.items()}

    @property
    def saturations(self) -> Mapping[str, int] | None:
        """Neuron-steps in which v was clipped, by node; None where they were not counted."""
        return (
            None
            if self.overflows is None
            else {name: lost.saturations for name, lost in self.overflows.items()}
        )

    @property
    def synops(self) -> int:
        return sum(layer.synops for layer in self.layers)

    @property
    def total_spikes(self) -> int:
        """Spikes emitted by all populations (inputs not counted)."""
        return sum(layer.spikes for layer in self.layers)


class RunInterrupted(KeyboardInterrupt):
    """A run was interrupted; ``finished`` holds the result of the samples that were done, or None."""

    def __init__(self, finished: RunResult | None) -> None:
        super().__init__("the run was interrupted")
        self.finished = finished


class ActivityCounter:
    """Sums events over the chunks of a run, from rasters or from counts a neuron.

    Give every chunk of every node (inputs included) once; read :meth:`layers` at the end.
    """

    def __init__(self, network: QuantisedNetwork | DiscreteNetwork) -> None:
        self._network = network
        self._node_of = {p.name: getattr(p, "node", p.name) for p in network.populations}
        self._delays: dict[str, set[int]] = {}
        for edge in network.projections:
            self._delays.setdefault(edge.source, set()).add(edge.delay)
        self._totals: dict[tuple[str, int], NDArray[np.int64]] = {}
        self._spikes: dict[str, int] = {}
        self._sample_steps: dict[str, int] = {}

    def add_counts(
        self,
        name: str,
        sample_steps: int,
        spikes: NDArray[np.int64],
        late: Mapping[int, NDArray[np.int64]],
    ) -> None:
        """Count one chunk of a node: spikes a neuron; late: those of the last ``delay`` steps, by delay."""
        self._sample_steps[name] = self._sample_steps.get(name, 0) + sample_steps
        self._spikes[name] = self._spikes.get(name, 0) + int(spikes.sum())
        for delay in self._delays.get(name, ()):
            arriving = spikes - late[delay] if delay else spikes
            key = (name, delay)
            self._totals[key] = self._totals[key] + arriving if key in self._totals else arriving

    def layers(self) -> tuple[LayerActivity, ...]:
        rows: dict[str, dict[str, int]] = {}
        for population in self._network.populations:
            row = rows.setdefault(
                self._node_of[population.name], dict.fromkeys(LayerActivity.__dataclass_fields__, 0)
            )
            neurons = int(population.v0.size)
            row["neurons"] += neurons
            row["spikes"] += self._spikes.get(population.name, 0)
            row["neuron_updates"] += neurons * self._sample_steps.get(population.name, 0)
        for edge in self._network.projections:
            row = rows[self._node_of[edge.target]]
            arrived = self._totals[edge.source, edge.delay]
            row["input_events"] += int(arrived.sum())
            row["synops"] += int(arrived @ fan_out(edge.connection, stored=False))
            row["synops_stored"] += int(arrived @ fan_out(edge.connection, stored=True))
        return tuple(LayerActivity(**{**row, "name": name}) for name, row in rows.items())  # type: ignore[arg-type]


def events(raster: NDArray[Any]) -> NDArray[np.int64]:
    """Nonzero entries a neuron: raster (samples, steps, neurons) -> (neurons,)."""
    return np.asarray(np.count_nonzero(raster, axis=(0, 1)), dtype=np.int64)
