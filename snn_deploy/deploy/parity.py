"""Parity: run an artifact on two engines and certify that they agree, spike by spike, and v by v."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.calibration import generated_spikes
from snn_deploy.deploy import backends
from snn_deploy.deploy.backends.base import Backend
from snn_deploy.deploy.certificate import Certificate, Divergence, Membranes, certify, hash_spikes
from snn_deploy.deploy.membranes import unit_of
from snn_deploy.engine.chunks import Progress
from snn_deploy.engine.fixed import retrace
from snn_deploy.engine.inputs import InputSpikes, checked_inputs
from snn_deploy.engine.result import RunResult
from snn_deploy.errors import UsageError, VerificationMismatch
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.network.schedule import depths

#: Neuron-steps that generated input covers at least.
TARGET_NEURON_STEPS = 100_000
_GENERATED_STEPS = 60


def compare(
    artifact: Artifact,
    inputs: InputSpikes | None = None,
    *,
    against: str = "lava",
    seed: int = 0,
    progress: Progress | None = None,
) -> Certificate:
    """Compare ``fixed`` with another backend on every layer.

    inputs: spikes as for a run; None generates them, enough for TARGET_NEURON_STEPS.
    A read-out is compared by its v after each step: by equality where both engines compute integers, else
    within what one spike by the largest weight moves it.
    Raises UsageError for an unknown reference, BackendUnavailable where it cannot run, and
    VerificationMismatch when no neuron fired and no v moved, since nothing would have been compared.
    """
    if against not in backends.references():
        raise UsageError(
            "unknown reference", where="--against", found=against, allowed=", ".join(backends.references())
        )
    reference = backends.get(against)
    network = artifact.network
    if inputs is None:
        neurons = sum(population.neurons for population in network.populations)
        samples = max(2, -(-TARGET_NEURON_STEPS // (neurons * _GENERATED_STEPS)))
        inputs = generated_spikes(artifact.discrete, seed, samples, _GENERATED_STEPS)
    spikes, _, _ = checked_inputs(network, inputs)
    depth = depths(network)
    nodes = sorted({p.node: depth[p.name] for p in network.populations}.items(), key=lambda item: item[1])
    order = [node for node, _ in nodes]
    ours = backends.get("fixed").run(artifact, spikes, record=order, model_units=False)
    theirs = reference.run(artifact, spikes, record=order, progress=progress, model_units=False)
    membranes = _membranes(artifact, ours, theirs)
    moved = any(np.ptp(pair.ours) > 0 for pair in membranes.values())
    if not moved and not any(np.any(ours.spikes[node]) for node in order):
        raise VerificationMismatch(
            "no neuron fired and no v moved, so nothing was compared",
            where=", ".join(order),
            remedy="Give input that drives the network.",
        )
    return certify(
        ours.spikes,
        theirs.spikes,
        order,
        membranes=membranes,
        claim=reference.claim,
        cause=lambda first: _cause(network, reference, first, {**spikes, **ours.spikes}),
        hashes=MappingProxyType({**artifact.hashes, "input": hash_spikes(spikes)}),
        versions=MappingProxyType({**ours.versions, **theirs.versions}),
    )


def _membranes(artifact: Artifact, ours: RunResult, theirs: RunResult) -> dict[str, Membranes]:
    """v of each read-out in both runs, by node, in the units of the integers."""
    found = {}
    for output in artifact.network.outputs:
        if output.name not in ours.membranes:
            continue
        own, other = ours.membranes[output.name], theirs.membranes[output.name]
        if other.dtype.kind == "i":
            found[output.node] = Membranes(own, other)
            continue
        # weights of a read-out span [-1, 1] in the float network's units
        one = unit_of(artifact, output.node)
        found[output.node] = Membranes(own, other * one, one)
    return found


def _cause(
    network: QuantisedNetwork, reference: Backend, first: Divergence, rasters: Mapping[str, NDArray[Any]]
) -> str:
    """Why a spike differs: what an exact reference says of itself; else what the neuron's integers did.

    rasters: those of ``fixed`` and of the inputs, (samples, steps, neurons) by node.
    """
    if reference.exact:
        return reference.cause
    population, place = retrace.place_of(network, first.layer, first.neuron)
    before = {
        name: raster[first.sample : first.sample + 1, : first.step + 1] for name, raster in rasters.items()
    }
    arriving = retrace.drive(network, population, place, before)
    if retrace.wraps(population, place, arriving):
        return "wrap"
    _, clipped = retrace.membrane(population, place, arriving, before[first.layer][0, :, first.neuron])
    return "saturation" if clipped else reference.cause
