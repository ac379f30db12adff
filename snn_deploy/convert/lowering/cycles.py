"""Which projections close a cycle: the contract gives each of them its recurrent delay.

NIR has no time step, so a graph with a cycle does not say where the step of delay sits. A projection
closes a cycle when every way from the inputs to its source leads through its target (its target
dominates its source): that does not depend on the order of nodes and edges. A cycle that can be
entered at several places has no such projection; the one Delay on every way around decides then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.network import Projection

if TYPE_CHECKING:
    import networkx as nx

_ROOT = object()


def delay_cycles(
    edges: Sequence[Projection], inputs: Collection[str], recurrent_delay: int
) -> tuple[Projection, ...]:
    """Add ``recurrent_delay`` to each projection that closes a cycle.

    Raises ModelNotSupported for a cycle that does not say which of its projections that is.
    """
    import networkx as nx

    graph = _graph((e.source, e.target) for e in edges)
    graph.add_edges_from((_ROOT, name) for name in inputs)
    above = _dominators(graph)
    closing = {(e.source, e.target) for e in edges if e.target in above[e.source]}
    rest = _graph((e.source, e.target) for e in edges if (e.source, e.target) not in closing)
    violations = []
    for members in nx.strongly_connected_components(rest):
        inside = {hop for hop in rest.edges if members.issuperset(hop)}
        if not inside:
            continue
        back = {(e.source, e.target) for e in edges if e.delay > 0} & inside
        if len(back) == 1 and nx.is_directed_acyclic_graph(_graph(inside - back)):
            closing |= back
            continue
        violations.append(
            Violation(
                "these populations drive each other and can be entered at several places: which connection "
                "costs the recurrent step is not stated",
                where=", ".join(sorted(members)),
                found=f"{len(back)} connections with a Delay",
                allowed="one that lies on every way around",
                remedy="Put the populations into one, or a Delay on the connection that feeds back.",
            )
        )
    if violations:
        raise ModelNotSupported(violations)
    return tuple(
        replace(e, delay=e.delay + recurrent_delay) if (e.source, e.target) in closing else e for e in edges
    )


def _graph(hops: Iterable[tuple[str, str]]) -> nx.DiGraph:
    import networkx as nx

    graph = nx.DiGraph()  # given edges, its constructor looks for pandas and warns that it is not there
    graph.add_edges_from(hops)
    return graph


def _dominators(graph: nx.DiGraph) -> dict[object, set[object]]:
    """Node -> all nodes that every way from the root to it leads through, itself included."""
    import networkx as nx

    parents = nx.immediate_dominators(graph, _ROOT)
    found: dict[object, set[object]] = {}
    for node in parents:
        above, at = {node}, node
        while at is not _ROOT and parents[at] is not None and parents[at] is not at:
            at = parents[at]
            above.add(at)
        found[node] = above
    return found
