"""Sinabs 3.1.3: its layers with one spike a step, and with its default, several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sinabs.layers as sl
import torch
from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
from torch import nn

from tests.conformance.exporters import SAMPLES, Reference
from tests.conformance.modules import lively, reference

ONE: dict[str, Any] = {"spike_fn": SingleSpike}
ZERO: dict[str, Any] = {**ONE, "reset_fn": MembraneReset()}


def references() -> Iterator[Reference]:
    said = "IAF, LIF: SingleSpike, MembraneSubtract; tau_syn, train_alphas, subtract_value"
    yield reference("subtract", _subtract, _run, said)
    yield reference("zero", _zero, _run, "IAF, LIF: SingleSpike, MembraneReset(0); ExpLeak reads v out")
    said = "Conv2d, SumPool2d, IAFSqueeze, LIFSqueeze: SingleSpike, MembraneSubtract"
    yield reference("squeeze", _squeeze, _run_squeezed, said, shape=(2, 8, 8), rate=0.15)
    yield reference("recurrent", _recurrent, _run, "LIFRecurrent: SingleSpike, rec_connect without a bias")
    for name, cell in {"iaf": sl.IAF, "lif": sl.LIF}.items():
        yield reference(
            f"refused_{name}",
            lambda cell=cell: _default(cell),
            _run,
            f"{cell.__name__}: MultiSpike, its default; compared with SingleSpike",
            refusal="one spike a step",
            nearest=_single,
        )


def _default(cell: Any) -> nn.Module:
    options = {"tau_mem": 10.0, "norm_input": False} if cell is sl.LIF else {}
    return lively(nn.Sequential(nn.Linear(12, 16), cell(**options), nn.Linear(16, 9), cell(**options)))


def _single(net: nn.Module) -> None:
    for part in net:
        if isinstance(part, sl.StatefulLayer):
            part.spike_fn = SingleSpike


def _subtract() -> nn.Module:
    synapse = {"tau_syn": 3.0, "train_alphas": True, "norm_input": False}
    return lively(
        nn.Sequential(
            nn.Linear(12, 16),
            sl.IAF(**ONE),
            nn.Linear(16, 14),
            sl.LIF(tau_mem=torch.linspace(4.0, 20.0, 14), **ONE),
            nn.Linear(14, 12),
            sl.LIF(tau_mem=8.0, **synapse, **ONE),
            nn.Linear(12, 8),
            sl.IAF(**ONE | {"reset_fn": MembraneSubtract(0.7)}),
        )
    )


def _zero() -> nn.Module:
    return lively(
        nn.Sequential(
            nn.Linear(12, 16),
            sl.IAF(**ZERO),
            nn.Linear(16, 12),
            sl.LIF(tau_mem=9.0, norm_input=False, **ZERO),
            nn.Linear(12, 6),
            sl.ExpLeak(tau_mem=torch.linspace(5.0, 30.0, 6)),
        )
    )


def _squeeze() -> nn.Module:
    return lively(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            sl.IAFSqueeze(batch_size=SAMPLES, **ONE),
            sl.SumPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 8),
            sl.LIFSqueeze(batch_size=SAMPLES, tau_mem=5.0, **ONE),
        )
    )


def _recurrent() -> nn.Module:
    inner = nn.Linear(10, 10, bias=False)
    neurons = sl.LIFRecurrent(tau_mem=9.0, rec_connect=inner, norm_input=False, **ONE)
    return lively(nn.Sequential(nn.Linear(12, 10), neurons))


def _run(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path, part in net.named_children():
        x = part(x)
        if isinstance(part, sl.StatefulLayer):
            found[path] = x
    return found


def _run_squeezed(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    steps = x.shape[1]
    return {path: sent.unflatten(0, (SAMPLES, steps)) for path, sent in _run(net, x.flatten(0, 1)).items()}
