"""A cheap stand-in for the first epochs: LIF neurons by their stationary rate, no time steps.

One pass costs what a single time step costs, and the weights it finds are good starting weights for the
spiking network, since rate-coded input drives a LIF neuron to about its stationary rate. Imports torch:
reach it inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from snn_deploy.convert.frontends.norse import import_norse

_SHARPNESS = 3.0
"""How sharp the corner at threshold is; input noise rounds it. Chosen by the recall after transfer."""


def stationary_rate(current: torch.Tensor, p: Any, dt: float) -> torch.Tensor:
    """Spikes a step of a LIF neuron whose input current has the mean ``current``.

    x = (v_leak + I / a_s - v_th) / (v_th - v_reset), the drive beyond threshold in units of the gap, with
    a_m = dt tau_mem_inv and a_s = dt tau_syn_inv ;
    r = min(1, g softplus(s x) / s), s = 3 ;
    g = 1 / (1/2 + ln 2 / -ln(1 - a_m)), the rate at x = 1 and v_leak = v_reset: from reset, the voltage
    reaches half of its limit after ln 2 / -ln(1 - a_m) steps, and half a step more passes until the next.
    """
    a_m, a_s = dt * float(p.tau_mem_inv.mean()), dt * p.tau_syn_inv
    gain = 1 / (0.5 + math.log(2) / -math.log1p(-a_m)) if a_m < 1 else 1.0
    drive = (p.v_leak + current / a_s - p.v_th) / (p.v_th - p.v_reset)
    return (gain * functional.softplus(_SHARPNESS * drive) / _SHARPNESS).clamp(max=1)


def rates(tower: Iterable[nn.Module], values: torch.Tensor, steps: int) -> list[torch.Tensor]:
    """Mean rates of every neuron layer of a Norse chain for input rates (samples, inputs).

    What travels on is a rate as ``steps`` Bernoulli draws would show it: Gaussian noise of variance
    r (1 - r) / steps is added before each layer. Recurrent weights are left out: they begin near zero.
    """
    norse = import_norse()
    layers = []
    module: Any
    for module in tower:
        if isinstance(module, nn.Linear):
            values = module(_observed(values, steps))
            continue
        if isinstance(module, norse.LIFRecurrentCell):
            values = functional.linear(_observed(values, steps), module.input_weights)
        values = stationary_rate(values, module.p, module.dt)
        layers.append(values)
    return layers


def _observed(values: torch.Tensor, steps: int) -> torch.Tensor:
    deviation = torch.sqrt((values * (1 - values)).clamp(min=0) / steps).detach()
    return values + torch.randn_like(values) * deviation
