"""Network: the float network in continuous time, as the front ends deliver it.

Populations carry NIR's neuron fields; projections carry the composed linear map between two
populations. Everything is frozen; a pass takes a Network and returns another value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.connections import Connection
from snn_deploy.network.contract import Contract
from snn_deploy.network.neurons import Neuron


@dataclass(frozen=True)
class Input:
    """A source of spikes: name and shape (without samples and steps).

    message_bits: 0 for spikes of 0/1; otherwise the width of signed integers (graded spikes).
    """

    name: str
    shape: tuple[int, ...]
    message_bits: int = 0


@dataclass(frozen=True)
class Output:
    """A read-out: its name, and the node of the graph whose neurons it reads."""

    name: str
    node: str


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one NIR node, with its parameters broadcast to ``shape``."""

    name: str
    shape: tuple[int, ...]
    neuron: Neuron


@dataclass(frozen=True, eq=False)
class Projection:
    """All synapses from one source (an input or a population) to one population along one path.

    bias: constant drive on the target, shape (neurons out,), or None.
    delay: steps between source and target in the network's own time: 0 forward, 1 over a cycle,
    more where the graph has Delay nodes.
    path: the graph's nodes that were composed into this projection.
    """

    name: str
    source: str
    target: str
    connection: Connection
    bias: FloatArray | None
    delay: int
    path: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Network:
    """Inputs, populations, projections and outputs, with the contract that gives them discrete time."""

    contract: Contract
    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[Output, ...]
    provenance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
