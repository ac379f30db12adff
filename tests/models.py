"""Small Norse models and spikes that several rooms' tests use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A feed-forward and a recurrent tower, with biases, per-neuron time constants and shifted potentials.
DOCUMENT: dict[str, Any] = {
    "inputs": {"image": 24, "caption": 18},
    "towers": {
        "image": [
            {"type": "Linear", "in": 24, "out": 20, "bias": True},
            {"type": "LIFCell", "size": 20, "v_th": 0.3, "v_leak": 0.05, "v_reset": -0.1},
            {"type": "Linear", "in": 20, "out": 8},
            {"type": "LIFCell", "size": 8, "v_th": 0.2},
        ],
        "caption": [
            {"type": "LIFRecurrentCell", "in": 18, "size": 16, "v_th": 0.25},
            {"type": "Linear", "in": 16, "out": 8, "bias": True},
            {
                "type": "LIFCell",
                "size": 8,
                "v_th": 0.2,
                "tau_mem_inv": [80.0 + 20 * (k % 3) for k in range(8)],
            },
        ],
    },
    "readout": "on_off_counts",
}


def save_model(path: Path, seed: int = 0) -> Any:
    """Write an untrained model with lively weights; returns the Norse modules."""
    import torch

    from snn_deploy.convert.frontends.norse.description.checkpoint import save_checkpoint
    from snn_deploy.convert.frontends.norse.description.config import Config
    from snn_deploy.convert.frontends.norse.description.modules import build

    config = Config.model_validate(DOCUMENT)
    torch.manual_seed(seed)
    module = build(config)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3.0).add_(0.02)
        for tower in module.towers.values():
            for cell in tower:
                if hasattr(cell, "recurrent_weights"):
                    cell.recurrent_weights.fill_diagonal_(0.0)
    save_checkpoint(path, module, config)
    return module


def spikes(
    widths: dict[str, int], samples: int, steps: int, seed: int, rate: float = 0.3
) -> dict[str, NDArray[np.uint8]]:
    """Bernoulli rasters, uint8 (samples, steps, width), by input name."""
    generator = np.random.default_rng(seed)
    return {n: (generator.random((samples, steps, w)) < rate).astype(np.uint8) for n, w in widths.items()}
