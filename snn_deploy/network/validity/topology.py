"""Rules that hold for every form with inputs, populations, projections and outputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.connections import size
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.network import Network
from snn_deploy.network.quantised import QuantisedNetwork

Wired = Network | DiscreteNetwork | QuantisedNetwork


def names_are_unique(network: Wired) -> Iterator[Violation]:
    """No two inputs or populations, and no two outputs, share a name."""
    sources = [node.name for node in (*network.inputs, *network.populations)]
    for what, names in (("inputs or populations", sources), ("outputs", [o.name for o in network.outputs])):
        for name, count in Counter(names).items():
            if count > 1:
                yield Violation(f"two {what} have the same name", "network", f"{name!r}, {count} times")


def shapes_are_positive(network: Wired) -> Iterator[Violation]:
    """Every input has a shape of whole numbers above 0, and every population neurons."""
    for node in network.inputs:
        if not node.shape or any(not isinstance(n, int | np.integer) or n < 1 for n in node.shape):
            yield Violation(
                "the shape must be positive whole numbers", f"input {node.name!r}", str(node.shape)
            )
    for population in network.populations:
        if neurons_of(population) < 1:
            yield Violation("has no neurons", f"population {population.name!r}")


def projections_join(network: Wired) -> Iterator[Violation]:
    """A projection leads from an input or a population to a population, and waits no negative time."""
    sources = {node.name for node in network.inputs}
    targets = {population.name for population in network.populations}
    for edge in network.projections:
        where = f"projection {edge.name!r}"
        if edge.source not in sources | targets or edge.target not in targets:
            yield Violation("joins unknown populations", where, f"{edge.source!r} -> {edge.target!r}")
        if not isinstance(edge.delay, int | np.integer):
            yield Violation("delay must be a whole number", where, repr(edge.delay), ">= 0 steps")
        elif edge.delay < 0:
            yield Violation("delay is out of range", where, str(edge.delay), ">= 0 steps")


def sizes_match(network: Wired) -> Iterator[Violation]:
    """A connection has as many rows as its target has neurons, and as many columns as its source."""
    neurons = {node.name: math.prod(node.shape) for node in network.inputs}
    neurons |= {population.name: neurons_of(population) for population in network.populations}
    for edge in network.projections:
        needed = (neurons[edge.target], neurons[edge.source])
        if size(edge.connection) != needed:
            yield Violation(
                "has the wrong size",
                f"projection {edge.name!r}",
                str(size(edge.connection)),
                f"{needed} (out, in)",
            )


def outputs_read_nodes(network: Wired) -> Iterator[Violation]:
    """There is an output, and each reads a node that has neurons, or an input."""
    known = {node.name for node in network.inputs}
    known |= {getattr(population, "node", population.name) for population in network.populations}
    if not network.outputs:
        yield Violation("the network has no output", "network")
    for output in network.outputs:
        if output.node not in known:
            yield Violation("reads an unknown node", f"output {output.name!r}", repr(output.node))


def neurons_of(population: object) -> int:
    """Neurons of a population of any form."""
    index = getattr(population, "index", None)
    return int(index.size) if index is not None else math.prod(population.shape)  # type: ignore[attr-defined]
