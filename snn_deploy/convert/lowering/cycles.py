"""Which projections close a cycle: the contract gives each of them its recurrent delay.

NIR has no time step, so a graph with a cycle does not say where the step of delay sits. A projection
closes a cycle when every way from the inputs to its source leads through its target (its target
dominates its source): that does not depend on the order of nodes and edges. A cycle that can be
entered at several places has no such projection; its Delay nodes decide, if each way around passes one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from snn_deploy.convert.network import Projection
from snn_deploy.errors import ModelNotSupported, Violation

if TYPE_CHECKING:
    import networkx as nx

_ROOT = object()
#: A graph can hold more cycles than atoms: the first ones show what is wrong.
_REPORTED_CYCLES = 8


def delay_cycles(
    edges: Sequence[Projection], inputs: Collection[str], recurrent_delay: int
) -> tuple[Projection, ...]:
    """Add ``recurrent_delay`` to each projection that closes a cycle.

    Raises ModelNotSupported for a cycle that does not say which of its projections that is.
    """
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_edges_from((e.source, e.target) for e in edges)
    graph.add_edges_from((_ROOT, name) for name in inputs)
    above = _dominators(graph)
    closing = {(e.source, e.target) for e in edges if e.target in above[e.source]}
    rest = nx.DiGraph()
    rest.add_edges_from((e.source, e.target) for e in edges if (e.source, e.target) not in closing)
    delayed = {(e.source, e.target) for e in edges if e.delay > 0}
    violations: list[Violation] = []
    for members in nx.strongly_connected_components(rest):
        if len(members) == 1:
            continue
        for cycle in nx.simple_cycles(rest.subgraph(members)):
            if len(violations) == _REPORTED_CYCLES:
                break
            hops = set(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
            if len(hops & delayed) == 1:
                closing |= hops & delayed
                continue
            violations.append(
                Violation(
                    "this cycle can be entered at several populations, so which of its connections costs the "
                    "recurrent step is not stated",
                    where=" -> ".join([*cycle, cycle[0]]),
                    found=f"{len(hops & delayed)} of its connections with a Delay",
                    allowed="exactly 1",
                    remedy="Put the populations into one, or a Delay on the connection that feeds back.",
                )
            )
    if violations:
        raise ModelNotSupported(violations)
    return tuple(
        replace(e, delay=e.delay + recurrent_delay) if (e.source, e.target) in closing else e for e in edges
    )


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
