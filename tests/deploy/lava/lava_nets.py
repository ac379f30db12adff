"""Small quantised networks that are neither silent nor saturated, as artifacts for the Lava backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_deploy.convert.artifact import Artifact
from snn_deploy.network.connections import Dense
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from tests import quantised_nets
from tests.quantised_nets import Rng, projection, spikes

__all__ = ["artifact", "dense", "population", "projection", "reference", "spikes"]


def population(name: str, neurons: int, rng: Rng, **changes: Any) -> QuantisedPopulation:
    """A population with random biases and no initial state, unless ``changes`` say otherwise."""
    values = quantised_nets.moderate(neurons, rng)
    values["bias_exp"] = np.maximum(values["bias_exp"], 0)  # an artifact holds what a board does
    return quantised_nets.population(name, neurons, rng, **{**values, **changes})


def dense(neurons_out: int, neurons_in: int, rng: Rng) -> Dense:
    """Even weights, as a mixed-sign 8-bit plane holds them, most of them small."""
    return Dense(2 * rng.integers(-60, 70, (neurons_out, neurons_in)))


def artifact(
    inputs: Mapping[str, tuple[int, ...]],
    populations: list[QuantisedPopulation],
    projections: list[QuantisedProjection],
    outputs: tuple[str, ...],
) -> Artifact:
    """An artifact around the network; its graph is not used by integer backends."""
    network = quantised_nets.network(inputs, populations, projections, outputs)
    return Artifact(network, graph=None)  # type: ignore[arg-type]


def reference(network: QuantisedNetwork, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """All spikes, population -> (samples, steps, neurons), by the equations alone."""
    return quantised_nets.reference(network, inputs)[0]
