"""Quirks of exporters: what a framework's files say differently from what its networks do.

One function a quirk, under the decorator of what becomes of it: a warning, a repair with a warning, or a
refusal that explains itself. Each names the framework and the version in which it was seen. To add one, write
its function: everything behind the front ends knows NIR alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import nir
import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.contract import Contract

_log = logging.getLogger(__name__)

Outcome = Literal["warning", "repair", "refusal"]

#: An integrator's r from here on looks like 1 / dt of another time step.
_LIKE_A_RATE = 100.0


@dataclass(frozen=True)
class Quirk:
    """One quirk: who writes it, in which version, what becomes of it, and what it is."""

    name: str
    framework: str
    version: str
    outcome: Outcome
    what: str
    function: Callable[..., Any]


#: All quirks, in the order of this file.
QUIRKS: list[Quirk] = []


def quirk(
    framework: str, version: str, outcome: Outcome
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function; the first line of its docstring says what the quirk is.

    A warning takes (graph, where), graph as the file holds it. A repair takes (graph, contract), graph flat,
    and returns the graph. A refusal takes (graph, contract) and yields (node, what to do) for nodes that the
    conversion refuses.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        what = (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        QUIRKS.append(Quirk(function.__name__, framework, version, outcome, what, function))
        return function

    return register


def warn(graph: nir.NIRGraph, where: str) -> None:
    """Log every warning about a graph that was read from the file ``where``."""
    for one in QUIRKS:
        if one.outcome == "warning":
            one.function(graph, where)


def repaired(graph: nir.NIRGraph, contract: Contract) -> nir.NIRGraph:
    """The flat graph as its framework means it; each repair is logged as a warning."""
    for one in QUIRKS:
        if one.outcome == "repair":
            graph = one.function(graph, contract)
    return graph


def explained(violations: tuple[Violation, ...], graph: nir.NIRGraph, contract: Contract) -> list[Violation]:
    """The violations, with what a quirk knows about their nodes added to what to do."""
    hints: dict[str, list[str]] = {}
    for one in QUIRKS:
        if one.outcome == "refusal":
            for node, remedy in one.function(graph, contract):
                hints.setdefault(node, []).append(remedy)
    return [
        replace(v, remedy=" ".join([*filter(None, [v.remedy]), *hints.get(v.where, [])])) for v in violations
    ]


@quirk("Norse, Rockpool", "1.1.0, 3.1.0", "warning")
def w_in_left_at_its_default(graph: nir.NIRGraph, where: str) -> None:
    """w_in = 1, nir's default, where a spike adds 1 to the current and w_in = tau_syn / dt is meant.

    A graph that states its time step was written by someone who minded such things.
    """
    suspects = [
        name
        for name, node in graph.nodes.items()
        if isinstance(node, nir.CubaLIF | nir.CubaLI) and np.all(np.asarray(node.w_in) == 1)
    ]
    if suspects and "dt" not in graph.metadata:
        _log.warning(
            "%s: w_in = 1 in %s. Exporters of Norse 1.1.0 and Rockpool 3.1.0 write that where a spike adds "
            "1 to the current (w_in = tau_syn / dt), and the spikes are others then. If the file is Norse's, "
            "convert the module or its checkpoint itself.",
            where,
            ", ".join(suspects),
        )


@quirk("SpikingJelly", "2.0.0", "repair")
def r_of_one_over_dt(graph: nir.NIRGraph, contract: Contract) -> nir.NIRGraph:
    """r = 1 / dt in an integrator that means v <- v + S.

    An r of exactly 1 / dt, to the precision of a float32, is multiplied by dt; one that looks like 1 / dt of
    another time step is only warned of.
    """
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.IF | nir.I):
            continue
        r = np.asarray(node.r, dtype=np.float64)
        if contract.dt != 1 and np.allclose(r * contract.dt, 1.0, rtol=1e-6, atol=0):
            _log.warning(
                "%s: r = 1 / dt in an integrator: read as v <- v + dt r S, as SpikingJelly writes it", name
            )
            nodes[name] = replace(node, r=r * contract.dt)
        elif np.ptp(r) == 0 and r.flat[0] >= _LIKE_A_RATE:
            _log.warning(
                "%s: r = %g throughout an integrator is not 1 / dt = %g, so each step adds r S: if "
                "SpikingJelly wrote it, its time step was %g s",
                name,
                r.flat[0],
                1 / contract.dt,
                1 / r.flat[0],
            )
    if nodes == graph.nodes:
        return graph
    return nir.NIRGraph(nodes, list(graph.edges), metadata=dict(graph.metadata or {}), type_check=False)


@quirk("Norse, snnTorch", "1.1.0, 1.0.0", "repair")
def batch_axis_left_over(graph: nir.NIRGraph, contract: Contract) -> nir.NIRGraph:
    """A batch axis of size 1 left over in an Input's shape, where the next node takes one dimension less.

    A Flatten that counts its dimensions from a batch axis counts them without it then.
    """
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        shape = tuple(np.atleast_1d(node.input_type["input"]).tolist()) if isinstance(node, nir.Input) else ()
        after = [graph.nodes[target] for source, target in graph.edges if source == name]
        if len(shape) < 2 or shape[0] != 1 or not any(_rank(other) == len(shape) - 1 for other in after):
            continue
        _log.warning(
            "%s: shape %s begins with a batch axis of size 1 that an exporter left over: read as %s",
            name,
            shape,
            shape[1:],
        )
        nodes[name] = nir.Input({"input": np.array(shape[1:])})
        nodes[name].metadata = dict(node.metadata or {})
    if nodes == graph.nodes:
        return graph
    for name, node in graph.nodes.items():
        stated = np.atleast_1d(node.input_type["input"]) if isinstance(node, nir.Flatten) else np.zeros(0)
        if len(stated) > 1 and stated[0] == 1 and node.start_dim > 0:
            end = node.end_dim - 1 if node.end_dim > 0 else node.end_dim
            nodes[name] = nir.Flatten({"input": stated[1:]}, node.start_dim - 1, end)
    return nir.NIRGraph(nodes, list(graph.edges), metadata=dict(graph.metadata or {}), type_check=False)


def _rank(node: Any) -> int | None:
    """How many dimensions a node takes, None where it takes any."""
    if isinstance(node, nir.Conv2d | nir.SumPool2d | nir.AvgPool2d):
        return 3
    if isinstance(node, nir.Conv1d):
        return 2
    return 1 if isinstance(node, nir.Linear | nir.Affine) else None


@quirk("Norse", "1.1.0", "refusal")
def modules_left_as_none(graph: nir.NIRGraph, contract: Contract) -> Iterator[tuple[str, str]]:
    """None in the place of modules that the exporter does not know."""
    for name, node in _all_nodes(graph):
        if node is None:
            yield (
                name,
                "Some exporters, Norse 1.1.0's to_nir among them, leave None for modules that they do not "
                "know: convert the Norse module or its checkpoint itself.",
            )


@quirk("Norse", "1.1.0", "refusal")
def time_constants_times_dt(graph: nir.NIRGraph, contract: Contract) -> Iterator[tuple[str, str]]:
    """dt tau in the place of tau, with the exporter's default of dt."""
    for name, node in _all_nodes(graph):
        taus = [np.asarray(value) for field, value in vars(node or object).items() if field.startswith("tau")]
        if any(np.any(tau < contract.dt) for tau in taus if tau.dtype.kind in "iuf"):
            yield (
                name,
                "Norse 1.1.0's to_nir writes dt tau for tau: call it with dt=1.0, or convert the Norse "
                "module itself.",
            )


def _all_nodes(graph: nir.NIRGraph, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every node with the name that it has in the flat graph."""
    nodes: Mapping[str, Any] = graph.nodes
    for name, node in nodes.items():
        if isinstance(node, nir.NIRGraph):
            yield from _all_nodes(node, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", node
