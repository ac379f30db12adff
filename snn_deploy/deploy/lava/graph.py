"""The Lava process graph of a network, as plain values: what the worker builds, process by process.

One LIF (or LIFReset, or SubtractiveLIF) a population, one Dense, Sparse, DelayDense, DelaySparse or Conv a
projection, and at the edges a Source an input, one Sink for all populations, and one Probe for those that
are read by their v.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snn_deploy.deploy.lava.leadin import LeadIn, solve
from snn_deploy.deploy.lava.plan import Plan
from snn_deploy.network.arrays import AnyArray
from snn_deploy.network.connections import Conv2d, Dense, synapses
from snn_deploy.network.integers import COMPLETE_DU, COMPLETE_DV, STATE_LIMIT
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.network.schedule import lava_delay

#: How a run is read, see :func:`process_graph`.

#: A DelayDense holds at most this delay (Lava refuses more: Loihi 2 has 6 bits).
MAX_LAVA_DELAY = 63
#: Name of the process that records all populations, in the network's order.
SINK = "sink"
#: Name of the process that records v of read-outs that never spike.
PROBE = "probe"


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
    """A connection from an out-port to an in-port, or from a variable to a ref-port: (process, port) twice.

    view: how the message is seen on its way, in order: ("reshape", shape) or ("transpose", axes).
    """

    source: tuple[str, str]
    target: tuple[str, str]
    view: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True, eq=False)
class ProcessGraph:
    """Processes in the order of the network, and the wires between their ports."""

    processes: tuple[Process, ...]
    wires: tuple[Wire, ...]


#: Called with the network, the plan, the processes and wires so far, which it extends, and the neurons of
#: each process by name.
AddSinks = Callable[[QuantisedNetwork, Plan, list[Process], list[Wire], Mapping[str, int]], None]


def process_graph(network: QuantisedNetwork, plan: Plan, add_sinks: AddSinks | None = None) -> ProcessGraph:
    """Return the processes and wires that run ``network`` under ``plan``.

    add_sinks: adds what records; None records into files everything that a result needs.
    """
    processes: list[Process] = []
    wires: list[Wire] = []
    sizes: dict[str, int] = {}
    driving = {edge.source for edge in network.projections}
    for node in (node for node in network.inputs if node.name in driving):
        sizes[f"source {node.name}"] = neurons = int(np.prod(node.shape)) * plan.copies
        scalars = {"neurons": neurons, "message_bits": node.message_bits}
        processes.append(Process(f"source {node.name}", "Source", scalars))
    for population in network.populations:
        sizes[population.name] = population.neurons * plan.copies
        process = _neurons(population, plan)
        subtracts = population.spiking and population.reset == "subtract"
        processes.append(replace(process, kind="SubtractiveLIF") if subtracts else process)
    inputs = {node.name for node in network.inputs}
    relays, relayed = _Relays(processes, wires, sizes), _worth_relays(network, plan)
    for edge in network.projections:
        source = f"source {edge.source}" if edge.source in inputs else edge.source
        delay = lava_delay(edge, dict(plan.depth))
        if edge.source in relayed and edge.message_bits == 0:
            source, delay = relays.tap(source, delay), 0
        elif delay > MAX_LAVA_DELAY:
            source, delay = relays.tap(source, delay - MAX_LAVA_DELAY), MAX_LAVA_DELAY
        process = _synapses(edge, plan, delay)
        processes.append(process)
        before, after = _views(edge, process.kind)
        wires.append(Wire((source, "s_out"), (edge.name, "s_in"), before))
        wires.append(Wire((edge.name, "a_out"), (edge.target, "a_in"), after))
    (add_sinks or _record)(network, plan, processes, wires, sizes)
    return ProcessGraph(tuple(processes), tuple(wires))


def _record(
    network: QuantisedNetwork,
    plan: Plan,
    processes: list[Process],
    wires: list[Wire],
    sizes: Mapping[str, int],
) -> None:
    """Add the Sink of all populations, and the Probe of those that are read by their v."""
    everyone = [population.name for population in network.populations]
    read = [population.name for population in network.populations if not population.spiking]
    for recorder, kind, names, variable, port in (
        (SINK, "Sink", everyone, "s_out", "in"),
        (PROBE, "Probe", read, "v", "var"),
    ):
        if names:
            latencies = [plan.depth[name] for name in names]
            scalars = {"neurons": [sizes[name] for name in names], "latencies": latencies}
            processes.append(Process(recorder, kind, scalars))
            wires += [Wire((name, variable), (recorder, f"{port}{i}")) for i, name in enumerate(names)]


def _worth_relays(network: QuantisedNetwork, plan: Plan) -> set[str]:
    """Sources whose delays are cheaper as a chain of relays than as DelaySparse.

    DelaySparse rebuilds its matrices every step, measured as 0.3 microseconds a synapse and 20 ns more for
    each step of delay; a relay costs its two processes, 0.8 ms. One copy uses DelayDense, which is faster.
    """
    if plan.copies == 1:
        return set()
    saved: dict[str, float] = {}
    longest: dict[str, int] = {}
    for edge in network.projections:
        delay = lava_delay(edge, dict(plan.depth))
        if delay:
            stored = synapses(edge.connection).nnz * plan.copies
            saved[edge.source] = saved.get(edge.source, 0.0) + stored * (3e-7 + 2e-8 * delay)
            longest[edge.source] = max(longest.get(edge.source, 0), delay)
    return {source for source, seconds in saved.items() if seconds > 8e-4 * longest[source]}


class _Relays:
    """Spikes passed on one Lava step later, by an identity and a LIF without memory; one chain a source."""

    def __init__(self, processes: list[Process], wires: list[Wire], sizes: dict[str, int]) -> None:
        self._processes, self._wires, self._sizes = processes, wires, sizes
        self._chains: dict[str, list[str]] = {}

    def tap(self, source: str, delay: int) -> str:
        """Return the process that repeats ``source`` ``delay`` Lava steps later."""
        chain = self._chains.setdefault(source, [source])
        while len(chain) <= delay:
            name = f"{source} +{len(chain)}"
            self._relay(chain[-1], name, self._sizes[source])
            chain.append(name)
        return chain[delay]

    def _relay(self, source: str, name: str, neurons: int) -> None:
        every = np.arange(neurons + 1)
        identity = {"data": np.ones(neurons, dtype=np.int64), "indices": every[:-1], "indptr": every}
        wire = f"{name} wire"
        options = {"weight_exp": 0, "num_weight_bits": 8, "sign_mode": "EXCITATORY", "num_message_bits": 1}
        shape = {"shape": [neurons, neurons], "copies": 1}
        self._processes.append(Process(wire, "Sparse", {**options, **shape}, identity))
        memoryless = {"neurons": neurons, "du": COMPLETE_DU, "dv": COMPLETE_DV, "vth": 0}
        self._processes.append(Process(name, "LIF", memoryless))
        self._wires.append(Wire((source, "s_out"), (wire, "s_in")))
        self._wires.append(Wire((wire, "a_out"), (name, "a_in")))


def _neurons(population: QuantisedPopulation, plan: Plan) -> Process:
    depth = plan.depth[population.name]
    scalars = {"neurons": population.neurons * plan.copies}
    arrays: dict[str, AnyArray] = {"bias_mant": population.bias_mant, "bias_exp": population.bias_exp}
    for key in ("du", "dv", "vth"):
        value = getattr(population, key)  # an array where populations were merged
        (arrays if isinstance(value, np.ndarray) else scalars)[key] = value
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


def _synapses(edge: QuantisedProjection, plan: Plan, delay: int) -> Process:
    scalars: dict[str, Any] = {
        "weight_exp": edge.weight_exp,
        "num_weight_bits": edge.weight_bits,
        "sign_mode": edge.sign.upper(),
        "num_message_bits": edge.message_bits,
    }
    if delay:
        scalars["delay"] = delay
    if isinstance(edge.connection, Dense) and plan.copies == 1:
        kind = "DelayDense" if delay else "Dense"
        return Process(edge.name, kind, scalars, {"weights": edge.connection.weight})
    if plan.copies > 1:
        # A product with 0/1 is that of graded spikes, and Sparse's graded path skips slicing columns.
        scalars["num_message_bits"] = max(edge.message_bits, 1)
    if isinstance(edge.connection, Conv2d) and plan.copies == 1 and not delay and _suits_conv(edge):
        return _convolution(edge.name, edge.connection, scalars)
    matrix = synapses(edge.connection)
    scalars |= {"shape": list(matrix.shape), "copies": plan.copies}
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    return Process(edge.name, "DelaySparse" if delay else "Sparse", scalars, arrays)


def _suits_conv(edge: QuantisedProjection) -> bool:
    """Whether Lava's Conv computes this: it ignores the exponent, wraps at 24 bits, has int8 sizes."""
    conv = edge.connection
    if not isinstance(conv, Conv2d):
        return False
    reach = [d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.weight.shape[2:], strict=True)]
    sums = np.abs(conv.weight).sum(axis=(1, 2, 3))
    fits = max(*reach, *conv.stride, *conv.padding, conv.groups) <= np.iinfo(np.int8).max
    exact = int(sums.max(initial=0)) < STATE_LIMIT
    return edge.weight_exp == 0 and edge.message_bits == 0 and fits and exact


def _convolution(name: str, conv: Conv2d, scalars: Mapping[str, Any]) -> Process:
    """Lava's Conv sees (height, width, channels) and flips its kernel, as a true convolution does."""
    channels, height, width = conv.input_shape
    geometry = {
        "input_shape": [height, width, channels],
        "stride": list(conv.stride),
        "padding": list(conv.padding),
        "dilation": list(conv.dilation),
        "groups": conv.groups,
    }
    kernel = np.ascontiguousarray(conv.weight[:, :, ::-1, ::-1].transpose(0, 2, 3, 1))
    return Process(name, "Conv", {**scalars, **geometry}, {"weight": kernel})


def _views(
    edge: QuantisedProjection, kind: str
) -> tuple[tuple[tuple[str, tuple[int, ...]], ...], tuple[tuple[str, tuple[int, ...]], ...]]:
    """Between our flat (channels, height, width) and Conv's (height, width, channels)."""
    if kind != "Conv" or not isinstance(edge.connection, Conv2d):
        return (), ()
    size = int(np.prod(edge.connection.output_shape))
    before = (("reshape", edge.connection.input_shape), ("transpose", (1, 2, 0)))
    return before, (("transpose", (2, 0, 1)), ("reshape", (size,)))
