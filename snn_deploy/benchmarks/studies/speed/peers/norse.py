"""Norse: LIFCell and LIFRecurrentCell in a SequentialState, eager and under torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from norse.torch import LIFCell, LIFParameters, LIFRecurrentCell, SequentialState

from snn_deploy.benchmarks.studies.speed.peers import _torch_modules as torch_modules
from snn_deploy.benchmarks.studies.speed.peers._workload import (
    Floats,
    Row,
    Spec,
    Weights,
    report,
    serve,
    speeds,
    tuned,
)

_DT = 1e-3


def network(spec: Spec, weights: Sequence[Weights]) -> SequentialState:
    """The network as Norse cells, a connection before each but the recurrent ones, which hold their own."""
    p = LIFParameters(
        tau_syn_inv=torch.tensor((1 - spec.alpha) / _DT), tau_mem_inv=torch.tensor((1 - spec.beta) / _DT)
    )
    layers: list[torch.nn.Module] = []
    for layer, drawn in zip(spec.layers, weights, strict=True):
        if drawn.recurrent is not None:
            if len(drawn.source) > 1:
                layers.append(torch.nn.Flatten())
            cell = LIFRecurrentCell(drawn.forward.shape[1], layer.neurons, p=p, autapses=True)
            cell.recurrent_weights.data = torch_modules.tensor(drawn.recurrent)
            layers.append(cell)
        else:
            layers += [torch_modules.connection(layer, drawn), LIFCell(p=p)]
    return SequentialState(*layers)


def set_gains(network: SequentialState, weights: Sequence[Weights], gains: Sequence[float]) -> None:
    """Scale each layer's forward weights."""
    weighted = [child for child in network.children() if not isinstance(child, LIFCell | torch.nn.Flatten)]
    for child, drawn, gain in zip(weighted, weights, gains, strict=True):
        values = torch_modules.tensor(drawn.forward, gain)
        if isinstance(child, LIFRecurrentCell):
            child.input_weights.data = values
        else:
            torch_modules.set_weight(child, values)


def forward(network: Callable[..., Any], spikes: torch.Tensor) -> torch.Tensor:
    """Output spikes summed over time; spikes: (steps, samples, *shape)."""
    state: Any = None
    total: torch.Tensor | None = None
    for step in spikes:
        fired, state = network(step, state)
        total = fired if total is None else total + fired
    return total if total is not None else torch.empty(0)


def layer_rates(network: SequentialState, spikes: torch.Tensor) -> list[float]:
    """Spikes a neuron and step of each neuron layer, by running the network up to it."""
    children = list(network.children())
    ends = [i + 1 for i, child in enumerate(children) if isinstance(child, LIFCell | LIFRecurrentCell)]
    return [float(forward(SequentialState(*children[:end]), spikes).mean()) / len(spikes) for end in ends]


@torch.no_grad()
def measure(spec: Spec) -> dict[str, Any]:
    """Norse's speeds by batch."""
    torch.set_num_threads(1)
    weights = spec.weights()
    module = network(spec, weights)

    def rates(gains: Sequence[float], spikes: Floats) -> list[float]:
        set_gains(module, weights, gains)
        return layer_rates(module, torch.as_tensor(spikes))

    def speed(runnable: Callable[..., Any]) -> dict[str, float]:
        return speeds(spec, lambda spikes: partial(forward, runnable, torch.as_tensor(spikes)))

    def rows() -> Iterator[Row]:
        yield "Norse", partial(speed, module)
        if spec.compiled:
            yield "Norse torch.compile", lambda: speed(torch.compile(module))

    _, reached = tuned(spec, rates)
    return report(rows(), reached, versions={name: version(name) for name in ("norse", "torch")})


if __name__ == "__main__":
    serve(measure)
