"""The ANN of a spiking network's shape, ReLU in place of neurons, and the weights that begin from it.

A neuron that starts from rest and is shown one step fires where its current passes the threshold:
z = [x > 1]. A ReLU unit gives max(y, 0). With lambda half of the 99.5th percentile of a layer's outputs,
x = 2 y / lambda makes the neuron fire at half of lambda, and its spike stands for lambda: the weights behind
it are multiplied by that (Diehl et al. 2015; Rueckauer et al. 2017). Batch norm becomes part of the weights.
Training goes on from there. Imports torch: reach it inside functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from snn_deploy.convert.frontends.norse.description.modules import Towers
from snn_deploy.errors import UsageError

_PERCENTILE, _SHARE = 0.995, 0.5
"""Lambda is this share of this percentile, and a neuron fires at the same share of lambda."""
_SAMPLED = 1 << 22
"""Outputs that a percentile is taken of, at most."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def activations(tower: Iterable[nn.Module], values: torch.Tensor) -> list[torch.Tensor]:
    """Outputs (samples, units) of every layer of a tower with ReLU in place of its neurons.

    values: (samples, *shape). Recurrent neurons have no such counterpart: UsageError.
    """
    layers: list[torch.Tensor] = []
    for module in tower:
        if is_neuron(module):
            if hasattr(module, "recurrent_weights"):
                raise UsageError(
                    "recurrent neurons do not begin from an ANN",
                    where="towers",
                    found=type(module).__name__,
                    remedy="Train the spikes from the start: --set rate_epochs=0.",
                )
            values = torch.relu(values)
            layers.append(values.flatten(1))
        else:
            values = module(values)
    return layers


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is one of Norse's neurons."""
    return hasattr(module, "p") and hasattr(module, "dt")


def begin_spikes(tower: nn.Sequential, values: torch.Tensor) -> float:
    """Turn a trained ANN's weights into those of neurons with threshold 1, in place.

    values: (samples, *shape), examples to take percentiles of. Returns lambda of the last layer: what one of
    its spikes stands for. Raises UsageError where a layer of neurons has no weights, or its units no output.
    """
    incoming, weights, norm = 1.0, None, None
    for index, module in enumerate(tower):
        with torch.no_grad():
            if not is_neuron(module):
                values = module(values)
                if isinstance(module, NORMS):
                    norm = module
                elif hasattr(module, "weight"):
                    weights = module
                continue
            outgoing = _SHARE * _percentile(values, index)
            _fold(weights, norm, incoming, 1 / (_SHARE * outgoing), index)
            values = torch.relu(values)
            incoming, weights, norm = outgoing, None, None
    return incoming


def freeze_norms(module: Towers) -> None:
    """Let batch norms keep the statistics that they have, in training too."""
    for part in module.modules():
        if isinstance(part, NORMS):
            part.eval()


def _percentile(values: torch.Tensor, index: int) -> float:
    positive = torch.relu(values).flatten()
    stride = -(-len(positive) // _SAMPLED)
    found = positive[::stride].sort().values
    scale = float(found[int(_PERCENTILE * (len(found) - 1))])
    if scale <= 0:
        raise UsageError(
            "the units of this layer of the ANN are silent",
            where=f"towers: layer {index}",
            remedy="Train more rate_epochs, or another seed.",
        )
    return scale


def _fold(weights: Any, norm: Any, incoming: float, scale: float, index: int) -> None:
    """x = scale (gain (W incoming z + b - mean) / deviation + offset) as weights and an offset."""
    if weights is None:
        raise UsageError("a layer of neurons has no weights before it", where=f"towers: layer {index}")
    if norm is None:
        weights.weight.mul_(incoming * scale)
        if weights.bias is not None:
            weights.bias.mul_(scale)
        return
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    mean = norm.running_mean
    if weights.bias is not None:
        mean = mean - weights.bias
        weights.bias.zero_()
    norm.bias.copy_((norm.bias - gain * mean) * scale)
    weights.weight.mul_((gain * incoming * scale).reshape(-1, *(1,) * (weights.weight.ndim - 1)))
    norm.weight.fill_(1)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
