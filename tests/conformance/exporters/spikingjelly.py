"""SpikingJelly 2.0.0: nir_exchange.export_to_nir.

Its neurons spike at v >= v_threshold, others above it: with weights of a continuous draw no membrane lies
at its threshold. An IF node gets r = 1 / dt. Recurrent containers are not exported.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir
from torch import nn

from tests.conformance.exporters import SAMPLES, Reference, raster, spikes

DT = 1e-3


def references() -> Iterator[Reference]:
    yield _reference("dense", _dense(), (12,), 0.3, "spikes at v >= v_threshold; NIR's threshold is strict")
    yield _reference(
        "conv2d", _conv2d(), (2, 8, 8), 0.15, "IF is written with r = 1 / dt: read with a warning"
    )
    yield _reference("residual", _Residual(), (3, 12), 0.3, "branches that are added meet in one layer")


def _dense() -> nn.Module:
    torch.manual_seed(3)
    net = nn.Sequential(
        layer.Linear(12, 16),
        neuron.LIFNode(tau=8.0, decay_input=False, v_threshold=0.8),
        layer.Linear(16, 14, bias=False),
        neuron.ParametricLIFNode(init_tau=5.0, decay_input=True, v_threshold=0.15, v_reset=-0.05),
        layer.Linear(14, 10),
        neuron.CUBALIFNode(c_decay=0.7, v_decay=0.9, v_threshold=1.0, v_reset=0.0),
    )
    with torch.no_grad():
        net[0].weight.add_(0.05)
        net[2].weight.add_(0.1)
        net[4].weight.add_(0.05)
    return net


def _conv2d() -> nn.Module:
    torch.manual_seed(4)
    net = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1),
        neuron.IFNode(v_threshold=1.0),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(64, 8),
        neuron.IFNode(v_threshold=0.5, v_reset=-0.25),
    )
    with torch.no_grad():
        net[0].weight.add_(0.05)
        net[4].weight.add_(0.02)
    return net


class _Residual(nn.Module):
    """conv1d -> LIF, and beside it a second path of two layers; both meet in the last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv = layer.Conv1d(3, 4, 3, stride=2, padding=1)
        self.first = neuron.LIFNode(tau=4.0, decay_input=False, v_threshold=0.7)
        self.flat = layer.Flatten()
        self.up = layer.Linear(24, 12)
        self.second = neuron.LIFNode(tau=3.0, decay_input=False, v_threshold=0.6)
        self.long, self.short = layer.Linear(12, 9), layer.Linear(24, 9, bias=False)
        self.last = neuron.LIFNode(tau=6.0, decay_input=False, v_threshold=0.8)
        with torch.no_grad():
            for module in (self.conv, self.up, self.long, self.short):
                module.weight.add_(0.06)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.flat(self.first(self.conv(x)))
        return self.last(self.long(self.second(self.up(first))) + self.short(first))


def _reference(name: str, net: nn.Module, shape: tuple[int, ...], rate: float, note: str) -> Reference:
    net.eval()
    graph = export_to_nir(net, torch.zeros(SAMPLES, *shape), dt=DT)
    found: dict[str, list[torch.Tensor]] = {}
    for path, module in net.named_modules():
        if isinstance(module, neuron.BaseNode):
            module.register_forward_hook(
                lambda _, __, out, path=path: found.setdefault(path, []).append(out.clone())
            )
    functional.reset_net(net.double())
    inputs = spikes(shape, rate)
    with torch.no_grad():
        for step in torch.from_numpy(inputs.astype(np.float64)).unbind(1):
            net(step)
    named = {path: path if path in graph.nodes else f"_{path}" for path in found}
    rasters = {named[path]: raster(steps).astype(np.uint8) for path, steps in found.items()}
    return Reference(name, graph, inputs, DT, rasters, note=note)
