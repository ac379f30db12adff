"""Membranes of read-outs (LI, CubaLI, I) in the units of the model that was converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact
from snn_deploy.engine.result import RunResult

READINGS: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = MappingProxyType(
    {
        "mean": lambda v: v.mean(axis=1),
        "last": lambda v: v[:, -1],
        "maximum": lambda v: v.max(axis=1),
    }
)
"""What a read-out's membranes (samples, steps, neurons) say of each sample, (samples, neurons)."""


def in_model_units(result: RunResult, artifact: Artifact) -> RunResult:
    """Return the result with its membranes, float64 (samples, steps, neurons), as the model has them.

    v_physical = v_reset + gap v, where an integer membrane is v = m / (64 scale) with the scale of the
    population that each neuron was put into.
    """
    if not result.membranes:
        return result
    float_of = {p.name: p for p in artifact.discrete.populations}
    node_of = {output.name: output.node for output in artifact.network.outputs}
    found: dict[str, NDArray[np.float64]] = {}
    for name, values in result.membranes.items():
        population = float_of[node_of[name]]
        unit = unit_of(artifact, population.name) if values.dtype.kind == "i" else 1.0
        found[name] = population.v_reset + population.gap * (values / unit)
    return replace(result, membranes=MappingProxyType(found))


def unit_of(artifact: Artifact, node: str) -> Any:
    """Integer membrane of one unit of the discrete network, a neuron: float64 (neurons,)."""
    parts = [p for p in artifact.network.populations if p.node == node]
    unit = np.empty(sum(p.neurons for p in parts))
    for part in parts:
        unit[part.index] = part.unit
    return unit
