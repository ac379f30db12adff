"""How fast PyTorch peers run a network of the same shape: one thread, no gradients, whole samples.

Run as ``python -m snn_deploy.train.speed_peers`` in a process of its own (``bench speed`` does so): one
JSON object on standard input, {"shape", "layers", "steps", "rate", "batches", "seconds"}, and one on
standard output. The peers' neurons are floats and differ from Loihi's; layers are made to fire at the
same rates by scaling their weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from norse.torch import LIFCell, LIFRecurrentCell, SequentialState

from snn_deploy.timing import best_seconds

Spec = Mapping[str, Any]


def modules(spec: Spec) -> SequentialState:
    """The network as Norse cells: Linear or Conv2d and LIFCell, or LIFRecurrentCell, a layer."""
    layers: list[torch.nn.Module] = []
    shape = list(spec["shape"])
    for layer in spec["layers"]:
        if layer["convolution"]:
            channels, kernel, stride = layer["convolution"]
            layers.append(torch.nn.Conv2d(shape[0], channels, kernel, stride, bias=False))
            shape = [channels, *((n - kernel) // stride + 1 for n in shape[1:])]
        else:
            if len(shape) > 1:
                layers.append(torch.nn.Flatten())
            n_in, shape = int(np.prod(shape)), [layer["neurons"]]
            if layer["recurrent"]:
                layers.append(LIFRecurrentCell(n_in, layer["neurons"], autapses=True))
                continue
            layers.append(torch.nn.Linear(n_in, layer["neurons"], bias=False))
        layers.append(LIFCell())
    return SequentialState(*layers)


def forward(network: Callable[..., Any], spikes: torch.Tensor) -> torch.Tensor:
    """Output spikes summed over time; spikes: (steps, samples, *shape)."""
    state: Any = None
    total: torch.Tensor | None = None
    for step in spikes:
        fired, state = network(step, state)
        total = fired if total is None else total + fired
    return total if total is not None else torch.empty(0)


def tune(network: SequentialState, spec: Spec, spikes: torch.Tensor) -> list[float]:
    """Scale each layer's input weights until it fires at its rate; return the rates reached."""
    children = list(network.children())
    neurons = [i for i, child in enumerate(children) if isinstance(child, LIFCell | LIFRecurrentCell)]
    reached = []
    for end, layer in zip(neurons, spec["layers"], strict=True):
        part = SequentialState(*children[: end + 1])
        before = children[end] if layer["recurrent"] else children[end - 1]
        weight: torch.Tensor = before.input_weights if layer["recurrent"] else before.weight
        weight.data += weight.data.abs().mean() * 0.2
        original = weight.data.clone()
        low, high, rate = 1e-3, 1e4, 0.0
        for _ in range(24):
            gain = (low * high) ** 0.5
            weight.data = original * gain
            rate = float(forward(part, spikes).mean() / spikes.shape[0])
            low, high = (gain, high) if rate < layer["rate"] else (low, gain)
        reached.append(rate)
    return reached


def measure(spec: Spec) -> dict[str, Any]:
    """Samples a second of every peer that can run, by batch, and the rates of the layers."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)

    def draw(samples: int) -> torch.Tensor:
        shape = (spec["steps"], samples, *spec["shape"])
        drawn = torch.rand(shape, generator=generator)
        return (drawn < float(spec["rate"])).float()

    network = modules(spec)
    speeds: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    with torch.no_grad():
        rates = tune(network, spec, draw(8))
        compiled = torch.compile(network) if spec["compile"] else None
        for name, module in (("norse", network), ("norse torch.compile", compiled)):
            if module is None:
                continue
            try:
                speeds[name] = {}
                for batch in spec["batches"]:
                    spikes = draw(batch)
                    seconds = best_seconds(partial(forward, module, spikes), spec["seconds"])
                    speeds[name][str(batch)] = batch / seconds
            except Exception as error:  # a peer that cannot run is reported, not fatal
                failed[name] = f"{type(error).__name__}: {error}"[:200]
    return {"samples_per_second": speeds, "rates": rates, "failed": failed, "torch": torch.__version__}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(json.load(sys.stdin))))
