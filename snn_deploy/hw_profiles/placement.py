"""Give each core a place on the mesh of tiles, and count what then travels.

Chips hold tiles in columns and rows, and a few cores a tile; cores of one tile exchange spikes without
a hop. A packet is one spike to one destination core, once a synapse group. Input from outside the chip
is counted as packets without hops: its path is not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from snn_deploy.hw_profiles.description import Activity, FloatArray, IntArray, NetworkDescription
from snn_deploy.hw_profiles.partition import Partition
from snn_deploy.hw_profiles.quantity import Limit
from snn_deploy.hw_profiles.schema import Profile

Order = Literal["column-snake", "row-snake", "row-major", "random"]
ANNEAL_MOVES = 20_000
#: First and last temperature of the annealing, as shares of the mean traffic-weighted hops of a core.
ANNEAL_HOT, ANNEAL_COLD = 0.3, 0.002


@dataclass(frozen=True)
class Mesh:
    """Tiles of one chip, and cores a tile. Chips stand side by side along the columns."""

    columns: int
    rows: int
    cores_per_tile: int
    cores_per_chip: int

    @staticmethod
    def of(profile: Profile) -> Mesh | None:
        """The mesh of a profile, or None where the profile does not say."""
        limits = profile.limits
        found = [_value(limit) for limit in (limits.tile_columns, limits.tile_rows, limits.cores_per_tile)]
        columns, rows, per_tile = found
        if columns is None or rows is None or per_tile is None:
            return None
        return Mesh(columns, rows, per_tile, _value(limits.cores_per_chip) or columns * rows * per_tile)

    def sites(self, order: Order, chips: int, seed: int = 0) -> IntArray:
        """Tile coordinates (column, row) of every core site in that order, shape (chips * cores, 2)."""
        column, row = np.meshgrid(np.arange(self.columns), np.arange(self.rows), indexing="ij")
        if order == "column-snake":
            row = np.where(column % 2 == 1, self.rows - 1 - row, row)
        elif order in ("row-snake", "row-major"):
            column, row = column.T, row.T
            if order == "row-snake":
                column = np.where(row % 2 == 1, self.columns - 1 - column, column)
        tiles = np.stack([column.ravel(), row.ravel()], axis=1)
        one_chip = np.repeat(tiles, self.cores_per_tile, axis=0)[: self.cores_per_chip]
        sites = np.concatenate([one_chip + np.array([chip * self.columns, 0]) for chip in range(chips)])
        if order == "random":
            sites = np.random.default_rng(seed).permutation(sites)
        return np.asarray(sites, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Packets of one step. between: core to core, shape (cores, cores). inputs: from outside, (cores,)."""

    between: FloatArray
    inputs: FloatArray
    spikes: float

    @property
    def packets(self) -> float:
        return float(self.between.sum() + self.inputs.sum())


@dataclass(frozen=True, eq=False)
class Placement:
    """Where each core is: ``sites``, tile coordinates (column, row), shape (cores, 2)."""

    order: str
    mesh: Mesh
    sites: IntArray
    traffic: Traffic

    @cached_property
    def hops(self) -> tuple[float, float]:
        """Hops of one step, summed over packets: (east-west, north-south)."""
        distance = np.abs(self.sites[:, None, :] - self.sites[None, :, :])
        weighted = (self.traffic.between[:, :, None] * distance).sum(axis=(0, 1))
        return float(weighted[0]), float(weighted[1])

    @property
    def total_hops(self) -> float:
        return sum(self.hops)

    @property
    def hops_per_packet(self) -> float:
        packets = float(self.traffic.between.sum())
        return self.total_hops / packets if packets else 0.0

    @property
    def packets_per_spike(self) -> float:
        """Packets between cores a spike of an on-chip neuron."""
        return float(self.traffic.between.sum()) / self.traffic.spikes if self.traffic.spikes else 0.0

    @property
    def interchip_packets(self) -> float:
        chip = self.sites[:, 0] // self.mesh.columns
        return float(self.traffic.between[chip[:, None] != chip[None, :]].sum())

    @property
    def tiles(self) -> int:
        """Tiles that hold a core in use."""
        return len({(int(x), int(y)) for x, y in self.sites})


def traffic(network: NetworkDescription, cut: Partition, activity: Activity) -> Traffic:
    """Packets of an average step between the cores of a partition."""
    cores = len(cut.cores)
    between, inputs = np.zeros((cores, cores)), np.zeros(cores)
    layers = {layer.name for layer in network.layers}
    spikes = sum(float(activity.per_step(name).sum()) for name in layers)
    for group in network.groups:
        rate = activity.per_step(group.source)
        for part in cut.slices[group.target]:
            target = cut.core_of(part)
            sent = np.where(group.axon_synapses(part.start, part.stop) > 0, rate, 0.0)
            if group.source in layers:
                bounds = cut.bounds(group.source)
                sources = [cut.core_of(origin) for origin in cut.slices[group.source]]
                np.add.at(between, (sources, target), np.add.reduceat(sent, bounds[:-1]))
            else:
                inputs[target] += float(sent.sum())
    return Traffic(between, inputs, spikes)


def place(
    packets: Traffic, mesh: Mesh, chips: int, order: Order = "column-snake", seed: int = 0
) -> Placement:
    """Put the cores on the sites of the mesh, one after the other, in that order."""
    sites = mesh.sites(order, chips, seed)[: len(packets.inputs)]
    return Placement(order, mesh, sites, packets)


def anneal(placement: Placement, chips: int, seed: int = 0, moves: int = ANNEAL_MOVES) -> Placement:
    """Swap sites, empty ones too, to lessen packets x hops: simulated annealing from a placement.

    Deterministic for a seed. Returns the best placement met, so never a worse one.
    """
    cores = len(placement.sites)
    every = placement.mesh.sites("column-snake", chips)
    at = _complete(placement.sites, every)
    distance = np.abs(every[:, None, :] - every[None, :, :]).sum(axis=2).astype(np.float64)
    flow = placement.traffic.between + placement.traffic.between.T
    np.fill_diagonal(flow, 0.0)
    cost = best = float((flow * distance[np.ix_(at[:cores], at[:cores])]).sum()) / 2
    best_at, scale = at.copy(), max(cost / max(cores, 1), 1e-12)
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, cores, moves), rng.integers(0, len(every), moves)
    luck = np.log(rng.random(moves))
    cooling = np.geomspace(ANNEAL_HOT, ANNEAL_COLD, moves) * scale
    for a, b, chance, temperature in zip(first.tolist(), second.tolist(), luck, cooling, strict=True):
        change = _swap_change(flow, distance, at, (a, b))
        if change < -temperature * chance:
            at[a], at[b] = at[b], at[a]
            cost += change
            if cost < best:
                best, best_at = cost, at.copy()
    return Placement(
        f"{placement.order}, annealed (seed {seed})",
        placement.mesh,
        every[best_at[:cores]],
        placement.traffic,
    )


def _swap_change(flow: FloatArray, distance: FloatArray, at: IntArray, pair: tuple[int, int]) -> float:
    """Change of packets x hops when a core and another core, or an empty site, change places."""
    (a, b), cores = pair, len(flow)
    here = at[:cores]
    moved = distance[at[b], here] - distance[at[a], here]
    if b >= cores:
        moved[a] = 0.0
        return float(flow[a] @ moved)
    pull = flow[a] - flow[b]
    pull[a] = pull[b] = 0.0  # the distance between the two does not change
    return float(pull @ moved)


def _complete(sites: IntArray, every: IntArray) -> IntArray:
    """Index into ``every`` of each core's site, then of each free one, shape (sites in all,)."""
    free: dict[tuple[int, int], list[int]] = {}
    for index, (x, y) in enumerate(every.tolist()):
        free.setdefault((x, y), []).append(index)
    taken = [free[x, y].pop(0) for x, y in sites.tolist()]
    return np.array(taken + sorted(index for rest in free.values() for index in rest), dtype=np.int64)


def _value(limit: Limit | None) -> int | None:
    return None if limit is None else limit.value
