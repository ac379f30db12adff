"""Front end for ``.pt``, ``.pth``, ``.ckpt`` and ``.safetensors`` checkpoints."""

from __future__ import annotations

from pathlib import Path

from snn_deploy.convert.frontends import Source


def read_source(path: Path, dt: float | None = None, model: str | None = None) -> Source:
    """Read a checkpoint.

    One that this package wrote describes its Norse modules. For any other, ``model`` names the function that
    builds the module, ``FILE.py:build``: that file is run, in a process of its own. dt: seconds of a step,
    for modules that count steps.
    """
    if model is not None:
        from snn_deploy.convert.frontends.modules.built import build_and_walk

        graph = build_and_walk(path, model, dt)
        return Source(graph, {"front_end": str(graph.metadata.get("framework", "")), "model": model})
    from snn_deploy.convert.frontends.modules.walk import from_torch
    from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint

    module, config = load_checkpoint(path)
    graph = from_torch(module.towers, {name: config.input_shape(name) for name in config.inputs})
    provenance = {
        "front_end": "norse",
        "task": config.task,
        "encoder": config.encoder,
        "training_seed": config.seed,
        "trained_with": dict(config.versions),
        **{key: int(config.metadata[key]) for key in ("steps",) if key in config.metadata},
    }
    return Source(graph, provenance)
