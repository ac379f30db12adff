"""SpikingJelly 2.0.0: its neurons with the settings that they have by default, and with others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from tests.conformance.exporters import Reference
from tests.conformance.modules import lively, reference


def references() -> Iterator[Reference]:
    said = "IFNode, LIFNode, ParametricLIFNode: v_reset 0, decay_input=True"
    yield reference("defaults", _defaults, _run, said)
    said = "IFNode, LIFNode, ParametricLIFNode: v_reset a number, decay_input=False; CUBALIFNode: v_reset 0"
    yield reference("hard", _hard, _run, said)
    said = "IFNode, LIFNode, ParametricLIFNode, CUBALIFNode: v_reset=None, decay_input both ways"
    yield reference("soft", _soft, _run, said)
    said = "Conv2d, BatchNorm2d, AvgPool2d, IFNode, LIFNode: v_reset=None"
    yield reference("conv", _conv, _run, said, shape=(2, 8, 8), rate=0.15)
    yield reference("recurrent", _recurrent, _run, "LinearRecurrentContainer of a LIFNode")
    said = "IFNode: v_reset=None, weights of 1/4, so that v meets v_threshold and fires at equality"
    yield reference("ties", _ties, _run, said, tune=False)


def _chain(*neurons: Any, widths: tuple[int, ...] = (16, 14, 12, 10)) -> nn.Module:
    sizes, layers = (12, *widths), []
    for before, after, one in zip(sizes, sizes[1:], neurons, strict=False):
        layers += [layer.Linear(before, after), one]
    return lively(nn.Sequential(*layers))


def _defaults() -> nn.Module:
    return _chain(neuron.IFNode(), neuron.LIFNode(), neuron.ParametricLIFNode())


def _hard() -> nn.Module:
    return _chain(
        neuron.IFNode(v_reset=-0.2),
        neuron.LIFNode(tau=4.0, decay_input=False, v_reset=-0.1, v_threshold=1.2),
        neuron.ParametricLIFNode(init_tau=3.0, decay_input=False, v_reset=0.1),
        neuron.CUBALIFNode(v_threshold=4.0),
    )


def _soft() -> nn.Module:
    return _chain(
        neuron.LIFNode(tau=4.0, v_reset=None, v_threshold=0.4),
        neuron.ParametricLIFNode(init_tau=3.0, decay_input=False, v_reset=None, v_threshold=1.5),
        neuron.IFNode(v_reset=None, v_threshold=2.0),
        neuron.CUBALIFNode(v_reset=None, v_threshold=5.0),
    )


def _conv() -> nn.Module:
    net = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, bias=False),
        layer.BatchNorm2d(4),
        neuron.IFNode(v_reset=None),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(64, 8),
        neuron.LIFNode(v_reset=None, v_threshold=0.3),
    )
    with torch.no_grad():
        net[1].running_mean.uniform_(-0.2, 0.1)
        net[1].running_var.uniform_(0.1, 0.3)
    return lively(net)


def _recurrent() -> nn.Module:
    inner = neuron.LIFNode(tau=3.0, decay_input=False, v_threshold=1.5)
    return lively(
        nn.Sequential(layer.Linear(12, 10), neuron.IFNode(), layer.LinearRecurrentContainer(inner, 10, 10))
    )


def _ties() -> nn.Module:
    net = _chain(neuron.IFNode(v_reset=None), neuron.IFNode(v_reset=None, v_threshold=1.5))
    with torch.no_grad():
        for part in (net[0], net[2]):
            part.weight.copy_(torch.randint(-2, 4, part.weight.shape) * 0.25)
            part.bias.zero_()
    return net


def _run(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, list[torch.Tensor]] = {}
    for path, module in net.named_modules():
        if isinstance(module, neuron.BaseNode):
            module.register_forward_hook(
                lambda _, __, sent, path=path: found.setdefault(path, []).append(sent.clone())
            )
    functional.reset_net(net)
    for step in x.unbind(1):
        net(step)
    return {path: torch.stack(steps, 1) for path, steps in found.items()}
