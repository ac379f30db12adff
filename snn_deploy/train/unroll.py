"""Norse's neurons over a whole raster at once, with batch norm on their current and a backward by hand.

Norse steps a chain of modules one time step after the other. Every layer here sees all time steps
before the next layer begins, so that its matrix product is one large one; the neurons' recurrence is a
loop of a few element-wise operations in place. The spikes are those of the Norse modules (tested); only
the backward pass is this module's own.

Equations, with a_m = dt tau_mem_inv and a_s = dt tau_syn_inv (1 without a synaptic current):
i~ = i + x ;  v' = v + a_m (v_leak - v + i~) ;  i = (1 - a_s) i~ ;  z = [v' > v_th] ;
v = v_reset where z, else v'.
Backward, dz/dv' is 1 / (1 + slope |v' - v_th|)^2 (SuperSpike, Zenke and Ganguli 2018), and the reset
passes no gradient through z, as in Norse's recurrent step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.recurrent import RecurrentLIFCell
from snn_deploy.errors import UsageError

SLOPE = 5.0
"""Steepness of the surrogate, per unit of membrane voltage."""

_Norm = nn.BatchNorm1d | nn.BatchNorm2d


def unroll(
    tower: Iterable[nn.Module], spikes: torch.Tensor, slope: float = SLOPE, *, drop: float = 0.0
) -> list[torch.Tensor]:
    """Spikes (steps, samples, *shape) of every neuron layer of a Norse chain for a raster of such a shape.

    Knows LIFCell, LIFRecurrentCell, LIFBoxCell and RecurrentLIFCell, and every layer without memory.
    slope: steepness of the surrogate gradient. drop: share of each layer's spikes that are lost.
    Raises UsageError for other neurons.
    """
    rasters: list[torch.Tensor] = []
    chain = list(tower)
    norm: nn.Module | None = None
    for module, behind in zip(chain, [*chain[1:], None], strict=True):
        if isinstance(module, _Norm) and module.training and _is_neuron(behind):
            norm = module  # computed in the neurons' loop
            continue
        if not _is_neuron(module):
            spikes = _memoryless(module, spikes)
            continue
        spikes, norm = _fire(module, spikes, norm, slope), None
        if drop:
            spikes = spikes * (torch.rand_like(spikes) >= drop)
        rasters.append(spikes)
    return rasters


def _is_neuron(module: nn.Module | None) -> bool:
    return hasattr(module, "p") and hasattr(module, "dt")


def _memoryless(module: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """A layer applied in every step; once, where every step is a view of the same values."""
    if values.stride(0) == 0 and len(values) > 1:
        once: torch.Tensor = module(values[0])
        return once.expand(len(values), *once.shape)
    if isinstance(module, nn.Linear):
        return module(values)  # type: ignore[no-any-return]
    return module(values.flatten(0, 1)).unflatten(0, values.shape[:2])  # type: ignore[no-any-return]


def _fire(module: Any, current: torch.Tensor, norm: Any, slope: float) -> torch.Tensor:
    """Spikes of a layer of neurons whose input current goes through ``norm``, where there is one."""
    norse = import_norse()
    recurrent = gain = offset = moments = None
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
    if norm is not None:
        gain, offset, moments = norm.weight, norm.bias, _moments(current.detach(), norm)
    spikes: torch.Tensor = _Lif.apply(
        current, recurrent, gain, offset, moments, _Neurons.of(module, current, slope)
    )
    return spikes


def _moments(current: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and 1 / sqrt(variance + eps) of each channel over steps, samples and space; the running
    statistics of ``norm`` follow as torch's do."""
    variance, mean = torch.var_mean(current, _but_channels(current), correction=0)
    n = current.numel() // current.shape[2]
    with torch.no_grad():
        norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
        norm.running_var.lerp_((variance * (n / max(n - 1, 1))).to(norm.running_var), norm.momentum)
    return mean, torch.rsqrt(variance + norm.eps)


def _but_channels(raster: torch.Tensor) -> list[int]:
    """Dimensions of (steps, samples, channels, *space) over which a channel's statistics go."""
    return [0, 1, *range(3, raster.ndim)]


def _wide(channels: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """One value per channel, shaped to broadcast over a step (samples, channels, *space)."""
    return channels.reshape(-1, *(1,) * (step.ndim - 2))


@dataclass(frozen=True)
class _Neurons:
    """What the time loop needs of a layer: decays, levels, and the surrogate's slope."""

    a_m: torch.Tensor
    a_s: torch.Tensor
    v_leak: torch.Tensor
    v_th: torch.Tensor
    v_reset: torch.Tensor
    slope: float

    @classmethod
    def of(cls, module: Any, current: torch.Tensor, slope: float) -> _Neurons:
        """Of a Norse cell, on the device of its input current. LIFBoxCell has no synaptic current."""
        p, dt = module.p, module.dt
        a_s = dt * p.tau_syn_inv if hasattr(p, "tau_syn_inv") else torch.ones(())
        a_m, a_s, v_leak, v_th, v_reset = (
            torch.as_tensor(value).to(current.device)
            for value in (dt * p.tau_mem_inv, a_s, p.v_leak, p.v_th, p.v_reset)
        )
        return cls(a_m, a_s, v_leak, v_th, v_reset, slope)


class _Lif(torch.autograd.Function):
    """Spikes (steps, samples, *shape) from input currents of the same shape.

    gain, offset, moments: of batch norm in training, one value per channel; the neurons are then given
    gain (current - mean) / deviation + offset.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  autograd functions take positions only
        ctx: Any,
        current: torch.Tensor,
        recurrent: torch.Tensor | None,
        gain: torch.Tensor | None,
        offset: torch.Tensor | None,
        moments: tuple[torch.Tensor, torch.Tensor] | None,
        p: _Neurons,
    ) -> torch.Tensor:
        spikes = torch.empty_like(current)  # in the current's own layout
        surrogate = torch.empty_like(spikes) if any(ctx.needs_input_grad) else None
        scratch, i, v = torch.empty_like(spikes[0]), torch.zeros_like(spikes[0]), torch.empty_like(spikes[0])
        v.copy_(p.v_leak.expand_as(v))
        instant, rests_at_zero, resets_to_zero = _shortcuts(p)
        if gain is not None and offset is not None and moments is not None:
            scale = gain * moments[1]
            shift, scale = _wide(offset - moments[0] * scale, v), _wide(scale, v)
        for step, arriving in enumerate(current):
            if instant:
                i.zero_()
            if gain is not None:
                i += torch.mul(arriving, scale, out=scratch).add_(shift)
            else:
                i += arriving
            if recurrent is not None and step:
                i += torch.mm(spikes[step - 1], recurrent.t(), out=scratch)
            if rests_at_zero:
                torch.sub(i, v, out=scratch)
            else:
                torch.sub(p.v_leak, v, out=scratch).add_(i)
            v += scratch.mul_(p.a_m)
            if not instant:
                i -= torch.mul(i, p.a_s, out=scratch)
            distance = torch.sub(v, p.v_th, out=scratch if surrogate is None else surrogate[step])
            fired = torch.gt(distance, 0, out=spikes[step])
            if resets_to_zero:
                v.addcmul_(v, fired, value=-1)  # v - v z: exact, as z is 0 or 1
            else:
                v.copy_(torch.where(fired > 0, p.v_reset.to(v), v))
            if surrogate is not None:
                distance.abs_().mul_(p.slope).add_(1).pow_(-2)
        ctx.save_for_backward(None if gain is None else current, recurrent, gain, surrogate, spikes)
        ctx.moments, ctx.p = moments, p
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        current, recurrent, gain, surrogate, spikes = ctx.saved_tensors
        p, last = ctx.p, len(spikes) - 1
        by_current, scratch = torch.empty_like(spikes), torch.empty_like(spikes[0])
        by_v = torch.zeros_like(spikes[0])
        by_recurrent = None if recurrent is None else torch.zeros_like(recurrent)
        keep_i, keep_v, instant = 1 - p.a_s, 1 - p.a_m, _shortcuts(p)[0]
        for step in reversed(range(len(spikes))):
            by_z, by_i = gradients[0][step], by_current[step]
            if recurrent is not None and by_recurrent is not None and step < last:
                by_z = by_z + by_current[step + 1] @ recurrent
                by_recurrent.addmm_(by_current[step + 1].t(), spikes[step])
            by_v.addcmul_(by_v, spikes[step], value=-1)
            by_v += torch.mul(surrogate[step], by_z, out=scratch)
            torch.mul(by_v, p.a_m, out=by_i)
            if step < last and not instant:
                by_i += torch.mul(by_current[step + 1], keep_i, out=scratch)
            by_v *= keep_v
        by_gain = by_offset = None
        if gain is not None:
            by_gain, by_offset = _through_norm(by_current, current, gain, ctx.moments)
        return by_current, by_recurrent, by_gain, by_offset, None, None


def _shortcuts(p: _Neurons) -> tuple[bool, bool, bool]:
    """Whether the synaptic current lasts one step, v_leak is 0, and v_reset is 0."""
    return bool((p.a_s == 1).all()), bool((p.v_leak == 0).all()), bool((p.v_reset == 0).all())


def _through_norm(
    gradient: torch.Tensor, current: torch.Tensor, gain: torch.Tensor, moments: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn the gradient by batch norm's output into that by its input, in place; return gain's and offset's.

    With y = gain x^ + offset, x^ = (x - mean) / deviation and n values a channel:
    dx = gain / deviation (dy - sum(dy) / n - x^ sum(dy x^) / n)   (Ioffe and Szegedy 2015).
    """
    mean, inverse = (_wide(value, gradient[0]) for value in moments)
    others, n = _but_channels(gradient), prod(gradient.shape) // gradient.shape[2]
    normed = torch.sub(current, mean).mul_(inverse)
    by_offset = gradient.sum(others)
    by_gain = (gradient * normed).sum(others)
    gradient -= _wide(by_offset / n, gradient[0])
    gradient -= normed.mul_(_wide(by_gain / n, gradient[0]))
    gradient *= _wide(gain, gradient[0]) * inverse
    return by_gain, by_offset
