"""Front end for ``.nir`` files: read with sizes and links checked, then handed to nir's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.convert.frontends import Source
from snn_deploy.convert.hdf5 import open_checked, read_tree
from snn_deploy.errors import ModelNotSupported, UnsafeFile, Violation
from snn_deploy.files import atomic_write

if TYPE_CHECKING:
    import nir


def read_source(path: Path) -> Source:
    """Front end of ``.nir`` files."""
    return Source(read_graph(path), {"front_end": "nir"})


def read_graph(path: Path | str) -> nir.NIRGraph:
    """Read a NIR graph.

    Raises UsageError for a missing file, UnsafeFile for a damaged one, ModelNotSupported for node
    types that nir does not know or a graph that fails nir's own type check.
    """
    with open_checked(path, "NIR graph") as handle:
        if "node" not in handle:
            raise UnsafeFile("not a NIR graph: the file has no group 'node'", where=path)
        tree = read_tree(handle["node"])
    return graph_from_tree(tree, str(path))


def graph_from_tree(tree: dict[str, Any], where: str) -> nir.NIRGraph:
    """Build the graph from nested dicts as :func:`read_tree` returns them."""
    import nir

    violations = list(_unknown_types(tree, where))
    if violations:
        raise ModelNotSupported(violations)
    tree = {**tree, "type_check": True}
    try:
        graph = nir.dict2NIRNode(tree)
    except (
        AssertionError,
        AttributeError,
        IndexError,
        KeyError,
        NotImplementedError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelNotSupported(
            "nir's own check refuses this graph", where=where, found=str(error) or type(error).__name__
        ) from error
    if not isinstance(graph, nir.NIRGraph):
        raise ModelNotSupported("a NIR file must hold a graph", where=where, found=type(graph).__name__)
    return graph


def write_graph(path: Path, graph: nir.NIRGraph) -> None:
    """Write a NIR file that nir.read loads; it replaces ``path`` only when complete."""
    import nir

    with atomic_write(path) as temporary:
        nir.write(temporary, graph)


def _unknown_types(node: Mapping[str, Any], path: str) -> list[Violation]:
    import nir

    kind = node.get("type")
    known = getattr(nir, kind, None) if isinstance(kind, str) else None
    if not (isinstance(known, type) and issubclass(known, nir.NIRNode)):
        return [
            Violation(
                "unknown NIR node type",
                where=path,
                found=repr(kind),
                allowed=f"the types of nir {nir.version}",
            )
        ]
    if known is nir.NIRGraph:
        nodes = node.get("nodes")
        if not isinstance(nodes, Mapping) or "edges" not in node:
            return [Violation("a graph without nodes or edges", where=path)]
        return [v for name, child in nodes.items() for v in _unknown_types(child, f"{path}:{name}")]
    allowed = {f.name for f in fields(known)} | {"type", "shape"}
    extra = sorted(set(node) - allowed)
    return [Violation(f"unknown field {name!r} of {kind}", where=path) for name in extra]
