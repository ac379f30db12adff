"""What other frameworks export, and the spikes that they themselves give: one module a framework.

Each has ``references()``, which needs that framework; :mod:`tests.conformance.make_fixtures` writes what it
yields, and only NumPy, nir and torch are needed beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

STEPS, SAMPLES = 160, 3


@dataclass(frozen=True, eq=False)
class Reference:
    """One graph of a framework's exporter, and that framework's own run of it.

    graph: as exported. inputs: 0/1, shape (samples, steps, *shape). dt: seconds a step. spikes, membranes:
    shape (samples, steps, neurons) by the graph's node names. reset: "zero" or "subtract", what the framework
    does. decay: "euler", 1 - dt / tau a step, or "exponential", exp(-dt / tau). outcome: "exact" where the
    conversion under this contract gives these spikes, "refused", or "differs" where the file does not say
    what the framework does. refusal: what the refusal, or else the warning, says. note: what to know.
    source: of the graph, the framework's own "exporter" or this package's "from_torch".
    mismatch: share of the spikes of all layers in which a graph of from_torch differs.
    """

    name: str
    graph: nir.NIRGraph
    inputs: np.ndarray[Any, Any]
    dt: float
    spikes: Mapping[str, np.ndarray[Any, Any]]
    membranes: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    reset: str = "zero"
    decay: str = "euler"
    outcome: str = "exact"
    refusal: str = ""
    note: str = ""
    source: str = "exporter"
    mismatch: float = 0.0


def spikes(shape: Sequence[int], rate: float = 0.3, seed: int = 0) -> np.ndarray[Any, Any]:
    """Seeded 0/1 input, shape (SAMPLES, STEPS, *shape)."""
    return (np.random.default_rng(seed).random((SAMPLES, STEPS, *shape)) < rate).astype(np.uint8)


def raster(steps: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Tensors (samples, *shape), one a step, as an array (samples, steps, neurons)."""
    import torch

    return torch.stack(list(steps), 1).flatten(2).detach().numpy()
