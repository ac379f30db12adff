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
from snn_deploy.convert.frontends.norse.description.recurrent import RecurrentLIFCell
from snn_deploy.errors import UsageError

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
    a_m, a_s = dt * float(p.tau_mem_inv.mean()), dt * p.tau_syn_inv if hasattr(p, "tau_syn_inv") else 1.0
    gain = 1 / (0.5 + math.log(2) / -math.log1p(-a_m)) if a_m < 1 else 1.0
    drive = (p.v_leak + current / a_s - p.v_th) / (p.v_th - p.v_reset)
    return (gain * functional.softplus(_SHARPNESS * drive) / _SHARPNESS).clamp(max=1)


def rates(
    tower: Iterable[nn.Module], values: torch.Tensor, steps: int, *, noisy: bool = True
) -> list[torch.Tensor]:
    """Mean rates (samples, neurons) of every neuron layer of a Norse chain for inputs (samples, *shape).

    What travels on is a rate as ``steps`` Bernoulli draws would show it: Gaussian noise of variance
    r (1 - r) / steps is added before each layer of weights, the first one only where ``noisy`` says that
    ``values`` are such rates. Recurrent weights are left out: they begin near zero.
    """
    norse = import_norse()
    norse = import_norse()
    layers: list[torch.Tensor] = []
    module: Any
    for module in tower:
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, norse.LIFRecurrentCell)) and noisy:
            values = _observed(values, steps)
        if isinstance(module, norse.LIFRecurrentCell):
            values = functional.linear(values, module.input_weights)
        if hasattr(module, "p") and hasattr(module, "dt"):
            values, noisy = _neurons(module, values), True
            layers.append(values.flatten(1))
        else:
            values = module(values)
    return layers


def _neurons(module: Any, current: torch.Tensor) -> torch.Tensor:
    norse = import_norse()
    if not isinstance(module, (norse.LIFCell, norse.LIFRecurrentCell, norse.LIFBoxCell, RecurrentLIFCell)):
        raise UsageError(
            "the rate model knows LIF neurons only",
            where="towers",
            found=type(module).__name__,
            remedy="Train the spikes from the start: --set rate_epochs=0.",
        )
    return stationary_rate(current, module.p, module.dt)


def _observed(values: torch.Tensor, steps: int) -> torch.Tensor:
    deviation = torch.sqrt((values * (1 - values)).clamp(min=0) / steps).detach()
    return values + torch.randn_like(values) * deviation
