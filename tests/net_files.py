"""``.net`` files with chosen layers, as lava-dl 0.6.0's SLAYER lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np


def neuron(i_decay: int = 1100, v_decay: int = 400, vth: int = 300, **more: Any) -> dict[str, Any]:
    stated = {"type": "CUBA", "iDecay": i_decay, "vDecay": v_decay, "vThMant": vth}
    return {**stated, "refDelay": 1, "gradedSpike": False, **more}


def dense(weight: Any, cuba: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    weight = np.asarray(weight, dtype=np.float32)
    sizes = {"shape": [weight.shape[0]], "inFeatures": weight.shape[1], "outFeatures": weight.shape[0]}
    return {"type": "dense", **sizes, "weight": weight, "neuron": cuba or neuron(), **more}


def conv(weight: Any, shape: tuple[int, int, int], **more: Any) -> dict[str, Any]:
    """shape: what leaves; stride, padding, dilation, groups by name."""
    weight = np.asarray(weight, dtype=np.float32)
    stated = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, **more}
    channels = {"inChannels": weight.shape[1] * stated["groups"], "outChannels": weight.shape[0]}
    size = {"shape": list(shape), "kernelSize": list(weight.shape[2:])}
    return {"type": "conv", **size, **channels, "weight": weight[..., None], "neuron": neuron(), **stated}


def flatten(neurons: int) -> dict[str, Any]:
    return {"type": "flatten", "shape": [neurons, 1, 1]}


def network(path: Path, *layers: dict[str, Any], sampling: float | None = 1.0) -> Path:
    """Write layers to ``path``; sampling: SLAYER's Ts in milliseconds."""
    with h5py.File(path, "w") as handle:
        handle.create_group("layer")
        for i, layer in enumerate(layers):
            _write(handle, f"layer/{i}", layer)
        if sampling is not None:
            handle["simulation/Ts"] = sampling
    return path


def _write(handle: h5py.File, where: str, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            _write(handle, f"{where}/{name}", value)
        elif name == "type" and where.count("/") == 1:
            handle.create_dataset(f"{where}/type", (1,), "S10", [value.encode()])
        else:
            handle[f"{where}/{name}"] = value
