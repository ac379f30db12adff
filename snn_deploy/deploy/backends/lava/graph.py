"""The Lava process graph of a network, as plain values: what the worker builds, process by process.

One LIF (or LIFReset) a population, one Dense, Sparse, DelayDense, DelaySparse or Conv a projection,
and at the edges a Source an input and a Sink a population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.convert.arrays import AnyArray
from snn_deploy.convert.connections import Dense, synapses
from snn_deploy.convert.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.convert.schedule import lava_delay
from snn_deploy.deploy.backends.lava.leadin import LeadIn, solve
from snn_deploy.deploy.backends.lava.plan import Plan

#: A DelayDense holds at most this delay (Lava refuses more: Loihi 2 has 6 bits).
MAX_LAVA_DELAY = 63


@dataclass(frozen=True, eq=False)
class Process:
    """One Lava process: its name, its class, and the arguments of its constructor.

    switch: what to set after Lava step ``after``, variable name -> values.
    """

    name: str
    kind: str
    scalars: Mapping[str, Any]
    arrays: Mapping[str, AnyArray] = field(default_factory=dict)
    after: int = 0
    switch: Mapping[str, AnyArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Wire:
    """A connection from an out-port to an in-port: (process, port) twice."""

    source: tuple[str, str]
    target: tuple[str, str]


@dataclass(frozen=True, eq=False)
class ProcessGraph:
    """Processes in the order of the network, and the wires between their ports."""

    processes: tuple[Process, ...]
    wires: tuple[Wire, ...]


def process_graph(network: QuantisedNetwork, plan: Plan) -> ProcessGraph:
    """Return the processes and wires that run ``network`` under ``plan``."""
    processes: list[Process] = []
    wires: list[Wire] = []
    for node in network.inputs:
        neurons = int(np.prod(node.shape)) * plan.copies
        processes.append(Process(f"source {node.name}", "Source", {"neurons": neurons}))
    for population in network.populations:
        processes.append(_neurons(population, plan))
    inputs = {node.name for node in network.inputs}
    for edge in network.projections:
        processes.append(_synapses(edge, plan))
        source = f"source {edge.source}" if edge.source in inputs else edge.source
        wires.append(Wire((source, "s_out"), (edge.name, "s_in")))
        wires.append(Wire((edge.name, "a_out"), (edge.target, "a_in")))
    for population in network.populations:
        name = f"sink {population.name}"
        latency = plan.depth[population.name]
        neurons = population.neurons * plan.copies
        processes.append(Process(name, "Sink", {"neurons": neurons, "latency": latency}))
        wires.append(Wire((population.name, "s_out"), (name, "s_in")))
    return ProcessGraph(tuple(processes), tuple(wires))


def _neurons(population: QuantisedPopulation, plan: Plan) -> Process:
    depth = plan.depth[population.name]
    scalars = {
        "neurons": population.neurons * plan.copies,
        "du": population.du,
        "dv": population.dv,
        "vth": population.vth,
    }
    arrays = {"bias_mant": population.bias_mant, "bias_exp": population.bias_exp}
    if plan.chunks > 1:
        scalars |= {"reset_interval": plan.interval, "reset_offset": depth + 1}
        return Process(population.name, "LIFReset", scalars, _tiled(arrays, plan.copies))
    lead_in = solve(population, depth)
    if not lead_in.switched:
        arrays |= {"u": lead_in.u, "v": lead_in.v}
        return Process(population.name, "LIF", scalars, _tiled(arrays, plan.copies))
    switch = {"bias_mant": population.bias_mant, **_state(lead_in)}
    switch = {name: values for name, values in switch.items() if values.any()}
    arrays["bias_mant"] = np.zeros_like(population.bias_mant)
    return Process(
        population.name, "LIF", scalars, _tiled(arrays, plan.copies), depth, _tiled(switch, plan.copies)
    )


def _state(lead_in: LeadIn) -> dict[str, AnyArray]:
    return {"u": lead_in.u, "v": lead_in.v}


def _tiled(arrays: Mapping[str, AnyArray], copies: int) -> dict[str, AnyArray]:
    return {name: np.tile(values, copies) for name, values in arrays.items()}


def _synapses(edge: QuantisedProjection, plan: Plan) -> Process:
    scalars: dict[str, Any] = {
        "weight_exp": edge.weight_exp,
        "num_weight_bits": edge.weight_bits,
        "sign_mode": edge.sign.upper(),
        "num_message_bits": edge.message_bits,
    }
    delay = lava_delay(edge, dict(plan.depth))
    if delay:
        scalars["delay"] = delay
    if isinstance(edge.connection, Dense) and plan.copies == 1:
        kind = "DelayDense" if delay else "Dense"
        return Process(edge.name, kind, scalars, {"weights": edge.connection.weight})
    if plan.copies > 1:
        # A product with 0/1 is that of graded spikes, and Sparse's graded path skips slicing columns.
        scalars["num_message_bits"] = max(edge.message_bits, 1)
    matrix = synapses(edge.connection)
    scalars |= {"shape": list(matrix.shape), "copies": plan.copies}
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    return Process(edge.name, "DelaySparse" if delay else "Sparse", scalars, arrays)
