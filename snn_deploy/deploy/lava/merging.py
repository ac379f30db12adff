"""Many populations of one node as one Lava process, whose neurons have decays of their own.

A node with a time constant for each neuron is as many populations as it has pairs of decays. Lava runs a
system process for each of its processes and does not start hundreds of them; its equations do not mind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from snn_deploy.network.arrays import frozen
from snn_deploy.network.connections import Sparse, synapses
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

#: A node with so many populations keeps a process for each.
_FEW = 8


@dataclass(frozen=True, eq=False)
class Merged:
    """network: with a population for each merged node; members: what it holds, in order, by its name."""

    network: QuantisedNetwork
    members: Mapping[str, Sequence[QuantisedPopulation]]

    def apart(self, rasters: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Give each member its part of the rasters (samples, steps, neurons) of merged populations."""
        found: dict[str, NDArray[Any]] = {}
        for name, raster in rasters.items():
            parts = self.members.get(name)
            if parts is None:
                found[name] = raster
                continue
            stops = np.cumsum([part.neurons for part in parts])[:-1]
            found |= dict(zip((p.name for p in parts), np.split(raster, stops, axis=2), strict=True))
        return found


def merge(network: QuantisedNetwork, few: int = _FEW) -> Merged:
    """Merge the populations of every node that has more than ``few``, with what reaches and leaves them."""
    by_node: dict[str, list[QuantisedPopulation]] = defaultdict(list)
    for population in network.populations:
        by_node[population.node].append(population)
    # sums that are shifted down are not the sum of shifted parts
    shifted = {p.target for p in network.projections if p.weight_exp < 0}
    shifted |= {p.source for p in network.projections if p.weight_exp < 0}
    members = {
        f"{node} (merged)": parts
        for node, parts in by_node.items()
        if len(parts) > few and shifted.isdisjoint(part.name for part in parts)
    }
    if not members:
        return Merged(network, {})
    places = _places(members)
    merged_nodes = {parts[0].node for parts in members.values()}
    populations = [p for p in network.populations if p.node not in merged_nodes]
    populations += [_population(name, parts) for name, parts in members.items()]
    kept = [e for e in network.projections if e.source not in places and e.target not in places]
    moved = [e for e in network.projections if e.source in places or e.target in places]
    sizes = {node.name: int(np.prod(node.shape)) for node in network.inputs}
    sizes |= {p.name: p.neurons for p in populations}
    projections = [*kept, *_projections(moved, places, sizes)]
    return Merged(replace(network, populations=tuple(populations), projections=tuple(projections)), members)


def _places(members: Mapping[str, Sequence[QuantisedPopulation]]) -> dict[str, tuple[str, int]]:
    """Where each member's neurons begin: its name -> (merged population, first neuron)."""
    found = {}
    for name, parts in members.items():
        first = 0
        for part in parts:
            found[part.name] = (name, first)
            first += part.neurons
    return found


def _population(name: str, parts: Sequence[QuantisedPopulation]) -> QuantisedPopulation:
    """One population whose du, dv and vth are arrays (neurons,): what LIFOwnDecays takes."""
    sizes = [part.neurons for part in parts]
    own: dict[str, Any] = {
        key: frozen(np.repeat([getattr(part, key) for part in parts], sizes), np.int64)
        for key in ("du", "dv", "vth")
    }
    joined: dict[str, Any] = {
        key: frozen(np.concatenate([getattr(part, key) for part in parts]), np.int64)
        for key in ("index", "bias_mant", "bias_exp", "u0", "v0")
    }
    return replace(parts[0], name=name, **own, **joined)


def _projections(
    edges: Sequence[QuantisedProjection], places: Mapping[str, tuple[str, int]], sizes: Mapping[str, int]
) -> list[QuantisedProjection]:
    """Edges of the same source, target, exponent, sign and delay as one, their rows and columns moved."""
    together: dict[tuple[Any, ...], list[QuantisedProjection]] = defaultdict(list)
    seen: dict[tuple[Any, ...], int] = defaultdict(int)
    for edge in edges:
        source, target = (places.get(name, (name, 0))[0] for name in (edge.source, edge.target))
        kind = (source, target, edge.weight_exp, edge.sign, edge.weight_bits, edge.delay, edge.message_bits)
        # planes of one pair that are alike in all this must not be added up: a weight has its bits
        again = (*kind, edge.source, edge.target)
        numbered = (*kind, seen[again])
        together[numbered].append(edge)
        seen[again] += 1
    found = []
    for key, parts in together.items():
        source, target = key[:2]
        name = f"{source}->{target} {' '.join(map(str, key[2:]))}"
        matrix = _stacked(parts, places, (sizes[target], sizes[source]))
        found.append(replace(parts[0], name=name, source=source, target=target, connection=matrix))
    return found


def _stacked(
    parts: Sequence[QuantisedProjection], places: Mapping[str, tuple[str, int]], shape: tuple[int, int]
) -> Sparse:
    rows, columns, values = [], [], []
    for edge in parts:
        matrix = synapses(edge.connection).tocoo()
        rows.append(matrix.row.astype(np.int64) + places.get(edge.target, ("", 0))[1])
        columns.append(matrix.col.astype(np.int64) + places.get(edge.source, ("", 0))[1])
        values.append(matrix.data)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    whole = coo_array(entries, shape=shape).tocsr()
    return Sparse(
        frozen(whole.data, np.int64), frozen(whole.indices, np.int64), frozen(whole.indptr, np.int64), shape
    )
