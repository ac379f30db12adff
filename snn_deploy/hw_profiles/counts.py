"""Counts first: what happened, before any profile prices it.

Spikes, synaptic operations (nonzero and stored), neuron updates (active and idle), packets, hops and
bytes are facts of a run and a placement. They hold whatever the joules turn out to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from snn_deploy.hw_profiles.description import Activity, FloatArray, NetworkDescription, SynapseGroup
from snn_deploy.hw_profiles.encoding import fetched_bits, group_memory
from snn_deploy.hw_profiles.partition import Partition, state_bits
from snn_deploy.hw_profiles.placement import Placement
from snn_deploy.hw_profiles.schema import Profile

SynopKind = Literal["dense", "sparse", "conv"]


@dataclass(frozen=True)
class LayerCounts:
    """Events of one graph node over a run.

    An update is active where the neuron fires and idle elsewhere. synops_charged: synaptic operations by
    the form of the synapses on the chip: all stored ones of a dense form, the nonzero ones of a sparse.
    """

    name: str
    neurons: int
    spikes: float
    synops: float
    synops_stored: float
    updates: float
    synops_charged: Mapping[SynopKind, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def updates_idle(self) -> float:
        return self.updates - self.spikes


@dataclass(frozen=True)
class HostCounts:
    """Work of the host: distance computations of FAISS, updates of the Hebbian matrix, bytes it touched."""

    queries: int
    distance_macs: int
    hebbian_updates: int
    bytes_touched: int


@dataclass(frozen=True)
class Counts:
    """All events of a run of ``samples`` items of ``steps`` steps. ``origin`` says where they come from.

    packets: spikes times destination cores (once a synapse group), between cores; input_packets: from
    outside. hops: packets times tiles crossed, east-west and north-south; None without a placement.
    weight_bytes, state_bytes: read from synapse memory, and moved to and from neuron state.
    """

    samples: int
    steps: int
    layers: tuple[LayerCounts, ...]
    packets: float
    input_packets: float
    hops_ew: float | None
    hops_ns: float | None
    weight_bytes: float
    state_bytes: float
    origin: str
    host: HostCounts | None = None

    @property
    def spikes(self) -> float:
        return sum(layer.spikes for layer in self.layers)

    @property
    def synops(self) -> float:
        return sum(layer.synops for layer in self.layers)

    @property
    def synops_stored(self) -> float:
        return sum(layer.synops_stored for layer in self.layers)

    @property
    def updates(self) -> float:
        return sum(layer.updates for layer in self.layers)

    def charged(self, kind: SynopKind) -> float:
        """Synaptic operations in one form; a layer that states no form counts its stored ones as dense."""
        return sum(
            layer.synops_charged.get(kind, 0.0)
            if layer.synops_charged
            else (layer.synops_stored if kind == "dense" else 0.0)
            for layer in self.layers
        )

    def as_dict(self) -> dict[str, Any]:
        """A record for JSON: totals, per item, and per layer."""
        totals = {
            "spikes": self.spikes,
            "synops": self.synops,
            "synops_stored": self.synops_stored,
            "neuron_updates": self.updates,
            "neuron_updates_active": self.spikes,
            "neuron_updates_idle": self.updates - self.spikes,
            "packets": self.packets,
            "input_packets": self.input_packets,
            "hops": None if self.hops_ew is None or self.hops_ns is None else self.hops_ew + self.hops_ns,
            "weight_bytes": self.weight_bytes,
            "state_bytes": self.state_bytes,
        }
        return {
            "origin": self.origin,
            "samples": self.samples,
            "steps": self.steps,
            "total": totals,
            "per_item": {k: None if v is None else v / self.samples for k, v in totals.items()},
            "per_layer": [
                {
                    **vars(layer),
                    "synops_charged": dict(layer.synops_charged),
                    "updates_idle": layer.updates_idle,
                }
                for layer in self.layers
            ],
            "host": None if self.host is None else asdict(self.host),
        }


def count(
    network: NetworkDescription,
    profile: Profile,
    cut: Partition,
    activity: Activity,
    *,
    placement: Placement | None = None,
    host: HostCounts | None = None,
) -> Counts:
    """Count the events of an activity on the cores of a partition."""
    item_steps = activity.item_steps
    rows = [_layer(network, node, profile, cut, activity) for node in nodes(network)]
    between = inputs = weight_bits = 0.0
    layer_names = {layer.name for layer in network.layers}
    for group in network.groups:
        spikes = activity.spikes[group.source]
        for part in cut.slices[group.target]:
            reached = float(spikes @ (group.axon_synapses(part.start, part.stop) > 0))
            between += reached if group.source in layer_names else 0.0
            inputs += 0.0 if group.source in layer_names else reached
            weight_bits += _weight_bits(group, part.start, part.stop, profile, spikes)
    updates = sum(row.updates for row in rows)
    hops = (None, None) if placement is None else placement.hops
    return Counts(
        samples=activity.samples,
        steps=activity.steps,
        layers=tuple(rows),
        packets=between,
        input_packets=inputs,
        hops_ew=None if hops[0] is None else hops[0] * item_steps,
        hops_ns=None if hops[1] is None else hops[1] * item_steps,
        weight_bytes=weight_bits / 8,
        state_bytes=2 * updates * state_bits(profile) / 8,  # read and written
        origin=activity.origin,
        host=host,
    )


def nodes(network: NetworkDescription) -> tuple[str, ...]:
    """The graph nodes of the layers, in order; a layer without one is its own."""
    return tuple(dict.fromkeys(layer.node or layer.name for layer in network.layers))


def _layer(
    network: NetworkDescription, node: str, profile: Profile, cut: Partition, activity: Activity
) -> LayerCounts:
    members = [layer for layer in network.layers if (layer.node or layer.name) == node]
    nonzero = stored = 0.0
    kinds: dict[SynopKind, float] = {}
    for group in (group for member in members for group in network.into(member.name)):
        spikes = activity.spikes[group.source]
        exact = float(spikes @ group.fan_out)
        full = float(spikes.sum()) * group.targets if group.dense else exact
        nonzero, stored = nonzero + exact, stored + full
        for kind, synops in _charged(group, profile, cut, spikes).items():
            kinds[kind] = kinds.get(kind, 0.0) + synops
    emitted = float(sum(activity.spikes[member.name].sum() for member in members))
    if node in activity.counted:
        emitted, synops, synops_stored = activity.counted[node]
        # The run knows which spikes came too late to arrive; the forms keep their shares.
        kinds = _rescale(kinds, nonzero, stored, synops, synops_stored)
        nonzero, stored = synops, synops_stored
    neurons = sum(member.neurons for member in members)
    return LayerCounts(
        name=node,
        neurons=neurons,
        spikes=emitted,
        synops=nonzero,
        synops_stored=stored,
        updates=float(neurons * activity.item_steps),
        synops_charged=MappingProxyType(kinds),
    )


def _charged(
    group: SynapseGroup, profile: Profile, cut: Partition, spikes: FloatArray
) -> dict[SynopKind, float]:
    """Synaptic operations of a group by the form that its synapses take on the chip."""
    exact = float(spikes @ group.fan_out)
    if group.convolution:
        return {"conv": exact}
    if profile.encoding is None:
        return {"dense": float(spikes.sum()) * group.targets} if group.dense else {"sparse": exact}
    kinds: dict[SynopKind, float] = {}
    for part in cut.slices[group.target]:
        memory = group_memory(group, part.start, part.stop, profile.encoding)
        synapses = group.axon_synapses(part.start, part.stop)
        each = np.where(synapses > 0, part.neurons, 0) if memory.form == "dense" else synapses
        kinds[memory.form] = kinds.get(memory.form, 0.0) + float(spikes @ each)
    return kinds


def _rescale(
    kinds: Mapping[SynopKind, float], nonzero: float, stored: float, counted: float, counted_stored: float
) -> dict[SynopKind, float]:
    charged = sum(kinds.values())
    if charged <= 0:
        return dict(kinds)
    excess = (charged - nonzero) / (stored - nonzero) if stored > nonzero else 0.0
    target = counted + excess * (counted_stored - counted)
    return {kind: synops * target / charged for kind, synops in kinds.items()}


def _weight_bits(group: SynapseGroup, start: int, stop: int, profile: Profile, spikes: FloatArray) -> float:
    """Bits of synapse memory that the spikes of a group's source read on one core."""
    if profile.encoding is None:
        return float(spikes @ group.axon_synapses(start, stop)) * group.weight_bits
    form = group_memory(group, start, stop, profile.encoding).form
    return float(spikes @ fetched_bits(group, start, stop, form, profile.encoding))
