"""Small spiking classifiers, trained in seconds: the subjects of the quantisation benchmark.

Two layers of Norse neurons whose class is the output neuron with the most spikes, or a chain whose
output counts a linear read-out classifies. Imports torch: reach it inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from snn_deploy.convert.frontends.modules.walk import from_torch
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.errors import UsageError
from snn_deploy.network.arrays import FloatArray, IntArray, SpikeArray
from snn_deploy.train.unroll import unroll

if TYPE_CHECKING:
    import nir

_BATCH, _RATE = 100, 2e-3
#: Spikes of the right output that outweigh e to 1 in the loss.
_SPIKES_A_NAT = 3.0
#: Samples on which the firing rates of a fresh chain are set, halvings of the interval of its gains, and
#: that interval.
_SETTLING, _HALVINGS, _GAINS = 64, 12, (0.5, 100.0)
#: Of the samples, the last ones that training does not see; epochs within which it must succeed.
_VALIDATION_SHARE, _MOST_EPOCHS = 0.2, 20


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
    return from_torch(module, {"input": inputs})


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


def train_chain(
    spikes: SpikeArray,
    labels: IntArray,
    weights: Sequence[FloatArray],
    recurrent: FloatArray,
    *,
    rate: float,
    accuracy: float,
    seed: int,
) -> nir.NIRGraph:
    """Train a chain of LIF layers, the first one recurrent, and return it as a NIR graph.

    spikes: (samples, steps, inputs). weights: of each layer, (rows, columns); recurrent: of the first, in
    the same unit. One gain a layer first makes it fire in ``rate`` of all steps. Training ends with the
    first epoch after which a linear read-out of the output counts, which the graph does not hold, is more
    than ``accuracy`` right on samples that training does not see.
    Raises UsageError where 20 epochs do not reach that.
    """
    kept = len(spikes) - int(_VALIDATION_SHARE * len(spikes))
    rasters, classes = torch.from_numpy(np.ascontiguousarray(spikes)), torch.from_numpy(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _chain(weights, recurrent)
        _settle(module, rasters[:_SETTLING].float().transpose(0, 1), rate)
        head = nn.Linear(len(weights[-1]), int(labels.max()) + 1)
        optimiser = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=_RATE)

        def logits(chosen: torch.Tensor) -> torch.Tensor:
            raster = rasters[chosen].float().transpose(0, 1)
            return head(unroll(module, raster)[-1].sum(dim=0) / _SPIKES_A_NAT)  # type: ignore[no-any-return]

        for _ in range(_MOST_EPOCHS):
            for batch in torch.split(torch.randperm(kept), _BATCH):
                loss = nn.functional.cross_entropy(logits(batch), classes[batch])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            with torch.no_grad():
                held_out = torch.arange(kept, len(spikes))
                right = (logits(held_out).argmax(dim=1) == classes[held_out]).double().mean()
            if float(right) > accuracy:
                return from_torch(module, {"input": spikes.shape[2]})
    raise UsageError(
        f"{_MOST_EPOCHS} epochs do not reach the accuracy",
        where="train_chain",
        found=f"{float(right):.3f}",
        allowed=f"> {accuracy}",
    )


def _chain(weights: Sequence[FloatArray], recurrent: FloatArray) -> nn.Sequential:
    norse = import_norse()
    layers = [norse.LIFRecurrentCell(weights[0].shape[1], weights[0].shape[0])]
    for weight in weights[1:]:
        layers += [nn.Linear(weight.shape[1], weight.shape[0], bias=False), norse.LIFCell()]
    module: nn.Sequential = norse.SequentialState(*layers)
    given = iter(weights)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fresh = recurrent if name.endswith("recurrent_weights") else next(given)
            parameter.copy_(torch.from_numpy(fresh))
    return module


def _settle(module: nn.Sequential, raster: torch.Tensor, rate: float) -> None:
    """Multiply the weights of one layer after the other by what makes it fire in ``rate`` of all steps."""
    weighted = [layer for layer in module if list(layer.parameters())]
    with torch.no_grad():
        for depth, layer in enumerate(weighted):
            fresh = [weight.clone() for weight in layer.parameters()]
            low, high = _GAINS
            for _ in range(_HALVINGS):
                gain = float(np.sqrt(low * high))
                for weight, start in zip(layer.parameters(), fresh, strict=True):
                    weight.copy_(gain * start)
                fires = float(unroll(module, raster)[depth].mean())
                low, high = (low, gain) if fires > rate else (gain, high)
