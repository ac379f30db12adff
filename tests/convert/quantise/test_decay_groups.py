"""Neurons with time constants of their own share pairs of registers, at a price that is measured and said."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.quantise.decay_groups import grouped_decays
from snn_deploy.convert.quantise.decays import round_decays
from snn_deploy.deploy import backends
from snn_deploy.hw_profiles import load
from snn_deploy.network.discrete import DiscretePopulation

PROFILE = load("loihi2")
STEP = 1e-3


def own_constants(neurons: int, seed: int) -> nir.NIRGraph:
    """A layer whose neurons each have both time constants drawn at random."""
    generator = np.random.default_rng(seed)
    tau_syn = generator.uniform(0.002, 0.01, neurons)
    ones = np.ones(neurons)
    hidden = nir.CubaLIF(
        tau_syn=tau_syn,
        tau_mem=generator.uniform(0.005, 0.05, neurons),
        r=ones,
        v_leak=0 * ones,
        v_threshold=ones,
        v_reset=0 * ones,
        w_in=tau_syn / STEP,
    )
    return nir.NIRGraph(
        {
            "input": nir.Input(np.array([32])),
            "fc": nir.Linear(generator.normal(0.07, 0.4, (neurons, 32))),
            "hidden": hidden,
            "output": nir.Output(np.array([neurons])),
        },
        [("input", "fc"), ("fc", "hidden"), ("hidden", "output")],
        metadata={"dt": STEP, "reset": "zero"},
    )


def count_error(neurons: int, groups: int) -> tuple[float, dict]:
    artifact = convert_graph(own_constants(neurons, 1), Options(level=1, decay_groups=groups))
    rates = np.geomspace(0.03, 0.3, 24)[:, None, None]
    spikes = (np.random.default_rng(2).random((24, 80, 32)) < rates).astype(np.uint8)
    exact, integer = (
        backends.get(name).run(artifact, {"input": spikes}).counts["output"].astype(int)
        for name in ("float", "fixed")
    )
    assert exact.sum() > 1000 and len(np.unique(exact.sum(axis=0))) > neurons // 4
    return np.abs(exact - integer).mean() / exact.mean(), dict(artifact.network.report)


def test_more_groups_cost_less_and_the_price_is_in_the_report():
    few, report = count_error(48, 4)
    many, _ = count_error(48, 24)
    alone, free = count_error(48, 48)
    assert alone + 0.003 < many < few - 0.003
    shared = report["shared_decays"]["hidden"]
    assert shared["groups"] <= 4 < shared["pairs"] <= 48
    assert abs(shared["count_error"] - few) < 0.6 * few
    assert free["shared_decays"] == {}
    assert len(report["populations"]) == shared["groups"]


@pytest.mark.parametrize("limit", [1, 3, 32])
@pytest.mark.parametrize("seed", range(4))
def test_groups_keep_to_the_limit_and_to_registers_that_were_there(limit, seed):
    generator = np.random.default_rng(seed)
    size = int(generator.integers(1, 200))
    zeros = np.zeros(size)
    du = 10.0 ** generator.uniform(-3, 0, size)
    dv = np.where(generator.random(size) < 0.1, 0.0, 10.0 ** generator.uniform(-3, 0, size))
    population = DiscretePopulation("p", (size,), du, dv, zeros, zeros, zeros, zeros + 1, zeros)
    own = np.stack(round_decays(population, PROFILE))
    shared = np.stack(grouped_decays(population, PROFILE, limit))
    pairs = {tuple(pair) for pair in shared.T}
    assert pairs <= {tuple(pair) for pair in own.T}
    assert len(pairs) <= limit
    if len({tuple(pair) for pair in own.T}) <= limit:
        np.testing.assert_array_equal(shared, own)


def test_loihi_1_has_tables_for_32():
    report = convert_graph(own_constants(64, 3), Options(level=0, profile="loihi1")).network.report
    assert report["shared_decays"]["hidden"]["groups"] == 32
