"""A trained module in evaluation mode, as the engines of a benchmark run what it is converted to.

torch is imported inside functions, so that a task can name what it reads without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.modules import Towers

_BATCH = 128


def spikes_of(module: Towers, tower: str, raster: npt.NDArray[Any], layer: int = -1) -> npt.NDArray[np.uint8]:
    """Spikes (items, steps, neurons) of a layer of a tower's neurons for an input (items, steps, *shape).

    layer: its number among the layers of neurons, -1 the last. The module is left in the mode it was in.
    """
    import torch

    from snn_deploy.train.unroll import unroll

    device, training = next(module.parameters()).device, module.training
    parts = []
    module.eval()
    with torch.no_grad():
        for first in range(0, len(raster), _BATCH):
            values = np.ascontiguousarray(raster[first : first + _BATCH].swapaxes(0, 1), np.float32)
            fired = unroll(module.tower(tower), torch.from_numpy(values).to(device))[layer]
            parts.append(fired.flatten(2).transpose(0, 1).to(torch.uint8).cpu().numpy())
    module.train(training)
    return np.concatenate(parts)


def outputs_of(ann: Towers, tower: str, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Outputs (items, units) of the last layer of a tower with ReLU in place of its neurons."""
    import torch

    from snn_deploy.train.ann import activations

    with torch.no_grad():
        parts = [
            activations(ann.tower(tower), torch.from_numpy(values[first : first + _BATCH]))[-1].numpy()
            for first in range(0, len(values), _BATCH)
        ]
    return np.concatenate(parts)


def stored_constants(module: Towers) -> dict[str, npt.NDArray[Any]]:
    """The arrays that a trained model carries for its input coding and read-out."""
    return {name: value.detach().cpu().numpy() for name, value in module.constants.named_buffers()}
