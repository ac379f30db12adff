"""When each population works: its depth in Lava's pipeline, and the order of a layer-by-layer run.

Every Lava connection costs one step, so a population ``depth`` connections behind the input answers
network step t at Lava step t + depth. A projection with a delay of d network steps therefore needs
``d + depth[target] - depth[source] - 1`` extra Lava steps, which must not be negative, and which a synapse
can hold up to 62.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.integers import LONGEST_DELAY


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class Edge(Protocol):
    """What joins two nodes."""

    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def delay(self) -> int: ...


class _Projection(_Named, Edge, Protocol): ...


class Topology(Protocol):
    """What scheduling needs of a network: names, edges and their delays."""

    @property
    def inputs(self) -> Sequence[_Named]: ...
    @property
    def populations(self) -> Sequence[_Named]: ...
    @property
    def projections(self) -> Sequence[_Projection]: ...


def depths(network: Topology) -> dict[str, int]:
    """Return the smallest depths that leave every Lava delay between 0 and 62, else those of least_depths.

    Where a spike would wait too long, its source is put off; inputs stay at 0. Raises as least_depths does.
    """
    depth = least_depths(network)
    if all(lava_delay(edge, depth) <= LONGEST_DELAY for edge in network.projections):
        return depth
    return _put_off(network, depth) or depth


def least_depths(network: Topology) -> dict[str, int]:
    """Return the smallest depth of every input (0) and population that leaves no negative Lava delay.

    depth[target] >= depth[source] + 1 - delay for every projection: a longest-path problem, solvable
    unless a cycle's delays are shorter than the Lava steps around it. Raises ModelNotSupported then,
    with both numbers.
    """
    violations = []
    projections = list(network.projections)
    while True:
        depth, cycle = _longest_paths(network, projections)
        if not cycle:
            break
        violations.append(_short_cycle(cycle))
        projections = [edge for edge in projections if edge not in cycle]
    if violations:
        raise ModelNotSupported(violations)
    return depth


def lava_delay(edge: _Projection, depth: dict[str, int]) -> int:
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


def _longest_paths(
    network: Topology, projections: Sequence[_Projection]
) -> tuple[dict[str, int], list[_Projection]]:
    """Depths by Bellman and Ford's relaxation, and the edges of a cycle where they grow without end."""
    inputs, populations = network.inputs, network.populations
    depth = {node.name: 0 for node in inputs} | {population.name: 1 for population in populations}
    raised_by: dict[str, _Projection] = {}
    for _ in range(len(depth) + 1):
        last = None
        for edge in projections:
            needed = depth[edge.source] + 1 - edge.delay
            if needed > depth[edge.target]:
                depth[edge.target], raised_by[edge.target], last = needed, edge, edge
        if last is None:
            return depth, []
    name = last.target if last is not None else ""
    for _ in depth:  # back far enough to stand on the cycle
        name = raised_by[name].source
    cycle = [raised_by[name]]
    while cycle[-1].source != name:
        cycle.append(raised_by[cycle[-1].source])
    return depth, cycle[::-1]


def _put_off(network: Topology, depth: dict[str, int]) -> dict[str, int] | None:
    """The least depths from ``depth`` on with no Lava delay above 62; None where there are none.

    depth[source] >= depth[target] + delay - 63 joins the bounds of least_depths: longest paths again.
    """
    depth, inputs = dict(depth), {node.name for node in network.inputs}
    for _ in range(len(depth) + 1):
        settled = True
        for edge in network.projections:
            source = depth[edge.target] + edge.delay - 1 - LONGEST_DELAY
            if source > depth[edge.source]:
                if edge.source in inputs:
                    return None
                depth[edge.source], settled = source, False
            target = depth[edge.source] + 1 - edge.delay
            if target > depth[edge.target]:
                depth[edge.target], settled = target, False
        if settled:
            return depth
    return None


def _short_cycle(cycle: Sequence[_Projection]) -> Violation:
    delay = sum(edge.delay for edge in cycle)
    return Violation(
        "this cycle cannot be exact: each Lava connection costs one step",
        where=" -> ".join([cycle[0].source, *(edge.target for edge in cycle)]),
        found=f"{delay} step(s) of delay around {len(cycle)} connections",
        allowed=f"at least {len(cycle)} steps",
        remedy="Declare the missing steps as a NIR Delay on the feedback edge and retrain with it.",
    )
