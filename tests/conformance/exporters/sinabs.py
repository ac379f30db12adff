"""Sinabs 3.1.3: nir.to_nir. By default its neurons subtract the threshold and send several spikes a step.

NIR cannot say either, and its exporter does not refuse: these neurons have MembraneReset and SingleSpike but
in the graph that is refused. LIF and ExpLeak decay by exp(-1 / tau), tau in steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import sinabs.layers as sl
import torch
from sinabs.activation import MembraneReset, SingleSpike
from sinabs.nir import to_nir
from torch import nn

from tests.conformance.exporters import SAMPLES, STEPS, Reference, raster, spikes

SUBTRACT = {"spike_fn": SingleSpike}
ZERO = {**SUBTRACT, "reset_fn": MembraneReset(reset_value=0.0)}


def references() -> Iterator[Reference]:
    note = "v returns to 0: spike_fn SingleSpike and reset_fn MembraneReset(0) are set, not the defaults"
    yield _reference("conv2d", _conv2d(ZERO), (2, 8, 8), 0.1, note=note)
    yield _reference("conv1d", _conv1d(), (2, 12), 0.2, note=note)
    yield _reference(
        "lif",
        _lif(),
        (12,),
        0.3,
        decay="exponential",
        note=f"{note}; decays are exponential, tau in steps: --dt 1 --decay exponential",
    )
    yield _reference(
        "subtract", _conv2d(SUBTRACT), (2, 8, 8), 0.1, reset="subtract", outcome="refused",
        refusal="reset", note="its default reset, by subtraction, does not exist on Loihi",
    )  # fmt: skip


def _conv2d(options: dict[str, Any]) -> nn.Sequential:
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        sl.IAFSqueeze(batch_size=SAMPLES, **options),
        sl.SumPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 8),
        sl.IAFSqueeze(batch_size=SAMPLES, **options),
    )
    with torch.no_grad():
        net[0].weight.add_(0.1)
        net[4].weight.add_(0.006)
    return net


def _conv1d() -> nn.Sequential:
    torch.manual_seed(6)
    net = nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=2, padding=1),
        sl.IAFSqueeze(batch_size=SAMPLES, spike_threshold=torch.tensor(1.2), **ZERO),
        nn.Flatten(),
        nn.Linear(24, 8),
        sl.IAFSqueeze(batch_size=SAMPLES, **ZERO),
    )
    with torch.no_grad():
        net[0].weight.add_(0.2)
        net[3].weight.add_(0.06)
    return net


def _lif() -> nn.Sequential:
    torch.manual_seed(11)
    net = nn.Sequential(
        nn.Linear(12, 14),
        sl.LIFSqueeze(
            batch_size=SAMPLES,
            tau_mem=torch.linspace(4.0, 20.0, 14),
            spike_threshold=torch.full((14,), 0.5),
            **ZERO,
        ),
        nn.Linear(14, 6),
        sl.ExpLeakSqueeze(batch_size=SAMPLES, tau_mem=torch.linspace(5.0, 30.0, 6), norm_input=True),
    )
    with torch.no_grad():
        net[0].weight.add_(0.15)
    return net


def _reference(name: str, net: nn.Sequential, shape: tuple[int, ...], rate: float, **says: str) -> Reference:
    inputs = spikes(shape, rate)
    signal = torch.from_numpy(inputs.astype(np.float64)).flatten(
        0, 1
    )  # Squeeze layers: samples and steps in one
    spiked, membranes = {}, {}
    with torch.no_grad():
        net(torch.zeros(SAMPLES, *shape))
        graph = to_nir(net, torch.zeros(SAMPLES, *shape))
        graph.infer_types()  # fills in the shapes that nir.write needs
        for layer in net.double():
            if isinstance(layer, sl.StatefulLayer):
                layer.reset_states()
        for index, layer in enumerate(net):
            signal = layer(signal.double())
            if isinstance(layer, sl.StatefulLayer):
                values = raster(signal.unflatten(0, (SAMPLES, STEPS)).unbind(1))
                (membranes if isinstance(layer, sl.ExpLeak) else spiked)[str(index)] = values
    rasters = {node: values.astype(np.uint8) for node, values in spiked.items()}
    dt = 1.0 if "decay" in says else 1e-3
    return Reference(name, graph, inputs, dt, rasters, membranes, **says)
