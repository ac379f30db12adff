"""Graphs that other frameworks exported give the spikes that those frameworks give, or are refused by name."""

from __future__ import annotations

import json
import logging
from functools import cache
from pathlib import Path

import nir
import numpy as np
import pytest

from snn_deploy.convert.contract import Contract
from snn_deploy.convert.frontends.nir_file import read_graph
from snn_deploy.convert.pipeline import prepare
from snn_deploy.deploy.backends import float_reference

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.npz"))


@cache
def stored(name):
    """(facts, inputs by step, spikes by node, membranes by node) of a fixture."""
    with np.load(FIXTURES / f"{name}.npz") as arrays:
        facts, inputs = json.loads(str(arrays["facts"])), arrays["input"]
        spikes, membranes = (
            {key.removeprefix(kind): arrays[key] for key in arrays if key.startswith(kind)}
            for kind in ("spikes.", "membranes.")
        )
    return facts, inputs.reshape(*inputs.shape[:2], -1), spikes, membranes


def with_outcome(*outcomes):
    return pytest.mark.parametrize("name", [n for n in NAMES if stored(n)[0]["outcome"] in outcomes])


def run(name):
    """Our float run of a fixture, under the contract that it states."""
    facts, inputs, _, _ = stored(name)
    graph = read_graph(FIXTURES / f"{name}.nir")
    contract = Contract.resolve(graph.metadata, dt=facts["dt"], reset=facts["reset"])
    source = next(key for key, node in graph.nodes.items() if isinstance(node, nir.Input))
    return float_reference.run(prepare(graph, contract).network, {source: inputs})


@pytest.mark.parametrize("name", NAMES)
def test_a_fixture_is_small_and_every_layer_of_it_works(name):
    _, _, spikes, membranes = stored(name)
    assert all((FIXTURES / f"{name}.{kind}").stat().st_size < 50_000 for kind in ("nir", "npz"))
    assert spikes or membranes
    for node, raster in spikes.items():
        assert 0.02 < raster.mean() < 0.6, node
        assert np.ptp(raster.sum(axis=(0, 1))) > 0, node
        assert np.ptp(raster.sum(axis=(1, 2))) > 0, node
    for node, values in membranes.items():
        assert np.all(np.ptp(values, axis=(0, 1)) > 0), node


@with_outcome("exact")
def test_every_spike_is_that_of_the_framework(name):
    """No membrane of these runs lies within rounding of its threshold."""
    _, _, spikes, membranes = stored(name)
    result = run(name)
    for node, raster in spikes.items():
        np.testing.assert_array_equal(result.rasters[node], raster, err_msg=node)
    for node, values in membranes.items():
        np.testing.assert_allclose(result.membranes[node], values, rtol=1e-5, atol=1e-5, err_msg=node)
