"""Front end for ``.nir`` files: read with sizes and links checked, then handed to nir's own classes.

nir's type check is left to :mod:`snn_deploy.convert.canonical` and to lowering, which know more shapes
and name every fault. Repairs are made where only one reading is possible, each with a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.convert.frontends import Source
from snn_deploy.convert.hdf5 import open_checked, read_tree
from snn_deploy.errors import ModelNotSupported, UnsafeFile, Violation
from snn_deploy.files import atomic_write

if TYPE_CHECKING:
    import nir

_log = logging.getLogger(__name__)

#: Fields that every node may carry beside its own.
_COMMON = {"type", "metadata"}
#: What Input, Output and Flatten store in place of a field that nir derives.
_STORED = {"Input": {"shape"}, "Output": {"shape"}, "Identity": {"shape"}, "Flatten": {"input_type"}}
#: Fields that nir 1.0.8 asks for and that older versions and other writers may leave out, with the one
#: value that their absence can mean.
_ABSENT: dict[str, dict[str, Any]] = {
    "Conv1d": {"input_shape": None, "bias": None},
    "Conv2d": {"input_shape": None, "bias": None},
}


def read_source(path: Path) -> Source:
    """Front end of ``.nir`` files."""
    with open_checked(path, "NIR graph") as handle:
        version = handle["version"][()] if "version" in handle else b"not stated"
    stated = version.decode("utf-8", "replace") if isinstance(version, bytes) else str(version)
    return Source(read_graph(path), {"front_end": "nir", "nir_version": stated})


def read_graph(path: Path | str) -> nir.NIRGraph:
    """Read a NIR graph.

    Raises UsageError for a missing file, UnsafeFile for a damaged one, ModelNotSupported with every node
    of a type that nir does not know, every unknown and every missing field.
    """
    with open_checked(path, "NIR graph") as handle:
        if "node" not in handle:
            raise UnsafeFile("not a NIR graph: the file has no group 'node'", where=path)
        tree = read_tree(handle["node"])
    from snn_deploy.convert.frontends import quirks

    graph = graph_from_tree(tree, str(path))
    quirks.warn(graph, str(path))
    return graph


def graph_from_tree(tree: dict[str, Any], where: str) -> nir.NIRGraph:
    """Build the graph from nested dicts as :func:`read_tree` returns them."""

    if tree.get("type") != "NIRGraph":
        raise ModelNotSupported("a NIR file must hold a graph", where=where, found=repr(tree.get("type")))
    violations = list(_violations(tree, where))
    if not violations:
        graph = _graph(tree, where, violations)
    if violations:
        raise ModelNotSupported(violations)
    return graph


def write_graph(path: Path, graph: nir.NIRGraph) -> None:
    """Write a NIR file that nir.read loads; it replaces ``path`` only when complete."""
    import nir

    with atomic_write(path) as temporary:
        nir.write(temporary, graph)


def _violations(node: Any, path: str) -> list[Violation]:
    """Unknown types, unknown and missing fields, of a node and all nodes in it."""
    import nir
    from nir.ir.graph import Identity

    kind = node.get("type") if isinstance(node, Mapping) else None
    known = getattr(nir, kind, None) if isinstance(kind, str) else None
    if kind == "Identity":
        known = Identity
    if not (isinstance(known, type) and issubclass(known, nir.NIRNode) and known is not nir.NIRNode):
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
        return [v for name, child in nodes.items() for v in _violations(child, f"{path}:{name}")]
    own = {f.name: f for f in fields(known) if f.name not in ("input_type", "output_type", "metadata")}
    needed = {
        name
        for name, f in own.items()
        if f.default is MISSING
        and f.default_factory is MISSING
        and name not in _ABSENT.get(known.__name__, {})
    } | (_STORED.get(known.__name__, set()) - {"input_type"})
    allowed = set(own) | _COMMON | _STORED.get(known.__name__, set())
    return [
        Violation(f"unknown field {name!r} of {kind}", where=path, allowed=", ".join(sorted(own)))
        for name in sorted(set(node) - allowed)
    ] + [Violation(f"field {name!r} of {kind} is missing", where=path) for name in sorted(needed - set(node))]


def _graph(tree: Mapping[str, Any], where: str, violations: list[Violation]) -> nir.NIRGraph:
    """Build a graph and those in it; what nir's classes refuse is added to ``violations``."""
    import nir

    nodes: dict[str, nir.NIRNode] = {}
    for name, child in tree["nodes"].items():
        path = f"{where}:{name}"
        if child["type"] == "NIRGraph":
            nodes[name] = _graph(child, path, violations)
            continue
        try:
            nodes[name] = _node(child, path)
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            found = str(error) or type(error).__name__
            violations.append(Violation("nir refuses this node", where=path, found=found))
    # an HDF5 file without edges holds an empty array of floats
    edges = [(_text(a), _text(b)) for a, b in tree["edges"]] if len(tree["edges"]) else []
    metadata = {key: _text(value) for key, value in (tree.get("metadata") or {}).items()}
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def _node(stored: Mapping[str, Any], where: str) -> nir.NIRNode:
    """Build a node with what its writer left out."""
    import nir
    from nir.ir.graph import Identity

    kind, whole = str(stored["type"]), dict(stored)
    if kind == "Identity":  # nir 1.0.8 writes it and cannot read it
        return Identity(
            {"input": whole["shape"], "output": whole["shape"]}, metadata=whole.get("metadata", {})
        )
    for field, value in _ABSENT.get(kind, {}).items():
        if field not in whole:
            _log.warning("%s: %s without %s, read as %s", where, kind, field, value)
            whole[field] = value
    node: nir.NIRNode = nir.dict2NIRNode(whole)
    return node


def _text(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value
