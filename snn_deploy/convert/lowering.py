"""Lowering: a NIR graph becomes a Network of populations and projections.

Neurons become populations; every path of linear nodes between an input or a population and a
population is composed into one projection. Each primitive has one function, registered on its NIR
class, that accounts for each of its fields; a class without one is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import singledispatch
from types import MappingProxyType
from typing import Any

import nir
import numpy as np

from snn_deploy.convert import neurons
from snn_deploy.convert.arrays import FloatArray, frozen
from snn_deploy.convert.connections import Connection, Dense, size
from snn_deploy.convert.contract import Contract
from snn_deploy.convert.network import Input, Network, Output, Population, Projection
from snn_deploy.errors import ModelNotSupported, Violation


@dataclass(frozen=True)
class Path:
    """Linear nodes passed so far between ``source`` and here; connection None is the identity."""

    source: str
    connection: Connection | None = None
    delay: int = 0
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signal:
    """What arrives at a node: one path per route from a source, and the summed bias."""

    paths: tuple[Path, ...]
    bias: FloatArray | None = None


@singledispatch
def neuron(node: nir.NIRNode, name: str) -> neurons.Neuron | None:
    """Return the neuron model of a NIR node, or None where the node is no neuron."""
    return None


@neuron.register
def _(node: nir.LIF, name: str) -> neurons.Neuron:
    return neurons.LIF(**_parameters(node, ("tau", "r", "v_leak", "v_threshold", "v_reset")))


@neuron.register
def _(node: nir.CubaLIF, name: str) -> neurons.Neuron:
    return neurons.CubaLIF(
        **_parameters(node, ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"))
    )


@singledispatch
def transform(node: nir.NIRNode, name: str, signal: Signal, contract: Contract) -> Signal:
    """Pass a signal through a linear node. To add one, register it here."""
    raise ModelNotSupported(_unsupported(name, node))


@transform.register
def _(node: nir.Linear, name: str, signal: Signal, contract: Contract) -> Signal:
    return _apply_matrix(_matrix(node, name), name, signal)


@transform.register
def _(node: nir.Affine, name: str, signal: Signal, contract: Contract) -> Signal:
    weight = _matrix(node, name)
    if node.bias.shape != weight.shape[:1]:
        raise ModelNotSupported(
            "the bias does not match the weight rows",
            where=name,
            found=node.bias.shape,
            allowed=weight.shape[:1],
        )
    passed = _apply_matrix(weight, name, signal)
    own = np.asarray(node.bias, dtype=np.float64)
    return replace(passed, bias=own if passed.bias is None else passed.bias + own)


def lower(graph: nir.NIRGraph, contract: Contract, provenance: dict[str, Any] | None = None) -> Network:
    """Lower a NIR graph under a contract.

    Raises ModelNotSupported with every node that has no lowering, is not finite, or whose wiring
    has no meaning on Loihi (an input read out without a neuron, spikes joined without weights).
    """
    _refuse_unsupported(graph)
    return _Lowering(graph, contract).network(provenance or {})


@dataclass
class _Lowering:
    graph: nir.NIRGraph
    contract: Contract
    signals: dict[str, Signal] = field(default_factory=dict)
    open_nodes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before: dict[str, list[str]] = {name: [] for name in self.graph.nodes}
        for source, target in self.graph.edges:
            self.before[target].append(source)
        self.models = {name: neuron(node, name) for name, node in self.graph.nodes.items()}

    def network(self, provenance: dict[str, Any]) -> Network:
        nodes = self.graph.nodes
        inputs = tuple(
            Input(k, _shape(n.output_type["output"])) for k, n in nodes.items() if isinstance(n, nir.Input)
        )
        populations = tuple(
            Population(name, _shape(nodes[name].output_type["output"]), model)
            for name, model in self.models.items()
            if model is not None
        )
        projections = _delay_cycles(
            [edge for population in populations for edge in self.projections(population)],
            [node.name for node in inputs],
            self.contract.recurrent_delay,
        )
        outputs = tuple(self.output(name) for name, node in nodes.items() if isinstance(node, nir.Output))
        return Network(self.contract, inputs, populations, projections, outputs, MappingProxyType(provenance))

    def projections(self, population: Population) -> list[Projection]:
        signal = self.arriving(population.name)
        if not signal.paths:
            raise ModelNotSupported("no input reaches this population", where=population.name)
        edges = []
        for i, path in enumerate(signal.paths):
            if path.connection is None:
                connection: Connection = Dense(frozen(np.eye(int(np.prod(population.shape))), np.float64))
            else:
                connection = path.connection
            expected = int(np.prod(population.shape))
            if size(connection)[0] != expected:
                raise ModelNotSupported(
                    "the weights do not match the neurons they drive",
                    where=population.name,
                    found=f"{size(connection)[0]} rows",
                    allowed=f"{expected} neurons",
                )
            name = "/".join(path.nodes) if path.nodes else f"{path.source}->{population.name}"
            bias = signal.bias if i == 0 else None  # the summed bias is one drive: it is carried once
            edges.append(
                Projection(name, path.source, population.name, connection, bias, path.delay, path.nodes)
            )
        return _unique_names(edges)

    def output(self, name: str) -> Output:
        sources = self.before[name]
        if len(sources) != 1 or self.models[sources[0]] is None:
            raise ModelNotSupported(
                "an output must read the spikes of exactly one population",
                where=name,
                found=sources or "nothing",
                remedy="Connect the Output node to a neuron node.",
            )
        return Output(name, sources[0])

    def arriving(self, name: str) -> Signal:
        """The sum of what all predecessors of a node send."""
        paths: tuple[Path, ...] = ()
        bias: FloatArray | None = None
        for source in self.before[name]:
            sent = self.leaving(source)
            paths += sent.paths
            if sent.bias is not None:
                bias = sent.bias if bias is None else bias + sent.bias
        return Signal(paths, bias)

    def leaving(self, name: str) -> Signal:
        node = self.graph.nodes[name]
        if self.models[name] is not None or isinstance(node, nir.Input):
            return Signal((Path(name),))
        if name not in self.signals:
            if name in self.open_nodes:
                cycle = [*self.open_nodes[self.open_nodes.index(name) :], name]
                raise ModelNotSupported("a cycle without a neuron has no time step", where=" -> ".join(cycle))
            self.open_nodes.append(name)
            self.signals[name] = transform(node, name, self.arriving(name), self.contract)
            self.open_nodes.pop()
        return self.signals[name]


def _delay_cycles(edges: list[Projection], inputs: list[str], delay: int) -> tuple[Projection, ...]:
    """Add the contract's recurrent delay to each edge that closes a cycle, seen from the inputs."""
    following: dict[str, list[int]] = {}
    for i, edge in enumerate(edges):
        following.setdefault(edge.source, []).append(i)
    closing: set[int] = set()
    done: set[str] = set()
    for start in [*inputs, *(edge.source for edge in edges)]:
        if start in done:
            continue
        on_path = {start}
        stack = [(start, iter(following.get(start, [])))]
        while stack:
            name, rest = stack[-1]
            index = next(rest, None)
            if index is None:
                stack.pop()
                on_path.discard(name)
                done.add(name)
                continue
            target = edges[index].target
            if target in on_path:
                closing.add(index)
            elif target not in done:
                on_path.add(target)
                stack.append((target, iter(following.get(target, []))))
    return tuple(replace(e, delay=e.delay + delay) if i in closing else e for i, e in enumerate(edges))


def _apply_matrix(weight: FloatArray, name: str, signal: Signal) -> Signal:
    paths = []
    for path in signal.paths:
        connection: Connection = Dense(weight)
        if path.connection is not None:
            if not isinstance(path.connection, Dense):
                raise ModelNotSupported("these two linear nodes cannot be composed", where=name)
            if path.connection.weight.shape[0] != weight.shape[1]:
                raise ModelNotSupported(
                    "the weight columns do not match what arrives",
                    where=name,
                    found=f"{weight.shape[1]} columns",
                    allowed=f"{path.connection.weight.shape[0]}",
                )
            connection = Dense(frozen(weight @ path.connection.weight, np.float64))
        paths.append(replace(path, connection=connection, nodes=(*path.nodes, name)))
    bias = None if signal.bias is None else weight @ signal.bias
    return Signal(tuple(paths), bias)


def _matrix(node: Any, name: str) -> FloatArray:
    weight = frozen(node.weight, np.float64)
    if weight.ndim != 2 or 0 in weight.shape:
        raise ModelNotSupported(
            "a weight must be a matrix with at least one row and column",
            where=name,
            found=f"shape {weight.shape}",
            allowed="(neurons out, neurons in)",
        )
    return weight


def _parameters(node: nir.NIRNode, names: tuple[str, ...]) -> dict[str, FloatArray]:
    shape = tuple(int(n) for n in np.atleast_1d(node.output_type["output"]))
    return {n: frozen(np.broadcast_to(getattr(node, n), shape).reshape(-1), np.float64) for n in names}


def _shape(node_type: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.atleast_1d(node_type))


def _unique_names(edges: list[Projection]) -> list[Projection]:
    names = [edge.name for edge in edges]
    return [replace(e, name=f"{e.name}[{e.source}]") if names.count(e.name) > 1 else e for e in edges]


def _refuse_unsupported(graph: nir.NIRGraph) -> None:
    violations = []
    for name, node in graph.nodes.items():
        known = isinstance(node, nir.Input | nir.Output) or neuron.dispatch(
            type(node)
        ) is not neuron.dispatch(object)
        if not known and transform.dispatch(type(node)) is transform.dispatch(object):
            violations.append(_unsupported(name, node)[0])
        for key in ("weight", "bias"):
            values = getattr(node, key, None)
            if values is not None and not np.all(np.isfinite(values)):
                violations.append(Violation(f"{key} is not finite", where=name, found="NaN or infinity"))
    if violations:
        raise ModelNotSupported(violations)


def _unsupported(name: str, node: nir.NIRNode) -> list[Violation]:
    allowed = sorted(
        cls.__name__
        for cls in (*neuron.registry, *transform.registry, nir.Input, nir.Output)
        if cls not in (object, nir.NIRNode)
    )
    return [
        Violation(
            "this node type has no lowering to Loihi",
            where=name,
            found=type(node).__name__,
            allowed=", ".join(allowed),
        )
    ]
