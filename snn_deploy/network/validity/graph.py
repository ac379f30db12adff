"""Rules of a flat NIR graph: its wiring leads somewhere, and its fields hold numbers.

Reads ``nodes`` (name -> NIR node) and ``edges`` (pairs of names) of what it is given. What a field may hold
beyond numbers is the lowering's business, which knows the primitive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, Protocol

import nir
import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.validity.table import Table

_SHAPES = ("input_type", "output_type", "metadata", "nodes", "edges")


class Flat(Protocol):
    """A graph without graphs in it."""

    nodes: dict[str, nir.NIRNode]
    edges: list[tuple[str, str]]


def wiring_leads_somewhere(graph: Flat) -> list[Violation]:
    """Every node is reached from an Input and drives something; there is an Input and an Output."""
    nodes, edges = graph.nodes, graph.edges
    sources, targets = {a for a, _ in edges}, {b for _, b in edges}
    found = []
    for name, node in nodes.items():
        is_input, is_output = isinstance(node, nir.Input), isinstance(node, nir.Output)
        if is_input and name in targets:
            found.append(Violation("an Input node cannot be driven", where=name))
        if is_output and name in sources:
            found.append(Violation("an Output node cannot drive another", where=name))
        if not is_input and name not in targets:
            found.append(Violation("nothing drives this node", where=name, found=type(node).__name__))
        if not is_output and name not in sources:
            found.append(Violation("this node drives nothing", where=name, found=type(node).__name__))
    for kind in (nir.Input, nir.Output):
        if not any(isinstance(node, kind) for node in nodes.values()):
            found.append(Violation(f"the graph has no {kind.__name__} node", where="graph"))
    reached, front = set(), [name for name, node in nodes.items() if isinstance(node, nir.Input)]
    while front:
        name = front.pop()
        if name not in reached:
            reached.add(name)
            front += [b for a, b in edges if a == name]
    unreached = [name for name in nodes if name not in reached and name in targets]
    if unreached:
        found.append(Violation("no input reaches these nodes", where="graph", found=", ".join(unreached)))
    return found


def fields_hold_numbers(graph: Flat) -> Iterator[Violation]:
    """No field is empty, text, NaN or infinite, and every port has a shape."""
    for name, node in graph.nodes.items():
        yield from _values(name, node)


def _values(name: str, node: nir.NIRNode) -> list[Violation]:
    """Fields that hold no numbers, nothing at all, or NaN and infinity; shapes of zero size."""
    found = []
    for key, value in _numeric_fields(node):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            found.append(Violation(f"{key} does not hold numbers", where=name, found=str(array.dtype)))
        elif array.size == 0:
            found.append(Violation(f"{key} is empty", where=name, found=f"shape {array.shape}"))
        elif not np.all(np.isfinite(array)):
            bad = int(np.count_nonzero(~np.isfinite(array)))
            found.append(
                Violation(
                    f"{key} is not finite", where=name, found=f"NaN or infinity in {bad} of {array.size}"
                )
            )
    if isinstance(node, nir.Input | nir.Output):
        shape = node.input_type.get("input") if isinstance(node.input_type, dict) else None
        if shape is None or np.size(shape) == 0 or np.any(np.asarray(shape) < 1):
            found.append(Violation("the shape must be positive whole numbers", where=name, found=str(shape)))
    return found


def _numeric_fields(node: nir.NIRNode) -> Iterable[tuple[str, Any]]:
    if isinstance(node, nir.NIRGraph):
        return
    for f in fields(node):
        value = getattr(node, f.name, None)
        if f.name not in _SHAPES and value is not None and not isinstance(value, str | bytes):
            yield f.name, value


GRAPH: Table = ((wiring_leads_somewhere, fields_hold_numbers),)
