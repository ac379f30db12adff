"""Zero mismatching spikes against Norse itself, run step by step in float64, for every supported module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snn_deploy.convert.frontends.modules.walk import from_torch
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.network.contract import Contract

norse = import_norse()
STEPS, SAMPLES = 200, 4


def draw(low, high, *shape):
    return torch.empty(shape, dtype=torch.float64).uniform_(low, high)


def lif(*shape):
    return norse.LIFParameters(
        tau_syn_inv=draw(100, 400, *shape),
        tau_mem_inv=draw(50, 300, *shape),
        v_leak=draw(-0.1, 0.1, *shape),
        v_th=draw(0.2, 0.5, *shape),
        v_reset=draw(-0.2, 0.1, *shape),
    )


def box(*shape):
    return norse.LIFBoxParameters(
        tau_mem_inv=draw(100, 500, *shape),
        v_leak=draw(-0.1, 0.1, *shape),
        v_th=draw(0.1, 0.3, *shape),
        v_reset=draw(-0.2, 0.0, *shape),
    )


def iaf(*shape):
    return norse.IAFParameters(v_th=draw(0.8, 1.5, *shape), v_reset=draw(-0.2, 0.1, *shape))


def scalar_leak(parameters):
    """LIFRecurrentCell takes one v_leak for all."""
    return parameters._replace(v_leak=torch.tensor(0.05, dtype=torch.float64))


def lively(module, gain=1.0):
    """Weights with a positive mean, so that neurons fire."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(gain).add_(0.3 * gain / parameter[0].numel() ** 0.5)
    return module


class Own(nn.Module):
    """A module of a user's own: two layers and a skip connection, states as a tuple."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(12, 16), norse.LIFCell(lif(16))
        self.fc2, self.lif2 = nn.Linear(16, 8, bias=False), norse.LIFBoxCell(box(8))
        self.skip = nn.Linear(12, 8)

    def forward(self, x, state=None):
        s1, s2 = (None, None) if state is None else state
        z, s1 = self.lif1(self.fc1(x), s1)
        z, s2 = self.lif2(self.fc2(z) + self.skip(x), s2)
        return z, (s1, s2)


class OwnDict(nn.Module):
    """States by name, a cell inside a module inside, dropout, and a flatten in forward."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.inner = Inner(3 * 4 * 5, 10)
        self.drop = nn.Dropout(0.5)

    def forward(self, x, state=None):
        state = {"inner": None} if state is None else state
        z, inner = self.inner(torch.flatten(self.conv(x), 1), state["inner"])
        return self.drop(z), {"inner": inner}


class Inner(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.fc, self.cell = nn.Linear(inputs, outputs), norse.LIFCell(lif(outputs))

    def forward(self, x, state=None):
        return self.cell(self.fc(x), state)


def sequence(*modules):
    return norse.SequentialState(*modules)


def normed(layer, norm):
    """Batch statistics as training leaves them."""
    with torch.no_grad():
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.uniform_(0.8, 1.5)
        norm.bias.uniform_(-0.1, 0.2)
    return layer, norm


def classic():
    return sequence(nn.Linear(12, 16), norse.LIFCell(lif(16)), nn.Linear(16, 8), norse.LIFCell(lif(8)))


def recurrent(cell, **options):
    return sequence(cell(12, 16, scalar_leak(lif(16)), **options))


def two_boxes():
    layers = nn.Linear(12, 16, bias=False), norse.LIFBoxCell(box(16))
    return sequence(*layers, nn.Linear(16, 8), norse.LIFBoxCell(box(8)))


def nested():
    inner = sequence(norse.LIFCell(lif(16)), nn.Linear(16, 9))
    return sequence(nn.Linear(12, 16), inner, norse.LIFCell(lif(9)))


def fed_back():
    loop = norse.RecurrentSequential(norse.LIFCell(lif(16)), nn.Linear(16, 16, bias=False))
    return sequence(nn.Linear(12, 16), loop, norse.LIFBoxCell(box(16)))


def fed_back_to_weights():
    loop = norse.RecurrentSequential(nn.Linear(16, 16), norse.LIFBoxCell(box(16)), output_modules=-1)
    return sequence(nn.Linear(12, 16), loop)


def convolutional():
    first = nn.Conv2d(2, 4, 3, padding=1), norse.LIFCell(lif(4, 1, 1)), nn.AvgPool2d(2)
    second = nn.Conv2d(4, 5, 3, bias=False, stride=2), norse.LIFCell(lif()), nn.Flatten()
    return sequence(*first, *second, nn.Linear(20, 6), norse.LIFCell(lif(6)))


def along_a_line():
    first = nn.Conv1d(2, 4, 5, dilation=2), norse.LIFCell(lif(4, 12)), nn.Flatten(), nn.Dropout(0.3)
    return sequence(*first, nn.Linear(48, 6), norse.LIFCell(lif(6)))


def batch_norms():
    first = *normed(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)), norse.LIFCell(lif()), nn.Flatten()
    return sequence(*first, *normed(nn.Linear(144, 6, bias=False), nn.BatchNorm1d(6)), norse.LIFCell(lif(6)))


def norm_of_spikes():
    norm = normed(norse.LIFCell(lif()), nn.BatchNorm2d(2))
    return sequence(*norm, nn.Conv2d(2, 3, 3), norse.LIFCell(lif()))


#: name -> (how to build it, input shape).
MODELS = {
    "LIFCell": (classic, (12,)),
    "LIFCell, scalar parameters": (lambda: sequence(nn.Linear(12, 16), norse.LIFCell(lif())), (12,)),
    "LIFCell, other dt": (lambda: sequence(nn.Linear(12, 16), norse.LIFCell(lif(16), dt=2e-3)), (12,)),
    "LIFBoxCell": (two_boxes, (12,)),
    "IAFCell": (lambda: sequence(nn.Linear(12, 16), norse.IAFCell(iaf(16))), (12,)),
    "LIFRecurrentCell": (lambda: recurrent(norse.LIFRecurrentCell), (12,)),
    "LIFRecurrentCell, autapses": (lambda: recurrent(norse.LIFRecurrentCell, autapses=True), (12,)),
    "SequentialState inside": (nested, (12,)),
    "RecurrentSequential": (fed_back, (12,)),
    "RecurrentSequential of weights": (fed_back_to_weights, (12,)),
    "Conv2d, AvgPool2d, Flatten": (convolutional, (2, 10, 10)),
    "Conv1d, Dropout": (along_a_line, (2, 20)),
    "sum pooling": (
        lambda: sequence(nn.LPPool2d(1, 2), nn.Conv2d(2, 4, 3), norse.LIFBoxCell(box())), (2, 10, 10)),
    "BatchNorm": (batch_norms, (2, 8, 8)),
    "BatchNorm of spikes": (norm_of_spikes, (2, 8, 8)),
    "own module": (Own, (12,)),
    "own module in SequentialState": (
        lambda: sequence(nn.Linear(5, 12), norse.LIFCell(lif(12)), Own()), (5,)),
    "own modules inside, states by name": (OwnDict, (1, 6, 7)),
}  # fmt: skip
#: Weights that keep the last layer from firing all the time.
GAINS = {
    "Conv1d, Dropout": 0.4,
    "sum pooling": 0.5,
    "BatchNorm": 0.6,
    "LIFRecurrent": 0.5,
    "LIFRecurrentCell": 0.5,
    "LIFRecurrentCell, autapses": 0.5,
    "RecurrentSequential of weights": 0.6,
}
#: Time modules take all steps at once.
TIME = {
    "LIF": (lambda: sequence(nn.Linear(12, 16), norse.LIF(scalar_leak(lif(16)))), (12,)),
    "LIFRecurrent": (lambda: recurrent(norse.LIFRecurrent), (12,)),
    "Lift": (lambda: sequence(norse.Lift(nn.Conv2d(2, 4, 3)), norse.LIF(scalar_leak(lif()))), (2, 8, 8)),
}


def li_parameters():
    return norse.LIParameters(draw(100, 400, 7), draw(50, 200, 7), draw(-0.5, 0.5, 7))


READ_OUTS = {
    "LICell": lambda: norse.LICell(li_parameters()),
    "LIBoxCell": lambda: norse.LIBoxCell(norse.LIBoxParameters(draw(50, 200, 7), draw(-0.5, 0.5, 7))),
    "LILinearCell": lambda: norse.LILinearCell(7, 7, li_parameters()),
}


def spikes(shape, seed=0):
    return (np.random.default_rng(seed).random((SAMPLES, STEPS, *shape)) < 0.2).astype(np.uint8)


def norse_run(module, raster, *, whole=False):
    """(samples, steps, outputs) of Norse itself, step by step, or all steps at once for time modules."""
    x = torch.from_numpy(np.moveaxis(raster, 0, 1).astype(np.float64))
    with torch.no_grad():
        if whole:
            sent = module(x)[0]
        else:
            state, out = None, []
            for step in x:
                z, state = module(step, state)
                out.append(z)
            sent = torch.stack(out)
    return np.moveaxis(sent.numpy(), 0, 1).reshape(SAMPLES, STEPS, -1)


def own_run(module, shape, raster):
    """The same by way of NIR and the float engine: rasters of spiking outputs, membranes of read-outs."""
    graph = from_torch(module, {"input": shape})
    network = prepare(graph, Contract.resolve(graph.metadata)).network
    (output,) = network.outputs
    population = next(p for p in network.populations if p.name == output.node)
    run = float_engine.run(network, {"input": raster.reshape(SAMPLES, STEPS, -1)})
    if population.spiking:
        return run.rasters[population.name]
    return population.v_reset + population.gap * run.membranes[population.name]


def build(make, gain=1.0):
    torch.manual_seed(7)
    return lively(make().double(), gain).eval()


@pytest.mark.parametrize("name", [*MODELS, *TIME])
def test_every_spike_equals_norse(name):
    make, shape = (MODELS | TIME)[name]
    module = build(make, GAINS.get(name, 1.0))
    raster = spikes(shape)
    expected = norse_run(module, raster, whole=name in TIME)
    assert set(np.unique(expected)) == {0.0, 1.0}
    assert 0.01 < expected.mean() < 0.9
    assert expected.sum(axis=(0, 1)).std() > 0
    np.testing.assert_array_equal(own_run(module, shape, raster), expected)


@pytest.mark.parametrize("name", READ_OUTS)
def test_every_membrane_equals_norse(name):
    shape = (12,)
    module = build(
        lambda: sequence(nn.Linear(12, 16), norse.LIFCell(lif(16)), nn.Linear(16, 7), READ_OUTS[name]())
    )
    raster = spikes(shape)
    expected = norse_run(module, raster)
    assert np.abs(np.diff(expected, axis=1)).max() > 0.01
    np.testing.assert_allclose(own_run(module, shape, raster), expected, rtol=0, atol=1e-12)
