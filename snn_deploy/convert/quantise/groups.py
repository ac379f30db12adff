"""Groups: the neurons of one node that share their integer decays, and the projections between them.

A LIF process has one pair of decays, so a node with several time constants becomes several processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.convert.quantise.decays import round_decays
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import IntArray, frozen
from snn_deploy.network.connections import Connection, Dense, Sparse, synapses
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection


@dataclass(frozen=True, eq=False)
class Group:
    """Neurons ``index`` of one node, with their decay registers."""

    name: str
    index: IntArray
    du: int = 0
    dv: int = 0


@dataclass(frozen=True, eq=False)
class Piece:
    """The part of a projection between two groups; ``columns`` are the source's neurons in it."""

    edge: DiscreteProjection
    name: str
    source: str
    columns: IntArray
    connection: Connection


def split(
    population: DiscretePopulation, profile: Profile, registers: tuple[IntArray, IntArray] | None = None
) -> list[Group]:
    """One group for each pair of decay registers: those of ``registers``, else each neuron's own."""
    du, dv = registers or round_decays(population, profile)
    pairs, which = np.unique(np.stack([du, dv], axis=1), axis=0, return_inverse=True)
    names = [population.name] if len(pairs) == 1 else [f"{population.name}#{k}" for k in range(len(pairs))]
    return [
        Group(name, np.flatnonzero(which.reshape(-1) == k), int(pair[0]), int(pair[1]))
        for k, (name, pair) in enumerate(zip(names, pairs, strict=True))
    ]


def sources(network: DiscreteNetwork, groups: Mapping[str, list[Group]]) -> dict[str, list[Group]]:
    """The groups of every node that can send spikes, inputs included."""
    whole = {node.name: [Group(node.name, np.arange(int(np.prod(node.shape))))] for node in network.inputs}
    return {**whole, **groups}


def pieces(
    incoming: Sequence[DiscreteProjection], group: Group, parts: int, senders: Mapping[str, list[Group]]
) -> list[Piece]:
    """Cut the projections into a population of ``parts`` groups down to what reaches ``group``."""
    found = []
    for edge in incoming:
        for sender in senders[edge.source]:
            if parts == 1 and len(senders[edge.source]) == 1:
                found.append(Piece(edge, edge.name, sender.name, sender.index, edge.connection))
                continue
            name = f"{edge.name}:{sender.name}->{group.name}"
            cut = _cut(edge.connection, group.index, sender.index)
            found.append(Piece(edge, name, sender.name, sender.index, cut))
    return found


def _cut(connection: Connection, rows: IntArray, columns: IntArray) -> Connection:
    if isinstance(connection, Dense):
        return Dense(frozen(connection.weight[rows][:, columns], np.float64))
    matrix = synapses(connection)[rows][:, columns].tocsr()
    return Sparse(
        frozen(matrix.data, np.float64),
        frozen(matrix.indices, np.int64),
        frozen(matrix.indptr, np.int64),
        (int(matrix.shape[0]), int(matrix.shape[1])),
    )
