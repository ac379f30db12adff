"""A small spiking classifier, trained in seconds: the subject of the quantisation benchmark.

Two layers of Norse neurons; the class is the output neuron with the most spikes. Imports torch: reach
it inside functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from snn_deploy.convert.arrays import IntArray, SpikeArray
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.walk import to_nir
from snn_deploy.train.unroll import unroll

if TYPE_CHECKING:
    import nir

_BATCH, _RATE = 100, 2e-3
#: Spikes of the right output that outweigh e to 1 in the loss.
_SPIKES_A_NAT = 3.0


def train_classifier(
    spikes: SpikeArray, labels: IntArray, *, hidden: int, recurrent: bool, epochs: int, seed: int
) -> nir.NIRGraph:
    """Train on ``spikes`` (samples, steps, inputs) and return the network as a NIR graph.

    labels: class of each sample, 0 .. classes - 1. The same arguments give the same graph on the same
    machine and torch; torch's own generator is left as it was.
    """
    inputs, outputs = spikes.shape[2], int(labels.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _build(inputs, hidden, outputs, recurrent)
        _fit(module, torch.from_numpy(np.ascontiguousarray(spikes)), torch.from_numpy(labels), epochs)
    return to_nir(module, {"input": inputs})


def _build(inputs: int, hidden: int, outputs: int, recurrent: bool) -> nn.Sequential:
    norse = import_norse()
    first = (
        [norse.LIFRecurrentCell(inputs, hidden)]
        if recurrent
        else [nn.Linear(inputs, hidden, bias=False), norse.LIFCell()]
    )
    module: nn.Sequential = norse.SequentialState(
        *first, nn.Linear(hidden, outputs, bias=False), norse.LIFCell()
    )
    with torch.no_grad():
        for name, weight in module.named_parameters():
            spread = 0.1 if name.endswith("recurrent_weights") else 2.0
            weight.normal_(0, spread / float(np.sqrt(weight.shape[1])))
            if name.endswith("recurrent_weights"):
                weight.fill_diagonal_(0)
    return module


def _fit(module: nn.Sequential, spikes: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
    optimiser = torch.optim.Adam(module.parameters(), lr=_RATE)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(spikes)), _BATCH):
            raster = spikes[batch].float().transpose(0, 1)
            counts = unroll(module, raster)[-1].sum(dim=0)
            loss = nn.functional.cross_entropy(counts / _SPIKES_A_NAT, labels[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
