"""The activity of a run, as placement and energy take it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.result import RunResult
from snn_deploy.hw_profiles.description import Activity
from snn_deploy.network.quantised import QuantisedNetwork


def activity_of_run(
    network: QuantisedNetwork, result: RunResult, inputs: Mapping[str, NDArray[np.uint8]]
) -> Activity:
    """Spikes of every input and population of a run.

    inputs: the rasters that were run, uint8 (samples, steps, neurons). Neurons of a node whose raster
    was recorded get their own spikes; those of another share the node's total evenly. Synaptic
    operations are the run's own.
    """
    layers = {layer.name: layer for layer in result.layers}
    spikes = {
        name: np.count_nonzero(raster, axis=(0, 1)).astype(np.float64) for name, raster in inputs.items()
    }
    for source in network.inputs:
        spikes.setdefault(source.name, np.zeros(int(np.prod(source.shape))))
    for population in network.populations:
        if population.node in result.spikes:
            raster = result.spikes[population.node].reshape(result.samples, result.steps, -1)
            own = np.count_nonzero(raster[:, :, population.index], axis=(0, 1)).astype(np.float64)
        else:
            node = layers[population.node]
            own = np.full(population.neurons, node.spikes / node.neurons)
        spikes[population.name] = own
    return Activity(
        spikes=spikes,
        samples=result.samples,
        steps=result.steps,
        origin=f"counted in a run on '{result.backend}' of {result.samples} samples x {result.steps} steps",
        counted={name: (layer.spikes, layer.synops, layer.synops_stored) for name, layer in layers.items()},
    )
