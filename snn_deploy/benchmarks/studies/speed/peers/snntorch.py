"""snnTorch: Synaptic, its neuron with a current and a voltage, and RSynaptic where a layer is recurrent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from snntorch import RSynaptic, Synaptic
from torch import nn

from snn_deploy.benchmarks.studies.speed.peers import _torch_modules as torch_modules
from snn_deploy.benchmarks.studies.speed.peers._workload import (
    Floats,
    Spec,
    Weights,
    report,
    serve,
    speeds,
    tuned,
)


class Network(nn.Module):
    """Connections, and neurons that hold their states from step to step."""

    def __init__(self, spec: Spec, weights: Sequence[Weights]) -> None:
        super().__init__()
        pairs = list(zip(spec.layers, weights, strict=True))
        self.connections = nn.ModuleList(torch_modules.connection(*pair) for pair in pairs)
        self.neurons = nn.ModuleList(_neuron(spec, drawn) for drawn in weights)

    def forward(self, spikes: torch.Tensor) -> list[torch.Tensor]:
        """Spikes of every layer summed over time, (samples, *shape); spikes: (steps, samples, *shape)."""
        neurons: list[Any] = list(self.neurons)
        for neuron in neurons:
            neuron.reset_mem()
        totals: list[Any] = [0] * len(neurons)
        for step in spikes:
            fired = step
            for i, (connect, neuron) in enumerate(zip(self.connections, neurons, strict=True)):
                fired = neuron(connect(fired))[0]
                totals[i] = totals[i] + fired
        return totals


def _neuron(spec: Spec, drawn: Weights) -> Any:
    decays = {"alpha": spec.alpha, "beta": spec.beta, "reset_mechanism": "zero"}
    if drawn.recurrent is None:
        return Synaptic(**decays)
    neuron = RSynaptic(**decays, linear_features=len(drawn.recurrent))
    neuron.recurrent.weight.data = torch_modules.tensor(drawn.recurrent)
    neuron.recurrent.bias.data.zero_()
    return neuron


@torch.no_grad()
def measure(spec: Spec) -> dict[str, Any]:
    """snnTorch's speeds by batch."""
    torch.set_num_threads(1)
    weights = spec.weights()
    module = Network(spec, weights)

    def rates(gains: Sequence[float], spikes: Floats) -> list[float]:
        for connect, drawn, gain in zip(module.connections, weights, gains, strict=True):
            torch_modules.set_weight(connect, torch_modules.tensor(drawn.forward, gain))
        return [float(total.mean()) / spec.steps for total in module(torch.as_tensor(spikes))]

    def speed() -> dict[str, float]:
        return speeds(spec, lambda spikes: partial(module, torch.as_tensor(spikes)))

    _, reached = tuned(spec, rates)
    rows = [("snnTorch Synaptic", speed)]
    return report(rows, reached, versions={name: version(name) for name in ("snntorch", "torch")})


if __name__ == "__main__":
    serve(measure)
