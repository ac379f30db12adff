"""Rockpool 3.1.0: its torch modules with one spike a step, and with its default, several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules import ExpSynTorch, LIFBitshiftTorch, LIFNeuronTorch, LIFTorch, LinearTorch
from rockpool.parameters import Constant
from torch import nn

from tests.conformance.exporters import Reference
from tests.conformance.modules import lively, reference

ONE: dict[str, Any] = {"max_spikes_per_dt": torch.tensor(1.0)}


def references() -> Iterator[Reference]:
    yield reference("one", _one, _run, "LIFTorch, LIFNeuronTorch with a bias: max_spikes_per_dt 1")
    said = "LIFTorch with leak_mode 'decays', LIFBitshiftTorch: max_spikes_per_dt 1; ExpSynTorch"
    yield reference("decays", _decays, _run, said)
    yield reference("recurrent", _recurrent, _run, "LIFTorch with has_rec: max_spikes_per_dt 1")
    said = "LIFTorch: max_spikes_per_dt 65536, its default; compared with 1"
    yield reference("refused_lif", _default, _run, said, refusal="one spike a step", nearest=_single)


def _default() -> nn.Module:
    return lively(Sequential(LinearTorch((12, 10)), LIFTorch(10)))


def _single(net: Any) -> None:
    net[1].max_spikes_per_dt = torch.tensor(1.0)


def _one() -> nn.Module:
    last = LIFNeuronTorch(8, tau_mem=Constant(torch.linspace(0.005, 0.03, 8)), bias=Constant(0.05), **ONE)
    linear = LinearTorch((10, 8), has_bias=True)
    return lively(Sequential(LinearTorch((12, 10)), LIFTorch(10, **ONE), linear, last))


def _decays() -> nn.Module:
    alpha, beta = (Constant(torch.tensor(value)) for value in (0.9, 0.6))
    first = LIFTorch(10, leak_mode="decays", alpha=alpha, beta=beta, **ONE)
    second = LIFBitshiftTorch(8, **ONE)
    last = ExpSynTorch(5, tau=Constant(torch.linspace(0.005, 0.03, 5)))
    return lively(
        Sequential(LinearTorch((12, 10)), first, LinearTorch((10, 8)), second, LinearTorch((8, 5)), last)
    )


def _recurrent() -> nn.Module:
    return lively(Sequential(LinearTorch((12, 10)), LIFTorch((10, 10), has_rec=True, **ONE)))


def _run(net: Any, x: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    net.reset_state()
    for name in net._submodulenames:
        part = getattr(net, name)
        x, _, _ = part(x)
        if not isinstance(part, LinearTorch):
            found[name] = x
    return found
