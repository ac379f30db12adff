"""The complexity metrics of NeuroBench 2.3.0, counted by ourselves and without NeuroBench.

Its definitions, read in its source: synaptic operations are per sample, so summed over all steps;
an input of 0/1 makes accumulates (ACs), any other value multiply-accumulates; Dense takes every input
as active; sparsities are shares of zeros. Weights of all planes of a projection count.
"""

from __future__ import annotations

from typing import Any

from snn_deploy.engine.result import RunResult
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.connections import fan_out, weights
from snn_deploy.network.quantised import QuantisedNetwork


def neurobench_counts(network: QuantisedNetwork, result: RunResult) -> dict[str, Any]:
    """ConnectionSparsity, ActivationSparsity and SynapticOperations of a run, with NeuroBench's keys.

    Footprint and MembraneUpdates are left out: they describe how a framework stores a model. Raises
    ModelNotSupported for graded input.
    """
    dense = sum(int(fan_out(edge.connection, stored=True).sum()) for edge in network.projections)
    stored = [weights(edge.connection) for edge in network.projections]
    zeros, total = sum(int((w == 0).sum()) for w in stored), sum(w.size for w in stored)
    updates = sum(layer.neuron_updates for layer in result.layers)
    graded = [node.name for node in network.inputs if node.message_bits]
    if graded:
        raise ModelNotSupported(
            "graded input makes multiply-accumulates, which a run does not count apart",
            where=", ".join(graded),
        )
    return {
        "ConnectionSparsity": round(zeros / total, 4) if total else 0.0,
        "ActivationSparsity": 1 - result.total_spikes / updates if updates else 0.0,
        "SynapticOperations": {
            "Effective_MACs": 0.0,
            "Effective_ACs": result.synops / result.samples,
            "Dense": float(dense * result.steps),
        },
        "per": "sample (all steps)",
    }
