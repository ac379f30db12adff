"""The walk over a graph: from each population back to the sources whose spikes drive it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import nir
import numpy as np

from snn_deploy.convert.canonical import canonical
from snn_deploy.convert.compose import identity
from snn_deploy.convert.lowering.cycles import delay_cycles
from snn_deploy.convert.lowering.signal import CONSTANT, Path, Shape, Signal, joined, merge
from snn_deploy.convert.lowering.transform import (
    require_shape,
    spread,
    stated_shape,
    transform,
    unsupported,
    widened,
)
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.arrays import frozen
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input, Network, Output, Population, Projection
from snn_deploy.network.neurons import LIF, MODELS, Neuron

#: Widths of graded spikes, a sign among the bits; Lava carries up to 24.
_MESSAGE_BITS = (2, 25)


@dataclass(frozen=True, eq=False)
class Lowered:
    """The network, the canonical graph it was read from, and the shape that each node sends."""

    network: Network
    graph: nir.NIRGraph
    shapes: dict[str, Shape]


def lower(graph: nir.NIRGraph, contract: Contract, provenance: dict[str, Any] | None = None) -> Network:
    """Lower a NIR graph under a contract.

    Raises ModelNotSupported with everything that Loihi cannot hold: node types without a lowering, values
    and shapes without meaning, membranes that drive other nodes, outputs that read no neurons.
    """
    return lower_graph(graph, contract, provenance).network


def lower_graph(graph: nir.NIRGraph, contract: Contract, provenance: dict[str, Any] | None = None) -> Lowered:
    """As :func:`lower`, with the canonical graph and the shapes that were worked out."""
    flat = canonical(graph)
    violations = [
        unsupported(name, node)
        for name, node in flat.nodes.items()
        if not isinstance(node, nir.Input | nir.Output)
        and type(node).__name__ not in MODELS
        and transform.dispatch(type(node)) is transform.dispatch(object)
    ]
    if violations:
        raise ModelNotSupported(violations)
    walk = _Walk(flat, contract)
    network = walk.network(provenance or {})
    return Lowered(network, flat, {name: signal.shape for name, signal in walk.sent.items()})


class _Walk:
    def __init__(self, graph: nir.NIRGraph, contract: Contract) -> None:
        self.nodes: dict[str, nir.NIRNode] = graph.nodes
        self.contract = contract
        self.before: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in graph.edges:
            self.before[target].append(source)
        self.sent: dict[str, Signal] = {}
        self.failed: dict[str, ModelNotSupported] = {}
        self.open_nodes: list[str] = []
        self.violations: list[Violation] = []

    def network(self, provenance: dict[str, Any]) -> Network:
        for name in self.upstream_first():
            with suppress(ModelNotSupported):  # what needs the node meets the error again
                self.leaving(name)
        inputs = tuple(self.input(name, n) for name, n in self.nodes.items() if isinstance(n, nir.Input))
        populations = []
        for name, node in self.nodes.items():
            if type(node).__name__ in MODELS and self.try_leaving(name) is not None:
                populations.append(self.population(name, node))
        edges = [edge for population in populations for edge in self.projections(population)]
        if any(edge.source == CONSTANT for edge in edges):
            populations.append(_constant(self.contract.dt))
        outputs = [self.output(name) for name, node in self.nodes.items() if isinstance(node, nir.Output)]
        self.check_membranes(edges, populations)
        if self.violations:
            raise ModelNotSupported(dict.fromkeys(self.violations))
        return Network(
            self.contract,
            inputs,
            tuple(populations),
            delay_cycles(
                _unique_names(edges),
                [*(node.name for node in inputs), CONSTANT],
                self.contract.recurrent_delay,
            ),
            tuple(output for output in outputs if output is not None),
            MappingProxyType(provenance),
        )

    def input(self, name: str, node: nir.Input) -> Input:
        shape = stated_shape(node.output_type, "output")
        bits = (node.metadata or {}).get("message_bits", 0)
        if bits != 0 and bits not in range(*_MESSAGE_BITS):
            self.violations.append(
                Violation(
                    "bad message_bits", where=name, found=str(bits), allowed="0 (spikes), or 2 to 24 bits"
                )
            )
            bits = 0
        return Input(name, shape or (), int(bits))

    def population(self, name: str, node: nir.NIRNode) -> Population:
        model, shape = MODELS[type(node).__name__], self.sent[name].shape
        values = {
            f.name: frozen(spread(getattr(node, f.name), shape).reshape(-1), np.float64)
            for f in fields(model)
        }
        neuron: Neuron = model(**values)
        self.violations += neuron.violations(name, self.contract.dt)
        return Population(name, shape, neuron)

    def projections(self, population: Population) -> list[Projection]:
        try:
            signal = self.arriving(population.name)
        except ModelNotSupported as error:
            self.violations += error.violations
            return []
        edges = []
        bias = signal.bias  # the summed bias is one drive: the first projection carries it
        for path in signal.paths:
            name = "/".join(path.nodes) or f"{path.source}->{population.name}"
            connection = path.connection or identity(signal.size)
            edges.append(
                Projection(name, path.source, population.name, connection, bias, path.delay, path.nodes)
            )
            bias = None
        return edges

    def output(self, name: str) -> Output | None:
        """An output reads the spikes, or the membranes, of one population; only their shape may change."""
        try:
            signal = self.arriving(name)
        except ModelNotSupported as error:
            self.violations += error.violations
            return None
        plain = len(signal.paths) == 1 and signal.bias is None
        path = signal.paths[0]
        if (
            not plain
            or path.connection is not None
            or path.delay
            or path.source not in self.nodes
            or isinstance(self.nodes[path.source], nir.Input)
        ):
            self.violations.append(
                Violation(
                    "an output must read the spikes or membranes of exactly one population, unchanged",
                    where=name,
                    found=", ".join(self.before[name]),
                    remedy="Connect the Output node to a neuron node: LI or CubaLI reads out a weighted sum.",
                )
            )
            return None
        return Output(name, path.source)

    def check_membranes(self, edges: list[Projection], populations: list[Population]) -> None:
        silent = {p.name: type(p.neuron).__name__ for p in populations if not p.neuron.spiking()}
        self.violations += [
            Violation(
                "a membrane potential drives other neurons; Loihi sends spikes only",
                where=edge.source,
                found=f"{silent[edge.source]} -> {edge.target}",
                allowed="LI, CubaLI and I as read-outs, connected to an Output node",
            )
            for edge in edges
            if edge.source in silent
        ]

    def arriving(self, name: str) -> Signal:
        """The sum of what all predecessors of a node send."""
        signals = [self.leaving(source) for source in self.before[name]]
        shapes = {signal.shape for signal in signals}
        if len(shapes) > 1:
            raise ModelNotSupported(
                "what arrives differs in shape, so it cannot be added",
                where=name,
                found=", ".join(f"{s} {self.sent[s].shape}" for s in self.before[name]),
            )
        signal = merge(signals)
        own = self.own_shape(name)
        if own is None:
            return signal
        if type(self.nodes[name]).__name__ in MODELS:
            own = widened(own, signal.shape)
        require_shape(signal, own, name)
        return replace(signal, shape=own)

    def try_leaving(self, name: str) -> Signal | None:
        try:
            return self.leaving(name)
        except ModelNotSupported as error:
            self.violations += error.violations
            return None

    def upstream_first(self) -> list[str]:
        """All nodes, each after those that it needs but for cycles, so that no walk goes deep."""
        order: list[str] = []
        seen: set[str] = set()
        for end in self.nodes:
            waiting = [(end, False)]
            while waiting:
                name, ready = waiting.pop()
                if ready:
                    order.append(name)
                elif name not in seen:
                    seen.add(name)
                    waiting += [(name, True), *((source, False) for source in self.before[name])]
        return order

    def leaving(self, name: str) -> Signal:
        if name in self.failed:
            raise self.failed[name]
        try:
            return self.worked_out(name)
        except ModelNotSupported as error:
            if not self.open_nodes:  # inside a cycle, another way may still lead to an answer
                self.failed[name] = error
            raise

    def worked_out(self, name: str) -> Signal:
        if name in self.sent:
            return self.sent[name]
        node = self.nodes[name]
        if isinstance(node, nir.Input) or type(node).__name__ in MODELS:
            self.sent[name] = Signal(self.source_shape(name), (Path(name),))
            return self.sent[name]
        if name in self.open_nodes:
            cycle = [*self.open_nodes[self.open_nodes.index(name) :], name]
            raise ModelNotSupported("a cycle without a neuron has no time step", where=" -> ".join(cycle))
        self.open_nodes.append(name)
        try:
            self.sent[name] = transform(node, name, joined(self.arriving(name)), self.contract)
        finally:
            self.open_nodes.pop()
        return self.sent[name]

    def own_shape(self, name: str) -> Shape | None:
        """The shape that a node's fields state, None where they fit any."""
        node = self.nodes[name]
        if isinstance(node, nir.Input | nir.Output):
            return stated_shape(node.output_type, "output")
        model = MODELS.get(type(node).__name__)
        if model is None:
            return None
        try:
            shape = np.broadcast_shapes(*(np.shape(getattr(node, f.name)) for f in fields(model)))
        except ValueError as error:
            raise ModelNotSupported("the parameters differ in shape", where=name, found=str(error)) from None
        return tuple(int(n) for n in shape) or None

    def source_shape(self, name: str) -> Shape:
        """The shape of a source. A neuron's parameters of size 1 are as wide as what arrives."""
        own = self.own_shape(name)
        if own is not None and (1 not in own or isinstance(self.nodes[name], nir.Input)):
            return own
        unknown = ModelNotSupported("the width of this population is not stated", where=name)
        if name in self.open_nodes:
            raise unknown
        self.open_nodes.append(name)
        try:
            for source in self.before[name]:  # over a cycle the width is the one in question: try the others
                try:
                    arriving = self.leaving(source).shape
                    return arriving if own is None else widened(own, arriving)
                except ModelNotSupported as error:
                    unknown = error
        finally:
            self.open_nodes.pop()
        if own is not None:
            return own
        raise unknown


def _constant(dt: float) -> Population:
    """A neuron that forgets within a step and rests above its threshold, so that it spikes in every step."""
    one, none = frozen(np.ones(1), np.float64), frozen(np.zeros(1), np.float64)
    return Population(CONSTANT, (1,), LIF(tau=dt * one, r=one, v_leak=one, v_threshold=one / 2, v_reset=none))


def _unique_names(edges: list[Projection]) -> list[Projection]:
    """Projections of one path to several populations, or from several sources, are told apart."""
    count = Counter(edge.name for edge in edges)
    told = [replace(e, name=f"{e.name}[{e.source}->{e.target}]") if count[e.name] > 1 else e for e in edges]
    count = Counter(edge.name for edge in told)
    return [replace(e, name=f"{e.name}+{e.delay}") if count[e.name] > 1 else e for e in told]
