"""A training step through Norse's own time stepping, and through ours: what a study times. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from snn_deploy.convert.frontends.norse.description.modules import build
from snn_deploy.train.encoders import describe, feed_forward
from snn_deploy.train.recipe import Recipe
from snn_deploy.train.unroll import unroll

_INPUT_RATE = 0.1


@dataclass(frozen=True)
class Steps:
    """One forward and backward pass each; ``equal``: whether both gave the same spikes, ``rates`` theirs."""

    ours: Callable[[], None]
    norse: Callable[[], None]
    equal: float
    rates: tuple[float, ...]


def training_steps(widths: Sequence[int], steps: int, samples: int, *, norm: bool, recurrent: bool) -> Steps:
    """Steps of a tower of LIF layers of ``widths``, the first its inputs, for one batch of random spikes.

    ``equal`` is the share of output spikes and silences on which both agree: sums in another order may
    part at a threshold. With batch norm Norse's stepping normalises each time step by itself.
    """
    layers = feed_forward((widths[0],), widths[1:], Recipe(), norm=norm, recurrent=recurrent)
    config = describe({"a": layers}, {"a": widths[0]}, Recipe(), task="", seed=0, readout="counts")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(config)
        with torch.no_grad():
            for weight in module.parameters():
                if weight.ndim == 2:
                    weight.normal_(0, (weight.shape[1] * _INPUT_RATE) ** -0.5)
        raster = (torch.rand(steps, samples, widths[0]) < _INPUT_RATE).float()

    def step(outputs: Callable[[], torch.Tensor]) -> None:
        module.zero_grad()
        torch.autograd.backward([outputs().sum()])

    def ours() -> torch.Tensor:
        return unroll(module.tower("a"), raster)[-1]

    def norse() -> torch.Tensor:
        return module.forward("a", raster)

    with torch.no_grad():
        module.eval()
        rasters: list[Any] = unroll(module.tower("a"), raster)
        equal = (rasters[-1] == norse()).double().mean().item()
        module.train()
    rates = tuple(layer.mean().item() for layer in rasters)
    return Steps(lambda: step(ours), lambda: step(norse), equal, rates)
