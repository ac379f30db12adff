"""The complexity metrics of NeuroBench 2.3.0, counted by ourselves and without NeuroBench.

Its definitions, read in its source: synaptic operations are per sample, so summed over all steps;
an input of 0/1 makes accumulates (ACs), any other value multiply-accumulates; Dense takes every input
as active; sparsities are shares of zeros. Weights of all planes of a projection count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from snn_deploy.engine.result import RunResult, events
from snn_deploy.network.connections import fan_out, weights
from snn_deploy.network.quantised import QuantisedNetwork


def neurobench_counts(
    network: QuantisedNetwork, result: RunResult, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """ConnectionSparsity, ActivationSparsity and SynapticOperations of a run, with NeuroBench's keys.

    inputs: what was run, input name -> (samples, steps, neurons). Footprint and MembraneUpdates are left
    out: they describe how a framework stores a model.
    """
    dense = sum(int(fan_out(edge.connection, stored=True).sum()) for edge in network.projections)
    stored = [weights(edge.connection) for edge in network.projections]
    zeros, total = sum(int((w == 0).sum()) for w in stored), sum(w.size for w in stored)
    updates = sum(layer.neuron_updates for layer in result.layers)
    macs = _graded_operations(network, inputs)
    return {
        "ConnectionSparsity": round(zeros / total, 4) if total else 0.0,
        "ActivationSparsity": 1 - result.total_spikes / updates if updates else 0.0,
        "SynapticOperations": {
            "Effective_MACs": macs / result.samples,
            "Effective_ACs": (result.synops - macs) / result.samples,
            "Dense": float(dense * result.steps),
        },
        "per": "sample (all steps)",
    }


def _graded_operations(network: QuantisedNetwork, inputs: Mapping[str, NDArray[Any]]) -> float:
    """Operations of graded input: its values other than 0, times their synapses of nonzero weight."""
    graded = {node.name for node in network.inputs if node.message_bits} & set(inputs)
    total = 0
    for edge in network.projections:
        if edge.source in graded:
            raster = inputs[edge.source]
            arriving = raster[:, : raster.shape[1] - edge.delay]
            total += int(events(arriving) @ fan_out(edge.connection, stored=False))
    return float(total)
