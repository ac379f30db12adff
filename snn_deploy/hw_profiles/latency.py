"""Steps, and the time of a step as an interval: the slowest core, and the barrier that ends the step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from snn_deploy.hw_profiles.counts import SynopKind
from snn_deploy.hw_profiles.description import Activity, FloatArray, NetworkDescription
from snn_deploy.hw_profiles.encoding import group_memory
from snn_deploy.hw_profiles.partition import Partition
from snn_deploy.hw_profiles.placement import Traffic
from snn_deploy.hw_profiles.quantity import Point, Quantity
from snn_deploy.hw_profiles.schema import Profile, TimeTable

UNKNOWN = (
    "input and output off the chip, and the host",
    "congestion of the mesh",
    "work of the embedded processors between steps",
)


@dataclass(frozen=True)
class CoreLoad:
    """What the cores do in an average step; each array has shape (cores,)."""

    synops: dict[SynopKind, FloatArray]
    neurons: FloatArray
    spikes: FloatArray
    packets_in: FloatArray
    packets_out: FloatArray

    @property
    def imbalance(self) -> float:
        """Synaptic operations of the busiest core over the mean."""
        total = np.asarray(sum(self.synops.values()))
        return float(total.max() / total.mean()) if total.size and total.mean() > 0 else 1.0


@dataclass(frozen=True)
class Latency:
    """Time of one step in seconds, [low, nominal, high] over the profile's sources; None if unavailable.

    slowest_core: its index under the nominal source. streamed: what a measured board took, input and
    output included, (low, nominal, high) or None.
    """

    steps: int
    step: tuple[float, float, float] | None
    slowest_core: int | None
    imbalance: float
    streamed: tuple[float, float, float] | None
    statuses: tuple[str, ...]
    unknown: tuple[str, ...] = UNKNOWN

    def as_dict(self) -> dict[str, Any]:
        """A record for JSON; an item takes steps x step."""
        item = None if self.step is None else [self.steps * t for t in self.step]
        return {
            **asdict(self),
            "unit": "s",
            "item": item or "unavailable",
            "step": self.step or "unavailable",
        }


def core_load(
    network: NetworkDescription, profile: Profile, cut: Partition, packets: Traffic, activity: Activity
) -> CoreLoad:
    """Spread an activity over the cores."""
    cores = len(cut.cores)
    synops: dict[SynopKind, FloatArray] = {}
    neurons, spikes = np.zeros(cores), np.zeros(cores)
    for layer in network.layers:
        for part in cut.slices[layer.name]:
            core = cut.core_of(part)
            neurons[core] += part.neurons
            spikes[core] += float(activity.per_step(layer.name)[part.start : part.stop].sum())
            for group in network.into(layer.name):
                counts = group.axon_synapses(part.start, part.stop)
                memory = group_memory(group, part.start, part.stop, profile.encoding)
                kind: SynopKind = "conv" if group.convolution else memory.form
                if kind == "dense":
                    counts = np.where(counts > 0, part.neurons, 0)
                row = synops.setdefault(kind, np.zeros(cores))
                row[core] += float(activity.per_step(group.source) @ counts)
    arriving = packets.between.sum(axis=0) + packets.inputs
    return CoreLoad(synops, neurons, spikes, arriving, packets.between.sum(axis=1))


def latency(load: CoreLoad, profile: Profile, tiles: int, steps: int) -> Latency:
    """Time of a step: per source, the busiest core's events one after the other, then the barrier."""
    floor = profile.floor.step_time.interval if profile.floor is not None else None
    streamed = None if floor is None else (floor[0] * 1e-6, floor[1] * 1e-6, floor[2] * 1e-6)
    shortest = profile.time.min_step.interval if profile.time.min_step is not None else None
    least = shortest[1] if shortest else 0.0
    tables = profile.time.tables
    if not tables:
        only = (least * 1e-9,) * 3 if shortest else None
        status = (profile.time.min_step.status,) if profile.time.min_step is not None else ("unavailable",)
        return Latency(steps, only, None, load.imbalance, streamed, status)
    durations = {name: _core_times(load, table) for name, table in tables.items()}
    totals = {
        name: max(float(times.max()) + _barrier(tables[name].barrier, tiles), least) * 1e-9
        for name, times in durations.items()
    }
    nominal = str(profile.time.nominal)
    statuses = tuple(dict.fromkeys(table.synop.status for table in tables.values()))
    interval = (min(totals.values()), totals[nominal], max(totals.values()))
    return Latency(steps, interval, int(np.argmax(durations[nominal])), load.imbalance, streamed, statuses)


def _core_times(load: CoreLoad, table: TimeTable) -> FloatArray:
    """Nanoseconds that each core works in a step, shape (cores,)."""
    prices: dict[SynopKind, Quantity] = {
        "dense": table.synop,
        "sparse": table.synop_sparse or table.synop,
        "conv": table.synop_conv or table.synop,
    }
    times = sum(
        (_ns(prices[kind]) * count for kind, count in load.synops.items()), np.zeros_like(load.neurons)
    )
    return np.asarray(
        times
        + _ns(table.neuron_active) * load.spikes
        + _ns(table.neuron_idle) * (load.neurons - load.spikes)
        + _ns(table.spike) * load.spikes
        + _ns(table.packet_in) * load.packets_in
        + _ns(table.packet_out) * load.packets_out
    )


def _barrier(points: tuple[Point, ...], tiles: int) -> float:
    """Nanoseconds of the barrier: linear between the tile counts of the source, constant beyond them."""
    if not points:
        return 0.0
    ordered = sorted(points, key=lambda point: point.tiles)
    return float(np.interp(tiles, [p.tiles for p in ordered], [p.value for p in ordered]))


def _ns(quantity: Quantity | None) -> float:
    return quantity.value if quantity is not None and quantity.value is not None else 0.0
