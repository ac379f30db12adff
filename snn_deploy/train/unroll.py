"""Norse's LIF cells over a whole raster at once, with a surrogate gradient written by hand.

Norse steps a chain of modules one time step after the other. Every layer here sees all time steps
before the next layer begins, so that its matrix product is one large one; the neurons' recurrence is a
loop of a few element-wise operations. The spikes are those of the Norse modules (tested); only the
backward pass is this module's own.

Equations, with a_m = dt tau_mem_inv and a_s = dt tau_syn_inv:
i~ = i + x ;  v' = v + a_m (v_leak - v + i~) ;  i = (1 - a_s) i~ ;  z = [v' > v_th] ;
v = v_reset where z, else v'.
Backward, dz/dv' is 1 / (1 + slope |v' - v_th|)^2 (SuperSpike, Zenke and Ganguli 2018), and the reset
passes no gradient through z, as in Norse's recurrent step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.recurrent import RecurrentLIFCell
from snn_deploy.errors import UsageError

SLOPE = 5.0
"""Steepness of the surrogate, per unit of membrane voltage."""


class _Lif(torch.autograd.Function):
    """Spikes (steps, samples, neurons) from input currents of the same shape."""

    @staticmethod
    def forward(  # noqa: PLR0917  autograd functions take positions only
        ctx: Any, current: torch.Tensor, recurrent: torch.Tensor | None, p: Any, dt: float, slope: float
    ) -> torch.Tensor:
        a_m, a_s = dt * p.tau_mem_inv, dt * p.tau_syn_inv
        v = torch.zeros_like(current[0]) + p.v_leak
        i = torch.zeros_like(current[0])
        z = torch.zeros_like(current[0])
        distance = torch.empty_like(current)
        spikes = torch.empty_like(current)
        for step in range(len(current)):
            i = i + current[step]
            if recurrent is not None:
                i = i + z @ recurrent.t()
            v = v + a_m * ((p.v_leak - v) + i)
            i = i - a_s * i
            torch.sub(v, p.v_th, out=distance[step])
            z = torch.gt(distance[step], 0, out=spikes[step])
            v = torch.where(z > 0, p.v_reset, v)
        ctx.save_for_backward(distance, spikes, recurrent)
        ctx.rates = a_m, a_s
        ctx.slope = slope
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        distance, spikes, recurrent = ctx.saved_tensors
        a_m, a_s = ctx.rates
        surrogate = distance.abs().mul_(ctx.slope).add_(1).pow_(-2)
        by_current = torch.empty_like(spikes)
        by_v = torch.zeros_like(spikes[0])
        by_i = torch.zeros_like(spikes[0])
        by_recurrent = None if recurrent is None else torch.zeros_like(recurrent)
        for step in reversed(range(len(spikes))):
            by_z = gradients[0][step]
            if recurrent is not None and by_recurrent is not None and step + 1 < len(spikes):
                by_z = by_z + by_current[step + 1] @ recurrent
                by_recurrent.addmm_(by_current[step + 1].t(), spikes[step])
            by_v = surrogate[step].mul_(by_z).add_(by_v * (1 - spikes[step]))
            by_i = by_i * (1 - a_s) + a_m * by_v
            by_current[step] = by_i
            by_v = by_v * (1 - a_m)
        return by_current, by_recurrent, None, None, None


def unroll(
    tower: Iterable[nn.Module], spikes: torch.Tensor, slope: float = SLOPE, *, drop: float = 0.0
) -> list[torch.Tensor]:
    """Spikes (steps, samples, *shape) of every neuron layer of a Norse chain for a raster of such a shape.

    Knows LIFCell, LIFRecurrentCell, LIFBoxCell and RecurrentLIFCell, and every layer without memory.
    slope: steepness of the surrogate gradient. drop: share of each layer's spikes that are lost.
    Raises UsageError for other neurons.
    """
    rasters = []
    for module in tower:
        if not hasattr(module, "p") or not hasattr(module, "dt"):
            spikes = _memoryless(module, spikes)
            continue
        spikes = _neurons(module, spikes, slope)
        if drop:
            spikes = spikes * (torch.rand_like(spikes) >= drop)
        rasters.append(spikes)
    return rasters


def _memoryless(module: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """A layer applied in every step; once, where every step is a view of the same values."""
    if values.stride(0) == 0 and len(values) > 1:
        once: torch.Tensor = module(values[0])
        return once.expand(len(values), *once.shape)
    if isinstance(module, nn.Linear):
        return module(values)  # type: ignore[no-any-return]
    return module(values.flatten(0, 1)).unflatten(0, values.shape[:2])  # type: ignore[no-any-return]


def _neurons(module: Any, current: torch.Tensor, slope: float) -> torch.Tensor:
    norse = import_norse()
    recurrent = None
    if isinstance(module, norse.LIFRecurrentCell):
        current = nn.functional.linear(current, module.input_weights)
    if isinstance(module, (norse.LIFRecurrentCell, RecurrentLIFCell)):
        recurrent = module.recurrent_weights
    elif not isinstance(module, (norse.LIFCell, norse.LIFBoxCell)):
        raise UsageError(
            "these neurons cannot be trained here",
            where="towers",
            found=type(module).__name__,
            allowed="LIFCell, LIFRecurrentCell, RecurrentLIFCell, LIFBoxCell",
        )
    spikes: torch.Tensor = _Lif.apply(current, recurrent, module.p, module.dt, slope)
    return spikes
