"""Graphs that other frameworks exported give those frameworks' spikes, or are refused by name."""

from __future__ import annotations

import json
import logging
from functools import cache
from importlib import import_module
from pathlib import Path

import nir
import numpy as np
import pytest

from snn_deploy.convert.artifact import graph_tree
from snn_deploy.convert.frontends.nir_file import graph_from_tree, read_graph
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.connections import synapses
from snn_deploy.network.contract import Contract

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


def with_outcome(*outcomes, source=("exporter", "from_torch")):
    chosen = [stored(name)[0] for name in NAMES]
    return pytest.mark.parametrize(
        "name",
        [
            name
            for name, facts in zip(NAMES, chosen, strict=True)
            if facts["outcome"] in outcomes and facts.get("source", "exporter") in source
        ],
    )


def graph_of(name):
    return read_graph(FIXTURES / f"{name}.nir")


def run(name, **instead):
    """Our float run of a fixture under the contract that it states, as (spikes, membranes) by node."""
    facts, inputs, _, _ = {**stored(name)[0], **instead}, *stored(name)[1:]
    graph = instead.get("graph", graph_of(name))
    contract = Contract.resolve(graph.metadata, facts["dt"], facts["reset"], facts["decay"])
    source = next(key for key, node in graph.nodes.items() if isinstance(node, nir.Input))
    network = prepare(graph, contract).network
    result = float_engine.run(network, {source: inputs})
    units = {p.name: (p.v_reset, p.gap) for p in network.populations}
    volts = {node: units[node][0] + units[node][1] * v for node, v in result.membranes.items()}
    return result.rasters, volts


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
    rasters, volts = run(name)
    for node, raster in spikes.items():
        np.testing.assert_array_equal(rasters[node], raster, err_msg=node)
    for node, values in membranes.items():
        np.testing.assert_allclose(
            volts[node], values, rtol=0, atol=1e-5 * np.abs(values).max(), err_msg=node
        )


@with_outcome("refused", source=("from_torch",))
def test_the_nearest_thing_to_a_refused_setting_differs_by_the_share_that_is_told(name):
    facts, _, spikes, _ = stored(name)
    rasters, _ = run(name)
    wrong = sum(int(np.count_nonzero(rasters[node] != raster)) for node, raster in spikes.items())
    assert wrong / sum(raster.size for raster in spikes.values()) == pytest.approx(
        facts["mismatch"], abs=5e-5
    )
    assert facts["mismatch"] > 0.01


@with_outcome("refused", source=("exporter",))
def test_a_refusal_names_what_the_file_cannot_say(name):
    facts = stored(name)[0]
    silent = {"reset": "zero"} if facts["framework"] == "Norse to_nir" else {"reset": None}
    with pytest.raises(ModelNotSupported, match=facts["refusal"]):
        run(name, **silent)


@with_outcome("differs")
def test_a_file_that_cannot_be_right_is_warned_of(name, caplog):
    facts, _, spikes, _ = stored(name)
    with caplog.at_level(logging.WARNING):
        rasters, _ = run(name)
    assert facts["refusal"] in caplog.text
    assert any(np.any(rasters[node] != raster) for node, raster in spikes.items())


def test_the_gain_that_norse_leaves_out_is_all_that_differs():
    graph = graph_of("norse-cuba")
    node = graph.nodes["1"]
    node.w_in = node.tau_syn / stored("norse-cuba")[0]["dt"]
    rasters, _ = run("norse-cuba", graph=graph)
    np.testing.assert_array_equal(rasters["1"], stored("norse-cuba")[2]["1"])


def test_the_notes_on_rockpool_are_all_that_differs():
    """Rockpool's equations, written here with the fields of its file, give its spikes."""
    facts, inputs, spikes, _ = stored("rockpool-lif")
    nodes = graph_of("rockpool-lif").nodes
    signal = inputs.astype(np.float32)
    for weights, neurons in (("0_LinearTorch", "1_LIFTorch"), ("2_LinearTorch", "3_LIFNeuronTorch")):
        node, matrix = nodes[neurons], nodes[weights]
        tau_mem = node.tau_mem if neurons == "1_LIFTorch" else node.tau
        keep_u = np.exp(-facts["dt"] / node.tau_syn) if neurons == "1_LIFTorch" else 0.0
        keep_v = np.exp(-facts["dt"] / tau_mem)
        u, v = np.zeros((2, len(signal), len(tau_mem)))
        found = []
        for step in signal.swapaxes(0, 1):
            drive = step @ matrix.weight.T + getattr(matrix, "bias", 0.0)
            u = keep_u * (u + drive) if neurons == "1_LIFTorch" else drive
            v = keep_v * v + u
            found.append(v >= node.v_threshold)
            v = v - found[-1] * node.v_threshold
        signal = np.stack(found, 1).astype(np.float32)
        np.testing.assert_array_equal(signal, spikes[neurons])


def test_the_read_out_of_rockpool_is_ours_times_its_own_gain():
    facts, _, _, membranes = stored("rockpool-exp_syn")
    _, volts = run("rockpool-exp_syn", reset="zero")
    ratio = facts["dt"] / graph_of("rockpool-exp_syn").nodes["1_ExpSynTorch"].tau
    wanted = membranes["1_ExpSynTorch"]
    ours = volts["1_ExpSynTorch"] * ratio / -np.expm1(-ratio)
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_sinabs_reset_by_subtraction_is_exact_once_it_is_stated():
    spikes, (rasters, _) = stored("sinabs-subtract")[2], run("sinabs-subtract")
    for node, raster in spikes.items():
        np.testing.assert_array_equal(rasters[node], raster)


@pytest.mark.parametrize("name", ["sinabs-subtract", "rockpool-lif"])
def test_another_reset_gives_other_spikes(name):
    """So it is worth its while to ask for the reset: a file does not say which it is."""
    rasters, _ = run(name, reset="zero")
    assert any(np.mean(rasters[node] != raster) > 0.01 for node, raster in stored(name)[2].items())


@with_outcome("exact", "differs")
def test_a_converted_graph_can_be_stored_and_read_again(name):
    facts = stored(name)[0]
    graph = graph_of(name)
    contract = Contract.resolve(graph.metadata, facts["dt"], facts["reset"], facts["decay"])
    first = prepare(graph, contract)
    again = prepare(graph_from_tree(graph_tree(first.graph), name), contract)
    for one, two in zip(first.network.projections, again.network.projections, strict=True):
        np.testing.assert_array_equal(synapses(one.connection).toarray(), synapses(two.connection).toarray())
    for one, two in zip(first.network.populations, again.network.populations, strict=True):
        np.testing.assert_array_equal(one.dv, two.dv)


@pytest.mark.slow  # the frameworks' own loops, over and over until every layer fires well
@pytest.mark.parametrize("framework", ["snntorch", "spikingjelly", "sinabs", "rockpool"])
def test_the_fixtures_are_what_the_walkers_still_write(framework):
    """Where the framework is installed: its modules give the stored graphs and spikes again."""
    pytest.importorskip(framework)
    for reference in import_module(f"tests.conformance.modules.{framework}").references():
        name = f"{framework}-module-{reference.name}"
        facts, _, spikes, _ = stored(name)
        assert (facts["outcome"], facts["mismatch"]) == (reference.outcome, reference.mismatch)
        again = graph_of(name).nodes
        assert set(again) == set(reference.graph.nodes)
        for node, kept in again.items():
            for field, value in vars(reference.graph.nodes[node]).items():
                if isinstance(value, np.ndarray):
                    np.testing.assert_allclose(
                        getattr(kept, field), value, rtol=1e-6, err_msg=f"{name}: {node}"
                    )
        for node, raster in spikes.items():
            np.testing.assert_array_equal(reference.spikes[node], raster, err_msg=f"{name}: {node}")
