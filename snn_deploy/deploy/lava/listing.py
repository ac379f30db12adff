"""The process graph as ``inspect --processes`` prints it, with what is publicly known of each on hardware."""

from __future__ import annotations

from typing import Any

from snn_deploy.deploy.lava.graph import Process, ProcessGraph, process_graph
from snn_deploy.deploy.lava.plan import make_plan
from snn_deploy.network.quantised import QuantisedNetwork

#: Where public sources show a model of each process for Loihi 2's neuro-cores. Intel's extension, which
#: holds the models, is not public: none of this is verified here.
HARDWARE = {
    "LIF": "Lava 0.4.0 release notes: LIF executes on NeuroCores",
    "LIFReset": "lava-dl tests/netx/test_hdf5_nx.py: reset_interval under Loihi2HwCfg",
    "SubtractiveLIF": "none public: Lava's LIF resets to zero, another reset needs a programmed neuron",
    "Dense": "Lava 0.4.0 release notes: Dense executes on NeuroCores",
    "DelayDense": "lava issue 636, closed: synaptic delays of Dense on Loihi 2",
    "Sparse": "lava issue 436, closed: NcProcModel of Sparse",
    "DelaySparse": "lava issues 436 and 635, closed: delays of Sparse on Loihi 2",
    "Conv": "Lava 0.4.0 release notes: prototype of Conv; lava-dl tests/netx/test_hdf5_nx.py",
    "Source": "host; into the chip by embedded_io's PyToNxAdapter (public tutorials of lava-dl)",
    "Probe": "none known: a read of v after every step has no counterpart on a board",
    "Sink": "host; out of the chip by embedded_io's NxToPyAdapter (public tutorials of lava-dl)",
}


def process_listing(network: QuantisedNetwork) -> list[dict[str, Any]]:
    """One row a Lava process of one copy of the network, streamed where that is exact: a board's graph.

    name, kind: the process and its Lava class. parameters: its scalar arguments (T: steps of a sample).
    arrays: shapes of the others. to: the processes that it sends to. hardware: public evidence of a
    hardware model.
    Raises ModelNotSupported for a cycle shorter than Lava's latency.
    """
    graph = process_graph(network, make_plan(network, samples=2, steps=1, copies=1))
    return [_row(process, graph) for process in graph.processes]


def _row(process: Process, graph: ProcessGraph) -> dict[str, Any]:
    return {
        "name": process.name,
        "kind": process.kind,
        "parameters": {**process.scalars, **({"reset_interval": "T"} if process.kind == "LIFReset" else {})},
        "arrays": {name: list(values.shape) for name, values in process.arrays.items()},
        "to": [wire.target[0] for wire in graph.wires if wire.source[0] == process.name],
        "hardware": HARDWARE[process.kind],
    }
