"""Front end for ``.pt``, ``.pth`` and ``.safetensors`` checkpoints."""

from __future__ import annotations

from pathlib import Path

from snn_deploy.convert.frontends import Source


def read_source(path: Path) -> Source:
    """Read a checkpoint that this package wrote: weights, and a description of Norse modules."""
    from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint

    module, config = load_checkpoint(path)
    from snn_deploy.convert.frontends.modules.walk import from_torch

    graph = from_torch(module.towers, {name: config.input_shape(name) for name in config.inputs})
    provenance = {
        "front_end": "norse",
        "task": config.task,
        "encoder": config.encoder,
        "training_seed": config.seed,
        "trained_with": dict(config.versions),
    }
    return Source(graph, provenance)
