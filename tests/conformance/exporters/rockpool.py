"""Rockpool 3.1.0: nn.modules.torch.nir.to_nir.

Its neurons subtract the threshold and may send several spikes a step; decays are exp(-dt / tau). Its exporter
says none of this, and leaves out recurrent weights, a neuron's bias and the gain of a synapse (w_in = 1).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch, TorchModule
from rockpool.nn.modules.torch.nir import to_nir
from rockpool.parameters import Constant

from tests.conformance.exporters import Reference, spikes

DT = 1e-3
REFUSED = {
    "reset": "subtract",
    "decay": "exponential",
    "outcome": "refused",
    "refusal": "the reset mode is not",
}


def references() -> Iterator[Reference]:
    yield _reference("lif", "reset by subtraction, decays of exp(-dt / tau), w_in left out")
    yield _reference("recurrent", "reset by subtraction; the exporter leaves out the recurrent weights")
    yield _reference("exp_syn", "its read-out adds and decays by exp(-dt / tau): no r of NIR's gives both")


def _layers(name: str) -> list[TorchModule]:
    torch.manual_seed(7)
    neurons = {"dt": DT, "threshold": Constant(torch.full((10,), 4.0)), "max_spikes_per_dt": 1.0}
    memory = {"tau_mem": Constant(torch.linspace(0.008, 0.02, 10)), **neurons}
    synapse = {"tau_syn": Constant(torch.linspace(0.003, 0.006, 10))}
    last = {
        "lif": lambda: [
            LIFTorch((10,), **memory, **synapse),
            LinearTorch((10, 10), has_bias=True),
            LIFNeuronTorch((10,), **memory),
        ],
        "recurrent": lambda: [LIFTorch((10, 10), has_rec=True, **memory, **synapse)],
        "exp_syn": lambda: [ExpSynTorch(10, dt=DT, tau=Constant(torch.linspace(0.005, 0.03, 10)))],
    }[name]()
    layers = [LinearTorch((12, 10), has_bias=False), *last]
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, LinearTorch):
                layer.weight.add_(0.12)
    return layers


def _reference(name: str, note: str) -> Reference:
    inputs, layers = spikes((12,)), _layers(name)
    graph = to_nir(Sequential(*_layers(name)))
    signal = torch.from_numpy(inputs.astype(np.float32))
    spiked, membranes = {}, {}
    with torch.no_grad():
        for index, layer in enumerate(layers):
            signal, _, _ = layer(signal)
            node = f"{index}_{type(layer).__name__}"
            if isinstance(layer, ExpSynTorch):
                membranes[node] = signal.numpy()
            elif not isinstance(layer, LinearTorch):
                spiked[node] = signal.numpy().astype(np.uint8)
    return Reference(name, graph, inputs, DT, spiked, membranes, note=note, **REFUSED)
