"""Graphs that other frameworks exported give the spikes that those frameworks give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snn_deploy.convert.contract import Contract
from snn_deploy.convert.frontends.nir_file import read_graph
from snn_deploy.convert.pipeline import prepare
from snn_deploy.deploy.backends import float_reference

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.mark.parametrize("name", ["snntorch", "sinabs"])
def test_every_spike_is_that_of_the_framework(name):
    """The fixtures hold float32 runs; these inputs leave no membrane within float32 of its threshold."""
    graph = read_graph(FIXTURES / f"{name}.nir")
    with np.load(FIXTURES / f"{name}.npz") as stored:
        wanted = {key.removeprefix("spikes."): stored[key] for key in stored if key.startswith("spikes.")}
        inputs, dt = stored["input"], float(stored["dt"])
    network = prepare(graph, Contract.resolve(graph.metadata, dt=dt, reset="zero")).network
    rasters = float_reference.run(network, {"input": inputs.reshape(*inputs.shape[:2], -1)}).rasters
    for node, spikes in wanted.items():
        assert 0.01 < spikes.mean() < 0.9, node
        assert spikes.sum(axis=(0, 1)).std() > 0, node
        np.testing.assert_array_equal(rasters[node], spikes, err_msg=node)
