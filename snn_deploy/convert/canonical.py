"""Canonical form: one flat graph whose wiring and values are sound, whatever a framework exported.

Nested graphs become dotted names (``rnn.lif``), Identity nodes become edges, and every broken rule is
found at once. nir's own type check is not relied on: nir 1.0.8 works out a wrong shape for kernels that
are not square, knows no shape behind a cycle, and adds inputs and outputs where a node dangles.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import nir
import numpy as np
from nir.ir.graph import Identity  # not among the names that nir exports

from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.validity import check
from snn_deploy.network.validity.graph import GRAPH, fields_hold_numbers

Edge = tuple[str, str]
_MAX_DEPTH = 32


def canonical(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return the flat graph, sharing the nodes of ``graph``, which is left as it is.

    Raises ModelNotSupported with every edge that leads nowhere or occurs twice, every node that nothing
    reaches or that leads nowhere, empty arrays, and values that are not finite numbers.
    """
    flat = _Flat()
    flat.add(graph)
    if flat.violations:
        raise ModelNotSupported([*flat.violations, *fields_hold_numbers(flat)])
    flat.nodes, flat.edges = _contract_identities(flat.nodes, flat.edges)
    check(flat, GRAPH)
    return nir.NIRGraph(flat.nodes, flat.edges, metadata=dict(graph.metadata or {}), type_check=False)


@dataclass
class _Flat:
    """The flat graph so far."""

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def add(self, graph: nir.NIRGraph, prefix: str = "", depth: int = 0) -> None:
        """Add the graph's nodes under ``prefix``; its inputs and outputs become Identity nodes."""
        where = prefix.rstrip(".") or "graph"
        if depth > _MAX_DEPTH:
            self.violations.append(
                Violation("graphs are nested too deep", where=where, allowed=f"{_MAX_DEPTH} levels")
            )
            return
        self.violations += _edges(graph, where)
        ports: dict[str, tuple[str, str]] = {}
        for name, node in graph.nodes.items():
            path = f"{prefix}{name}"
            if isinstance(node, nir.NIRGraph):
                self.add(node, f"{path}.", depth + 1)
                ports[name] = _ports(node, path, self.violations)
                continue
            if not isinstance(node, nir.NIRNode):
                self.violations.append(
                    Violation(
                        "this is no NIR node",
                        where=path,
                        found=type(node).__name__,
                    )
                )
                continue
            if "/" in name or not name:
                self.violations.append(
                    Violation(
                        "a node needs a name without '/', which a file could not hold", where=path or where
                    )
                )
            if path in self.nodes:
                self.violations.append(Violation("two nodes have this name in the flat graph", where=path))
            nested_port = bool(prefix) and isinstance(node, nir.Input | nir.Output)
            self.nodes[path] = _port(node) if nested_port else node
            ports[name] = (path, path)
        self.edges += [(ports[a][1], ports[b][0]) for a, b in graph.edges if a in ports and b in ports]


def _port(node: nir.NIRNode) -> Identity:
    shape = node.input_type["input"]
    return Identity({"input": shape, "output": shape})


def _ports(graph: nir.NIRGraph, path: str, violations: list[Violation]) -> tuple[str, str]:
    """The nodes that an edge into and out of a nested graph means."""
    names = []
    for kind in (nir.Input, nir.Output):
        found = [name for name, node in graph.nodes.items() if isinstance(node, kind)]
        if len(found) != 1:
            violations.append(
                Violation(
                    f"a nested graph must have one {kind.__name__} node: NIR's edges do not name the port",
                    where=path,
                    found=str(found or "none"),
                )
            )
        names.append(f"{path}.{found[0]}" if found else path)
    return names[0], names[1]


def _edges(graph: nir.NIRGraph, where: str) -> list[Violation]:
    found = [
        Violation("an edge names a node that does not exist", where=where, found=f"{a} -> {b}")
        for a, b in graph.edges
        if a not in graph.nodes or b not in graph.nodes
    ]
    return found + [
        Violation("an edge occurs more than once", where=where, found=f"{a} -> {b}, {count} times")
        for (a, b), count in Counter((str(a), str(b)) for a, b in graph.edges).items()
        if count > 1
    ]


def _contract_identities(
    nodes: dict[str, nir.NIRNode], edges: list[Edge]
) -> tuple[dict[str, nir.NIRNode], list[Edge]]:
    """Replace each Identity by direct edges, or by a Scale of ones where that would double an edge."""
    nodes = dict(nodes)
    for name in [name for name, node in nodes.items() if isinstance(node, Identity)]:
        before = [a for a, b in edges if b == name]
        after = [b for a, b in edges if a == name]
        direct = [(a, b) for a in before for b in after]
        if not direct:
            continue  # it dangles: reported with the wiring
        if name in before or set(direct) & set(edges):
            shape = nodes[name].input_type.get("input")
            nodes[name] = nir.Scale(np.ones(() if shape is None else tuple(int(n) for n in shape)))
            continue
        edges = [edge for edge in edges if name not in edge] + direct
        del nodes[name]
    return nodes, edges
