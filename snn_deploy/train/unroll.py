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


def unroll(tower: Iterable[nn.Module], spikes: torch.Tensor, slope: float = SLOPE) -> list[torch.Tensor]:
    """Spikes of every neuron layer of a Norse chain for a raster (steps, samples, inputs), float32.

    Knows Linear, LIFCell and LIFRecurrentCell, the layers of a checkpoint.
    """
    norse = import_norse()
    rasters = []
    module: Any
    for module in tower:
        if isinstance(module, nn.Linear):
            spikes = module(spikes)
            continue
        recurrent = None
        if isinstance(module, norse.LIFRecurrentCell):
            spikes = nn.functional.linear(spikes, module.input_weights)
            recurrent = module.recurrent_weights
        spikes = _Lif.apply(spikes, recurrent, module.p, module.dt, slope)
        rasters.append(spikes)
    return rasters
