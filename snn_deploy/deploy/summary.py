"""What ``inspect`` and ``convert`` say of an artifact, as plain containers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from snn_deploy.convert import footprint
from snn_deploy.convert.artifact import Artifact
from snn_deploy.engine.result import RunResult
from snn_deploy.network.connections import fan_out
from snn_deploy.network.quantised import QuantisedPopulation, QuantisedProjection
from snn_deploy.network.schedule import depths, lava_delay


def describe(artifact: Artifact) -> dict[str, Any]:
    """Layers, integers, sizes, contract, provenance and quantisation report of an artifact."""
    network = artifact.network
    depth = depths(network)
    described = footprint.describe(network)
    return {
        "neurons": sum(population.neurons for population in network.populations),
        "synapses": described.synapses,
        "synapse_entries": described.entries,
        "profile": network.profile,
        "contract": network.contract.metadata(),
        "inputs": [{"name": node.name, "shape": list(node.shape)} for node in network.inputs],
        "outputs": [{"name": node.name, "node": node.node} for node in network.outputs],
        "populations": [_population(population, depth) for population in network.populations],
        "projections": [_projection(projection, depth) for projection in network.projections],
        "quantisation": dict(network.report),
        "provenance": dict(artifact.provenance),
        "hashes": artifact.hashes,
    }


def _population(population: QuantisedPopulation, depth: dict[str, int]) -> dict[str, Any]:
    bias = population.bias
    return {
        "name": population.name,
        "node": population.node,
        "neurons": population.neurons,
        "du": population.du,
        "dv": population.dv,
        "vth": population.vth,
        "bias": [int(bias.min()), int(bias.max())],
        "initial_state": bool(population.u0.any() or population.v0.any()),
        "spiking": population.spiking,
        "depth": depth[population.name],
    }


def _projection(projection: QuantisedProjection, depth: dict[str, int]) -> dict[str, Any]:
    return {
        "name": projection.name,
        "source": projection.source,
        "target": projection.target,
        "kind": type(projection.connection).__name__,
        "synapse_entries": _entries(projection),
        "weight_bits": projection.weight_bits,
        "weight_exp": projection.weight_exp,
        "sign": projection.sign,
        "delay": projection.delay,
        "lava_delay": lava_delay(projection, depth),
    }


def _entries(projection: QuantisedProjection) -> int:
    """Nonzero weights of a plane: what it holds in synapse memory."""
    return int(fan_out(projection.connection, stored=False).sum())


def describe_run(result: RunResult) -> dict[str, Any]:
    """What ``run --json`` prints; wraps and saturations of a layer are None where they were not counted."""
    wraps, saturations = result.wraps or {}, result.saturations or {}
    return {
        "backend": result.backend,
        "samples": result.samples,
        "steps": result.steps,
        "spikes": result.total_spikes,
        "synops": result.synops,
        "synops_stored": sum(layer.synops_stored for layer in result.layers),
        "neuron_updates": sum(layer.neuron_updates for layer in result.layers),
        "per_layer": [
            {**asdict(layer), "wraps": wraps.get(layer.name), "saturations": saturations.get(layer.name)}
            for layer in result.layers
        ],
        "seconds": dict(result.seconds),
        "versions": dict(result.versions),
        "notes": dict(result.notes),
    }
