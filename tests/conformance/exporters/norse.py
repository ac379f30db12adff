"""Norse 1.1.0: torch.to_nir, its own exporter; this package's front end for Norse modules is another one.

It writes dt * tau where the time constant is tau, unless it is called with dt = 1; w_in = 1 for a LIFCell,
whose input jumps by tau_syn / dt; and no v_reset. A layer that it does not know makes nir.write fail, as do
recurrent ones, scalar parameters and convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from norse.torch import (
    IAFCell,
    IAFParameters,
    LIBoxCell,
    LIBoxParameters,
    LIFBoxCell,
    LIFBoxParameters,
    LIFCell,
    LIFParameters,
    SequentialState,
    to_nir,
)
from torch import nn

from tests.conformance.exporters import Reference, raster, spikes

DT = 1e-3


def references() -> Iterator[Reference]:
    yield _reference(
        "box", _box, 1.0, "written with to_nir(..., dt=1.0): its default spoils the time constants"
    )
    yield _reference("iaf", _iaf, 1.0, "neurons without leak")
    yield _reference(
        "default_dt", _box, DT, "its default dt makes time constants 1000 times too small",
        outcome="refused", refusal="Norse 1.1.0",
    )  # fmt: skip
    yield _reference(
        "cuba", _cuba, 1.0, "it writes w_in = 1 for tau_syn / dt: the file means other spikes",
        outcome="differs", refusal="w_in = 1",
    )  # fmt: skip


def _each(n: int, low: float, high: float) -> torch.Tensor:
    return torch.linspace(low, high, n, dtype=torch.float64)


def _box() -> SequentialState:
    torch.manual_seed(8)
    lif = LIFBoxParameters(
        tau_mem_inv=_each(16, 60, 200),
        v_th=_each(16, 0.3, 0.5),
        v_leak=_each(16, 0.0, 0.1),
        v_reset=_each(16, 0, 0),
    )
    li = LIBoxParameters(tau_mem_inv=_each(5, 40, 90), v_leak=_each(5, -0.1, 0.1))
    return SequentialState(
        _linear(12, 16, 0.12), LIFBoxCell(p=lif, dt=DT), _linear(16, 5, 0.1), LIBoxCell(p=li, dt=DT)
    )


def _iaf() -> SequentialState:
    torch.manual_seed(9)
    first, second = (IAFParameters(v_th=_each(n, 0.7, 1.4), v_reset=_each(n, 0, 0)) for n in (16, 9))
    return SequentialState(
        _linear(12, 16, 0.1), IAFCell(p=first, dt=DT), _linear(16, 9, 0.1), IAFCell(p=second, dt=DT)
    )


def _cuba() -> SequentialState:
    torch.manual_seed(10)
    lif = LIFParameters(
        tau_syn_inv=_each(16, 150, 300), tau_mem_inv=_each(16, 60, 200), v_th=_each(16, 0.3, 0.5),
        v_leak=_each(16, 0.0, 0.1), v_reset=_each(16, 0, 0),
    )  # fmt: skip
    return SequentialState(_linear(12, 16, 0.1), LIFCell(p=lif, dt=DT))


def _linear(inputs: int, neurons: int, shift: float) -> nn.Linear:
    module = nn.Linear(inputs, neurons)
    with torch.no_grad():
        module.weight.add_(shift)
    return module.double()


def _reference(name: str, make: Any, dt: float, note: str, **says: Any) -> Reference:
    graph = to_nir(make(), torch.rand(12, dtype=torch.float64), dt=dt)
    inputs, net = spikes((12,)), make()
    found: dict[str, list[torch.Tensor]] = {}
    states: dict[str, Any] = {}
    with torch.no_grad():
        for step in torch.from_numpy(inputs.astype(np.float64)).unbind(1):
            signal = step
            for path, module in net.named_children():
                if isinstance(module, nn.Linear):
                    signal = module(signal)
                else:
                    signal, states[path] = module(signal, states.get(path))
                    found.setdefault(path, []).append(signal)
    runs = {path: raster(steps) for path, steps in found.items()}
    read_outs = {path for path, module in net.named_children() if isinstance(module, LIBoxCell)}
    rasters = {path: values.astype(np.uint8) for path, values in runs.items() if path not in read_outs}
    membranes = {path: values for path, values in runs.items() if path in read_outs}
    return Reference(name, graph, inputs, DT, rasters, membranes, note=note, **says)
