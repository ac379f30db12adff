"""A recurrent layer behind any layers of weights. This module imports torch: reach it inside functions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from snn_deploy.convert.frontends.norse import import_norse


class RecurrentLIFCell(nn.Module):
    """Norse's LIFCell with all-to-all recurrent weights and no input weights.

    i~ = i + x[t] + W_rec z[t-1], then as LIFCell; no neuron reaches itself. What arrives is the input
    current, so that a Linear with bias, a convolution or a batch norm may come before, where
    norse.torch.LIFRecurrentCell brings bias-free input weights of its own.
    """

    def __init__(self, size: int, p: Any, dt: float) -> None:
        super().__init__()
        self.cell = import_norse().LIFCell(p=p, dt=dt)
        self.recurrent_weights = nn.Parameter(torch.randn(size, size) * (2.0 / size) ** 0.5)
        with torch.no_grad():
            self.recurrent_weights.fill_diagonal_(0.0)
        self.recurrent_weights.register_hook(_without_autapses)  # type: ignore[no-untyped-call]

    @property
    def p(self) -> Any:
        """Norse's parameters of the neurons."""
        return self.cell.p

    @property
    def dt(self) -> float:
        """Time step in seconds."""
        return float(self.cell.dt)

    def forward(self, current: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """One step: input currents (samples, neurons) to spikes, and the state (spikes, Norse's state)."""
        spikes, inner = (torch.zeros_like(current), None) if state is None else state
        spikes, inner = self.cell(current + spikes @ self.recurrent_weights.t(), inner)
        return spikes, (spikes, inner)


def _without_autapses(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.clone().fill_diagonal_(0.0)
