"""snnTorch 1.0.0: export_nir.export_to_nir. It writes a time step of 1e-4 s, whatever the network's is.

Its own reset acts one step late, and reset_delay=False has no effect on hidden state. So the reference
neurons do not reset (reset_mechanism "none"), and v is set to 0 here after each spike, which is what its
exporter's graph says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir
from torch import nn

from tests.conformance.exporters import Reference, raster, spikes

NEURONS = (snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic)
NOTE = "its own reset comes one step late: the reference resets v at the spike, as the exported graph says"


def references() -> Iterator[Reference]:
    yield _reference("dense", _dense, (12,), 0.3, NOTE)
    yield _reference("recurrent", _recurrent, (12,), 0.3, "recurrent weights are flattened: lif and w_rec")
    yield _reference("conv2d", _conv2d, (2, 8, 8), 0.15, NOTE)


def _options(reset: str, *shape: int, **parameters: float) -> dict[str, object]:
    each = {name: torch.full(shape, value) for name, value in parameters.items()}
    return {**each, "reset_mechanism": reset, "init_hidden": reset == "zero"}


def _dense(reset: str) -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Linear(12, 16),
        snn.Leaky(**_options(reset, 16, beta=0.9, threshold=1.0)),
        nn.Linear(16, 8, bias=False),
        snn.Synaptic(**_options(reset, 8, alpha=0.8, beta=0.85, threshold=1.0)),
    )
    with torch.no_grad():
        net[0].weight.add_(0.1)
        net[2].weight.add_(0.04)
    return net


def _recurrent(reset: str) -> nn.Sequential:
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Linear(12, 10),
        snn.RSynaptic(linear_features=10, **_options(reset, 10, alpha=0.7, beta=0.8, threshold=1.0)),
        nn.Linear(10, 6),
        snn.RLeaky(linear_features=6, **_options(reset, 6, beta=0.9, threshold=0.8)),
    )
    with torch.no_grad():
        net[0].weight.add_(0.1)
        net[2].weight.add_(0.1)
    return net


def _conv2d(reset: str) -> nn.Sequential:
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        snn.Leaky(**_options(reset, 4, 8, 8, beta=0.9, threshold=0.7)),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 8),
        snn.Leaky(**_options(reset, 8, beta=0.9, threshold=0.5)),
    )
    with torch.no_grad():
        net[0].weight.add_(0.05)
        net[4].weight.add_(0.03)
    return net


def _reference(
    name: str, make: Callable[[str], nn.Sequential], shape: tuple[int, ...], rate: float, note: str
) -> Reference:
    graph = export_to_nir(make("zero"), torch.rand(1, *shape), ignore_dims=[0])
    inputs, net = spikes(shape, rate), make("none").double()
    states: dict[str, list[torch.Tensor]] = {}
    found: dict[str, list[torch.Tensor]] = {}
    with torch.no_grad():
        for step in torch.from_numpy(inputs.astype(np.float64)).unbind(1):
            signal = step
            for path, module in net.named_children():
                if not isinstance(module, NEURONS):
                    signal = module(signal.double())
                    continue
                node = f"{path}.lif" if f"{path}.lif" in graph.nodes else path
                signal, states[path] = _step(module, signal, states.get(path))
                found.setdefault(node, []).append(signal)
    rasters = {node: raster(steps).astype(np.uint8) for node, steps in found.items()}
    return Reference(name, graph, inputs, 1e-4, rasters, note=note)


def _step(
    module: nn.Module, drive: torch.Tensor, state: list[torch.Tensor] | None
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """One step of a layer, then the reset; a recurrent layer's state begins with its spikes."""
    recurrent = isinstance(module, snn.RLeaky | snn.RSynaptic)
    count = recurrent + 1 + isinstance(module, snn.Synaptic | snn.RSynaptic)
    states = [torch.zeros_like(drive) for _ in range(count)] if state is None else state
    fired, *after = module(drive, *states)
    fired = fired.double()
    after[-1] = after[-1] * (1 - fired)
    return fired, [fired, *after] if recurrent else after
