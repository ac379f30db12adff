"""When each population works: its depth in Lava's pipeline, and the order of a layer-by-layer run.

Every Lava connection costs one step, so a population ``depth`` connections behind the input answers
network step t at Lava step t + depth. A projection with a delay of d network steps therefore needs
``d + depth[target] - depth[source] - 1`` extra Lava steps, which must not be negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from snn_deploy.errors import ModelNotSupported, Violation

#: A graph can hold more cycles than atoms: the first ones show what is wrong.
_REPORTED_CYCLES = 8


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Edge(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def delay(self) -> int: ...


class Topology(Protocol):
    """What scheduling needs of a network: names, edges and their delays."""

    @property
    def inputs(self) -> Sequence[_Named]: ...
    @property
    def populations(self) -> Sequence[_Named]: ...
    @property
    def projections(self) -> Sequence[_Edge]: ...


def depths(network: Topology) -> dict[str, int]:
    """Return the smallest depth of every input (0) and population that leaves no negative Lava delay.

    depth[target] >= depth[source] + 1 - delay for every projection: a longest-path problem, solvable
    unless a cycle's delays are shorter than the Lava steps around it. Raises ModelNotSupported then,
    with both numbers.
    """
    names = [node.name for node in (*network.inputs, *network.populations)]
    depth = {name: 0 if i < len(network.inputs) else 1 for i, name in enumerate(names)}
    for _ in range(len(names) + 1):
        changed = False
        for edge in network.projections:
            needed = depth[edge.source] + 1 - edge.delay
            if needed > depth[edge.target]:
                depth[edge.target] = needed
                changed = True
        if not changed:
            return depth
    raise ModelNotSupported(_short_cycles(network))


def lava_delay(edge: _Edge, depth: dict[str, int]) -> int:
    """Extra Lava steps of a projection beyond the one step that every connection costs."""
    return edge.delay + depth[edge.target] - depth[edge.source] - 1


def stages(network: Topology) -> list[list[str]]:
    """Group the populations into stages that can run one after the other over all time steps.

    A stage is one population, or all populations of one cycle, which must advance step by step
    together. Stages come in topological order.
    """
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(population.name for population in network.populations)
    inputs = {node.name for node in network.inputs}
    graph.add_edges_from((e.source, e.target) for e in network.projections if e.source not in inputs)
    condensed = nx.condensation(graph)
    order = {population.name: i for i, population in enumerate(network.populations)}
    members = {c: sorted(condensed.nodes[c]["members"], key=order.__getitem__) for c in condensed}
    sequence = nx.lexicographical_topological_sort(condensed, key=lambda c: order[members[c][0]])
    return [members[c] for c in sequence]


def _short_cycles(network: Topology) -> list[Violation]:
    import networkx as nx

    graph = nx.DiGraph()
    for edge in network.projections:  # of parallel projections the quickest counts
        known = graph.get_edge_data(edge.source, edge.target, {"delay": edge.delay})["delay"]
        graph.add_edge(edge.source, edge.target, delay=min(edge.delay, known))
    found: list[Violation] = []
    for cycle in nx.simple_cycles(graph):
        if len(found) == _REPORTED_CYCLES:
            break
        hops = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        delay = sum(graph.edges[hop]["delay"] for hop in hops)
        if delay < len(hops):
            found.append(
                Violation(
                    "this cycle cannot be exact: each Lava connection costs one step",
                    where=" -> ".join([*cycle, cycle[0]]),
                    found=f"{delay} step(s) of delay around {len(hops)} connections",
                    allowed=f"at least {len(hops)} steps",
                    remedy="Declare the missing steps as a NIR Delay on the feedback edge, and retrain.",
                )
            )
    return found
