"""Reset by subtraction: the float engine against frameworks that have it, run step by step in float64."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest
import torch
from torch import nn

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.network.contract import Contract
from tests.equivalence.graphs import DT

STEPS, SAMPLES, SIZES = 200, 4, (12, 16, 8)


def layers(rng: np.random.Generator) -> list[nn.Linear]:
    made = []
    for n, m in pairwise(SIZES):
        layer = nn.Linear(n, m, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(rng.normal(0.3, 0.6, (m, n))))
        made.append(layer)
    return made


def engine_spikes(
    linear: list[nn.Linear], neurons: list[nir.NIRNode], spikes: np.ndarray
) -> list[np.ndarray]:
    nodes = {"input": nir.Input(np.array([SIZES[0]]))}
    for i, (layer, neuron) in enumerate(zip(linear, neurons, strict=True)):
        nodes |= {f"w{i}": nir.Affine(layer.weight.detach().numpy(), layer.bias.detach().numpy())}
        nodes |= {f"n{i}": neuron}
    nodes |= {"output": nir.Output(np.array([SIZES[-1]]))}
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)))
    network = prepare(graph, Contract(DT, reset="subtract")).network
    rasters = float_engine.run(network, {"input": spikes}).rasters
    return [rasters[f"n{i}"] for i in range(len(neurons))]


def same(ours: list[np.ndarray], theirs: list[torch.Tensor]) -> None:
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, other.numpy().astype(np.uint8))
        assert 0.02 < own.mean() < 0.95
        assert len(set(own.sum(axis=(0, 1)).tolist())) > 3


def stepped(spikes: np.ndarray, step) -> list[torch.Tensor]:
    """What each layer sends, stacked to (samples, steps, neurons)."""
    with torch.no_grad():
        sent = [step(torch.tensor(spikes[:, t], dtype=torch.float64)) for t in range(spikes.shape[1])]
    return [torch.stack(layer, dim=1) for layer in zip(*sent, strict=True)]


def test_norse_lif_box() -> None:
    norse = import_norse()
    rng = np.random.default_rng(1)
    linear, cells, neurons = layers(rng), [], []
    for size in SIZES[1:]:
        inverse, leak, threshold = (rng.uniform(*r, size) for r in ((100, 500), (-0.1, 0.1), (0.4, 0.9)))
        parameters = norse.LIFBoxParameters(
            tau_mem_inv=torch.tensor(inverse),
            v_leak=torch.tensor(leak),
            v_th=torch.tensor(threshold),
            reset_method=norse.functional.reset.reset_subtract,
        )
        cells.append(norse.LIFBoxCell(parameters))
        neurons.append(nir.LIF(1 / inverse, np.ones(size), leak, threshold, np.zeros(size)))
    states = [None, None]

    def step(x):
        sent = []
        for i, (layer, cell) in enumerate(zip(linear, cells, strict=True)):
            x, states[i] = cell(layer(x), states[i])
            sent.append(x)
        return sent

    spikes = (rng.random((SAMPLES, STEPS, SIZES[0])) < 0.3).astype(np.uint8)
    same(engine_spikes(linear, neurons, spikes), stepped(spikes, step))


def test_snntorch_leaky_by_default() -> None:
    """It takes the threshold off in the step after the spike, behind the leak. Before it, that is
    threshold / beta, which v_threshold - v_reset is for v_reset = threshold (1 - 1 / beta)."""
    snntorch = pytest.importorskip("snntorch")
    rng = np.random.default_rng(2)
    linear, cells, neurons = layers(rng), [], []
    for size in SIZES[1:]:
        beta, threshold = rng.uniform(0.6, 0.97, size), rng.uniform(2.0, 8.0, size)
        cells.append(snntorch.Leaky(torch.tensor(beta), threshold=torch.tensor(threshold)))
        tau = DT / (1 - beta)
        neurons.append(nir.LIF(tau, tau / DT, np.zeros(size), threshold, threshold * (1 - 1 / beta)))
    membranes = [torch.zeros(SAMPLES, size, dtype=torch.float64) for size in SIZES[1:]]

    def step(x):
        sent = []
        for i, (layer, cell) in enumerate(zip(linear, cells, strict=True)):
            x, membranes[i] = cell(layer(x.double()), membranes[i])
            sent.append(x)
        return sent

    spikes = (rng.random((SAMPLES, STEPS, SIZES[0])) < 0.3).astype(np.uint8)
    same(engine_spikes(linear, neurons, spikes), stepped(spikes, step))
