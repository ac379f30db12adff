"""What the PyTorch peers share: connections as modules, and setting a layer's gain."""

from __future__ import annotations

import torch
from torch import nn

from snn_deploy.benchmarks.studies.speed.peers._workload import Layer, Weights


def tensor(values: object, gain: float = 1.0) -> torch.Tensor:
    return gain * torch.as_tensor(values)


def connection(layer: Layer, weights: Weights) -> nn.Module:
    """The layer's Linear or Conv2d without bias, behind a Flatten where a Linear reads an image."""
    shape = weights.forward.shape
    if layer.convolution is None:
        linear = nn.Linear(shape[1], shape[0], bias=False)
        return linear if len(weights.source) == 1 else nn.Sequential(nn.Flatten(), linear)
    channels, kernel, stride = layer.convolution
    return nn.Conv2d(shape[1], channels, kernel, stride, bias=False)


def set_weight(module: nn.Module, values: torch.Tensor) -> None:
    """Give a :func:`connection` its weights."""
    (parameter,) = module.parameters()
    parameter.data = values
