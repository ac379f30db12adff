"""What the sample against Lava needs: Lava's raw time line, a choice of steps, and a record of coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snn_deploy.deploy.lava.graph import PROBE, SINK, Process, ProcessGraph, Wire, process_graph
from snn_deploy.deploy.lava.guard import Limits, run_guarded
from snn_deploy.deploy.lava.interpreter import find_interpreter
from snn_deploy.deploy.lava.job import job_folder, lay_out, take_apart, write_job
from snn_deploy.deploy.lava.plan import Plan
from snn_deploy.engine.fixed.bounds import bounds, reasons_against
from snn_deploy.engine.fixed.prepared import Reset
from snn_deploy.network.connections import Dense, synapses, weights
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.network.schedule import depths, lava_delay

#: Seconds a Lava step: of a process, of a synapse, of a delayed synapse and for each step of its delay,
#: in DelayDense and in DelaySparse, which samples side by side need.
_PROCESS, _SYNAPSE = 4e-4, 1e-9
_DELAYED = {True: (3e-9, 3e-9), False: (3e-7, 2e-8)}


def timeline(
    network: QuantisedNetwork, rows: Mapping[str, Any], resets: Mapping[str, Reset]
) -> tuple[dict[str, Any], dict[str, Any], ProcessGraph]:
    """Run stock Lava from its first step to its last, with nothing done about its latencies.

    rows: input -> (copies, Lava steps, neurons). resets: populations that are a LIFReset, the others are
    a LIF. Returns (spikes, v), population -> (copies, Lava steps, neurons), and what Lava ran.
    """
    copies, steps = next(iter(rows.values())).shape[:2]
    layout = Plan(copies, 1, 1, steps, steps, depths(network))
    record = replace(layout, depth=dict.fromkeys(layout.depth, 0))
    graph = _raw(network, process_graph(network, layout), resets, copies)
    with job_folder() as folder:
        laid = {f"source {name}": lay_out(raster, record) for name, raster in rows.items()}
        files = write_job(folder, graph, record, laid)
        run_guarded(find_interpreter(), folder, Limits())
        recorded = {key: take_apart(np.load(path), record) for key, path in files.items()}
    spikes = {name: raster for (name, variable), raster in recorded.items() if variable == "s_out"}
    return spikes, {name: raster for (name, variable), raster in recorded.items() if variable == "v"}, graph


def _raw(
    network: QuantisedNetwork, graph: ProcessGraph, resets: Mapping[str, Reset], copies: int
) -> ProcessGraph:
    """The same graph with stock neurons as they are, biases and states from the first step on."""
    populations = {p.name: p for p in network.populations}
    sizes = [p.neurons * copies for p in network.populations]
    recorder = {"neurons": sizes, "latencies": [0] * len(sizes)}
    processes = []
    for process in graph.processes:
        if process.name in populations:
            p = populations[process.name]
            own = {"bias_mant": p.bias_mant, "bias_exp": p.bias_exp, "u": p.u0, "v": p.v0}
            scalars = {"neurons": p.neurons * copies, "du": p.du, "dv": p.dv, "vth": p.vth}
            if p.name in resets:
                reset = resets[p.name]
                scalars |= {"reset_interval": reset.interval, "reset_offset": reset.offset}
            tiled = {name: np.tile(values, copies) for name, values in own.items()}
            kind = "LIFReset" if p.name in resets else "LIF"
            kind = process.kind if process.kind == "SubtractiveLIF" else kind
            processes.append(Process(p.name, kind, scalars, tiled))
        elif process.name == SINK:
            processes.append(Process(SINK, "Sink", recorder))
        elif process.name != PROBE:
            processes.append(process)
    processes.append(Process(PROBE, "Probe", recorder))
    wires = [wire for wire in graph.wires if wire.target[0] != PROBE]
    wires += [Wire((name, "v"), (PROBE, f"var{i}")) for i, name in enumerate(populations)]
    return ProcessGraph(tuple(processes), tuple(wires))


def affordable(network: QuantisedNetwork, copies: int, seconds: float) -> tuple[int, int]:
    """(copies, Lava steps) that take about that long: fewer copies where these leave few steps."""
    for fewer in (copies, 128, 64, 32, 8, 1):
        steps = int(seconds / _step_seconds(network, min(fewer, copies)))
        if steps >= 30:
            break
    return min(fewer, copies), int(np.clip(steps, 30, 600))


def _step_seconds(network: QuantisedNetwork, copies: int) -> float:
    depth = depths(network)
    longest = max((lava_delay(edge, depth) for edge in network.projections), default=0)
    cost = _PROCESS * (len(network.populations) + len(network.projections) + len(network.inputs) + 2)
    for edge in network.projections:
        delay, stored = lava_delay(edge, depth), copies * synapses(edge.connection).nnz
        dense = isinstance(edge.connection, Dense) and copies == 1
        fixed, each = _DELAYED[dense]
        delayed = stored * (fixed + each * delay)
        if delay and not dense and copies > 1 and not edge.message_bits:  # Lava gets relays instead
            delayed = min(delayed, 8e-4 * longest)
        cost += delayed if delay else stored * _SYNAPSE
    return cost


@dataclass
class Coverage:
    """What the compared runs have shown: features that carried spikes, with how many runs each.

    neuron_steps: of runs that were neither nearly silent nor nearly always firing.
    """

    neuron_steps: int = 0
    features: Counter[str] = field(default_factory=Counter)
    fractions: list[float] = field(default_factory=list)

    def add(
        self,
        network: QuantisedNetwork,
        inputs: Mapping[str, Any],
        spikes: Mapping[str, Any],
        graph: ProcessGraph,
        events: Counter[str],
    ) -> None:
        """Take in one run: its spikes are population -> (samples, steps, neurons)."""
        total = sum(raster.size for raster in spikes.values())
        fraction = sum(int(raster.sum()) for raster in spikes.values()) / total
        self.fractions.append(fraction)
        self.neuron_steps += total * (0.005 < fraction < 0.95)
        found = {name for name, times in events.items() if times}
        found |= {f"Lava's {process.kind}" for process in graph.processes}
        if not reasons_against(network, bounds(network, next(iter(inputs.values())).shape[1])):
            found.add("compiled kernels")
        lively = {name for name, raster in spikes.items() if 0 < raster.mean() < 1}
        for p in network.populations:
            if p.name in lively:
                found |= _of_population(p)
        moving = {**inputs, **spikes}
        for edge in network.projections:
            arrived = moving[edge.source][:, : -1 - edge.delay].any()
            if not np.any(weights(edge.connection)):
                found.add("no weight")
            elif arrived and edge.target in lively:
                found |= _of_projection(edge, network)
        self.features.update(found)

    def missing(self, wanted: set[str]) -> set[str]:
        """Features that no run has shown."""
        return wanted - set(self.features)


def _of_population(p: Any) -> set[str]:
    found = {f"reset {p.reset}", f"du {p.du}", f"dv {p.dv}"}
    found.add("initial state" if p.u0.any() or p.v0.any() else "no initial state")
    biased = p.bias_mant != 0
    if (biased & (p.bias_exp > 0)).any():
        found.add("bias exponent > 0")
    if (biased & (p.bias_exp < 0)).any():
        found.add("bias exponent < 0")
    return found


def _of_projection(edge: Any, network: QuantisedNetwork) -> set[str]:
    stored = weights(edge.connection)
    form = type(edge.connection).__name__
    if form == "Conv2d" and edge.connection.groups > 1:
        form = "grouped Conv2d"
    found = {form, edge.sign, f"weight exponent {edge.weight_exp}", f"{edge.weight_bits} bits"}
    found.add("every weight" if np.all(stored) else "some weights")
    order = {p.name: i for i, p in enumerate(network.populations)}
    if edge.delay:
        found.add("delay of more than 8" if edge.delay > 8 else "delay")
    if edge.source in order and order[edge.source] >= order[edge.target]:
        found.add("recurrent" if edge.source == edge.target else "feedback")
    if edge.message_bits:
        found.add("graded")
    if sum(other.target == edge.target for other in network.projections) > 1:
        found.add("several projections into one population")
    if sum((other.source, other.target) == (edge.source, edge.target) for other in network.projections) > 1:
        found.add("planes")
    return found
