"""Spikes that get lost, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from snn_deploy.engine import lossy
from snn_deploy.errors import UsageError

nir = pytest.importorskip("nir")


@pytest.fixture(scope="module")
def artifact():
    rng = np.random.default_rng(0)

    def neurons(size):
        whole = np.ones(size)
        return nir.CubaLIF(
            tau_syn=0.002 * whole, tau_mem=0.004 * whole, r=4 * whole, v_leak=0 * whole, v_threshold=whole
        )

    graph = nir.NIRGraph.from_list(
        nir.Input({"input": np.array([12])}),
        nir.Linear(rng.normal(0.1, 0.3, (30, 12))),
        neurons(30),
        nir.Linear(rng.normal(0.05, 0.3, (10, 30))),
        neurons(10),
        nir.Output({"output": np.array([10])}),
    )
    return convert_graph(graph, Options(dt=1e-3, reset="zero"))


@pytest.fixture(scope="module")
def spikes():
    return {"input": (np.random.default_rng(1).random((200, 20, 12)) < 0.3).astype(np.uint8)}


def nodes(artifact):
    return [population.node for population in artifact.network.populations]


@pytest.mark.parametrize("engine", ["float", "fixed"])
def test_nothing_lost_is_the_engine_itself(artifact, spikes, engine):
    network = artifact.discrete if engine == "float" else artifact.network
    record = nodes(artifact)
    found, whole = (
        lossy.run(network, spikes, 0.0, 0, record),
        backends.get(engine).run(artifact, spikes, record=record),
    )
    for node in record:
        assert np.array_equal(found.spikes[node], whole.spikes[node])
        assert 0.01 < found.spikes[node].mean() < 0.9


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_the_share_is_lost_in_the_first_layer_and_felt_in_the_second(artifact, spikes, share):
    record = nodes(artifact)
    whole = backends.get("fixed").run(artifact, spikes, record=record)
    found = lossy.run(artifact.network, spikes, share, 3, record)
    first, second = record
    before, after = whole.spikes[first], found.spikes[first]
    assert np.all(after <= before)
    assert after.sum() / before.sum() == pytest.approx(1 - share, abs=0.02)
    assert found.spikes[second].mean() < (1 - share / 2) * whole.spikes[second].mean()
    assert np.any(found.counts[next(iter(found.counts))] > 0)


def test_the_same_spikes_are_lost_on_every_engine(artifact, spikes):
    first = nodes(artifact)[0]
    kept = []
    for network, engine in ((artifact.discrete, "float"), (artifact.network, "fixed")):
        whole = backends.get(engine).run(artifact, spikes, record=[first]).spikes[first]
        after = lossy.run(network, spikes, 0.3, 5, [first]).spikes[first]
        kept.append(np.where(whole == 1, after, 2))
    both = (kept[0] < 2) & (kept[1] < 2)
    assert both.sum() > 1000
    assert np.array_equal(kept[0][both], kept[1][both])
    other = lossy.run(artifact.network, spikes, 0.3, 6, [first]).spikes[first]
    assert not np.array_equal(other, kept[1])


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_cannot_be_is_refused(artifact, spikes, share):
    with pytest.raises(UsageError, match="a share of spikes to lose"):
        lossy.run(artifact.network, spikes, share, 0)
