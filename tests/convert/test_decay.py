"""Decays of exp(-dt / tau): the float network follows the equation, and the artifact keeps the contract."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.network.contract import Contract
from tests.equivalence.graphs import Draw, chain

DT = 1e-3


def _graph():
    draw = Draw(5)
    return chain(draw.affine(20, 8), draw.cuba_lif(20), shape=[8])


def _exponential(graph, spikes):
    """u <- e_u u + (1 - e_u) w_in (W s + b);  v <- e_v v + (1 - e_v) (v_leak + r u);  v <- v_reset at z."""
    affine, node = (
        next(n for n in graph.nodes.values() if isinstance(n, t)) for t in (nir.Affine, nir.CubaLIF)
    )
    keep_u, keep_v = np.exp(-DT / node.tau_syn), np.exp(-DT / node.tau_mem)
    u = np.zeros((len(spikes), len(node.tau_mem)))
    v, raster = u + node.v_leak, []
    for step in spikes.swapaxes(0, 1):
        u = keep_u * u + (1 - keep_u) * node.w_in * (step @ affine.weight.T + affine.bias)
        v = keep_v * v + (1 - keep_v) * (node.v_leak + node.r * u)
        raster.append(v > node.v_threshold)
        v = np.where(raster[-1], node.v_reset, v)
    return np.stack(raster, 1)


@pytest.mark.parametrize("decay", ["euler", "exponential"])
def test_the_float_run_decays_as_the_contract_says(decay):
    graph, spikes = _graph(), Draw(6).spikes(3, 400, (8,), 0.3)
    network = prepare(graph, Contract(DT, decay=decay)).network
    found = float_engine.run(network, {"input": spikes}).rasters
    (raster,) = (found[p.name] for p in network.populations)
    wanted = _exponential(graph, spikes)
    assert 0.02 < wanted.mean() < 0.6
    assert np.ptp(wanted.sum(axis=(0, 1))) > 0
    assert np.array_equal(raster, wanted) == (decay == "exponential")


def test_the_artifact_keeps_decay_and_time_constants(tmp_path):
    graph = _graph()
    options = Options(dt=DT, reset="zero", decay="exponential", level=0)
    convert_graph(graph, options).save(tmp_path / "a.snn")
    again = Artifact.load(tmp_path / "a.snn")
    assert again.network.contract == Contract(DT, decay="exponential")
    assert again.graph.metadata["decay"] == "exponential"
    node, stored = (
        next(n for n in g.nodes.values() if isinstance(n, nir.CubaLIF)) for g in (graph, again.graph)
    )
    np.testing.assert_array_equal(stored.tau_mem, node.tau_mem)
    registers = {round(4096 * -np.expm1(-DT / tau)) for tau in node.tau_mem}
    assert {p.dv for p in again.network.populations} <= {r + d for r in registers for d in (-1, 0, 1)}
