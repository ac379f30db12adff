"""From calibration spikes to integers that stay near the float network, and a report that says how near."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.convert.calibration import observe
from snn_deploy.convert.quantise import Evidence, Quantiser
from snn_deploy.convert.quantise.gate import count_error
from snn_deploy.convert.quantise.quantisation import quantise_network
from snn_deploy.convert.quantise.subnetwork import by_node, run_nodes
from snn_deploy.engine import float as float_engine
from snn_deploy.engine.fixed.numpy_kernel import Golden
from snn_deploy.errors import ModelNotSupported, UsageError
from snn_deploy.hw_profiles import load
from snn_deploy.network.connections import Dense, Sparse, synapses
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork

PROFILE = load("loihi2")
Spikes = np.ndarray


def population(name: str, du: list[float], dv: list[float], bias: float = 0.0) -> DiscretePopulation:
    ones = np.ones(len(du))
    zeros = np.zeros(len(du))
    return DiscretePopulation(
        name,
        (len(du),),
        np.array(du),
        np.array(dv),
        bias * ones,
        zeros,
        0.1 * ones,
        ones,
        zeros,
    )


def build(seed: int, scale: float = 1.0) -> DiscreteNetwork:
    generator = np.random.default_rng(seed)

    def weights(rows: int, columns: int, gain: float) -> Dense:
        return Dense(scale * gain * generator.standard_t(3, (rows, columns)) / np.sqrt(columns))

    return DiscreteNetwork(
        Contract(1e-3),
        (Input("in", (40,)),),
        (
            population("hidden", [0.2] * 20 + [0.31] * 12, [0.1] * 20 + [0.053] * 12, bias=0.02),
            population("out", [0.25] * 10, [0.12] * 10),
        ),
        (
            DiscreteProjection("in-hidden", "in", "hidden", weights(32, 40, 0.35), 0),
            DiscreteProjection("hidden-hidden", "hidden", "hidden", weights(32, 32, 0.1), 1),
            DiscreteProjection("hidden-out", "hidden", "out", weights(10, 32, 0.5), 0),
        ),
        (Output("result", "out"),),
    )


def spikes(seed: int, samples: int, steps: int = 50) -> Spikes:
    generator = np.random.default_rng(seed)
    rates = generator.gamma(1.0, 0.1, size=(samples, 1, 40)).clip(0, 0.8)
    return (generator.random((samples, steps, 40)) < rates).astype(np.uint8)


@pytest.fixture
def network() -> DiscreteNetwork:
    return build(0)


@pytest.fixture
def calibration() -> dict[str, Spikes]:
    return {"in": spikes(1, 32)}


def quantise(network: DiscreteNetwork, evidence: Evidence, level: int) -> QuantisedNetwork:
    quantiser = Quantiser(network, PROFILE, evidence)
    return quantiser.network(dict.fromkeys(quantiser.nodes, level))


def golden(integers: QuantisedNetwork, inputs: dict[str, Spikes]) -> Mapping[str, Spikes]:
    """Rasters of all populations on the NumPy kernel."""
    return Golden(integers).run(inputs, rasters=[p.name for p in integers.populations]).rasters


def errors(network: DiscreteNetwork, level: int, bits: int, calibration: dict) -> tuple[float, float]:
    """(hidden, output) mean count error on spikes that calibration did not see."""
    held_out = {"in": spikes(2, 100)}
    integers = quantise_network(network, PROFILE, calibration, bits=bits, level=level)
    exact = float_engine.run(network, held_out).rasters
    rasters = golden(integers, held_out)
    assert 0.02 < exact["hidden"].mean() < 0.4
    assert 0.02 < exact["out"].mean() < 0.5
    hidden = by_node(integers, "hidden", rasters)
    return count_error(exact["hidden"], hidden), count_error(exact["out"], rasters["out"])


def test_the_ladder_lowers_the_count_error_on_held_out_spikes(network, calibration) -> None:
    found = {(bits, level): errors(network, level, bits, calibration) for bits in (8, 4) for level in (1, 5)}
    assert found[8, 1][0] < 0.03
    assert found[8, 5][0] < 0.015
    assert found[8, 5][1] < 0.035
    assert found[4, 5][0] < 0.05
    for output in (0, 1):
        assert found[4, 5][output] < found[4, 1][output] / 2
        assert found[8, 5][output] < found[8, 1][output] / 1.4


def test_planes_of_a_network_sum_to_its_weights(network, calibration) -> None:
    evidence = observe(network, PROFILE, calibration)
    integers = quantise(network, evidence, 5)
    assert len(integers.populations) == 3  # hidden has two pairs of decays
    by_name = {p.name: p for p in integers.populations}
    nodes = {"in": ("in", np.arange(40)), "out": ("out", np.arange(10))}
    nodes |= {p.name: ("hidden", p.index) for p in integers.populations if p.node == "hidden"}
    exact = {(e.source, e.target): e.connection.weight for e in network.projections}
    total: dict[tuple[str, str], np.ndarray] = {}
    finest: dict[tuple[str, str], int] = {}
    for plane in integers.projections:
        assert 0 <= plane.weight_exp <= 7
        matrix = np.asarray(synapses(plane.connection).todense(), dtype=np.int64) << plane.weight_exp
        key = (plane.source, plane.target)
        total[key] = total.get(key, 0) + matrix
        finest[key] = min(finest.get(key, 128), 1 << plane.weight_exp)
    assert len(total) == 2 + 4 + 2
    for (source, target), whole in total.items():
        origin, columns = nodes[source]
        node, rows = nodes[target]
        wanted = exact[origin, node][rows][:, columns] * by_name[target].scale
        # half a step of the fine plane is nearest; descent moves weights to make up for others
        error = np.abs(whole - wanted) / finest[source, target]
        assert error.max() < 4
        assert error.mean() < 0.5
    assert any(isinstance(p.connection, Sparse) for p in integers.projections)


@pytest.mark.parametrize("kernel", ["numpy", "fastest"])
def test_running_nodes_alone_equals_the_whole_run(network, calibration, kernel, monkeypatch) -> None:
    if kernel == "numpy":
        monkeypatch.setenv("SNN_DEPLOY_KERNEL", kernel)
    integers = quantise(network, observe(network, PROFILE, calibration), 5)
    inputs = {"in": spikes(3, 10)}
    rasters = golden(integers, inputs)
    hidden = by_node(integers, "hidden", rasters)
    np.testing.assert_array_equal(run_nodes(integers, {"hidden"}, inputs)["hidden"], hidden)
    alone = run_nodes(integers, {"out"}, {**inputs, "hidden": hidden})["out"]
    np.testing.assert_array_equal(alone, rasters["out"])
    assert alone.any() and hidden.any()


def test_the_report_says_what_quantising_cost(network, calibration) -> None:
    integers = quantise_network(network, PROFILE, calibration, bits=4, level=1)
    report = json.loads(json.dumps(dict(integers.report)))
    assert report["levels"] == {"hidden": 1, "out": 1}
    for row in report["populations"]:
        assert row["static_bound_u"] > 0
        assert row["limit_u"] == 1 << 23
        assert row["bias_rounding"] < 1e-3
        assert 0 <= row["decay_rounding"]["du"] < 0.01
        for projection in row["projections"]:
            assert 0 < projection["relative_weight_error"] < 0.5
            assert projection["saturated_weights"] == 0
    hidden, out = report["layers"]
    assert hidden["alone"] == hidden["cumulative"]
    assert hidden["alone"]["first_divergence"]["cause"] == "rounding"
    assert out["alone"]["count_error"] < out["cumulative"]["count_error"]
    assert 0.5 < out["cumulative"]["count_correlation"] < 1
    assert 0 < hidden["observed_u"] < 1 << 23
    assert report["gate"]["passed"] is False
    assert any("the gate does not hold" in warning for warning in report["warnings"])
    assert report["search"]["axon_message_ratio"] > 1.5


def test_the_static_bound_of_u_is_reached_by_the_worst_input() -> None:
    network = build(4)
    single = replace(
        network,
        populations=(population("hidden", [0.2] * 32, [0.1] * 32),),
        projections=network.projections[:1],
        outputs=(),
    )
    integers = quantise(single, observe(single, PROFILE, {"in": spikes(1, 8)}), 0)
    (plane,) = integers.projections
    weight = plane.connection.weight << plane.weight_exp
    worst = int(np.argmax(np.maximum(weight, 0).sum(axis=1)))
    other = int(np.argmin(np.minimum(weight, 0).sum(axis=1)))
    u = 0
    drive = max(np.maximum(weight[worst], 0).sum(), -np.minimum(weight[other], 0).sum())
    for _ in range(300):
        u = u * (4095 - integers.populations[0].du) // 4096 + 64 * int(drive)
    bound = integers.report["populations"][0]["static_bound_u"]
    assert 0.999 * bound < u <= bound


def test_auto_promotes_until_the_gate_holds_and_says_what_it_cost(network, calibration) -> None:
    integers = quantise_network(network, PROFILE, calibration, bits=6)
    report = integers.report
    assert report["gate"]["passed"], report["gate"]
    assert report["search"]["promotions"]
    assert report["search"]["stopped"] == "the gate's limits are met"
    assert 1 < report["search"]["axon_message_ratio"] <= 4
    assert 1 <= report["search"]["synops_ratio"] < 2.5
    assert max(errors_of(report).values()) <= 0.02
    starting = quantise_network(network, PROFILE, calibration, bits=6, level=0)
    assert not starting.report["gate"]["passed"]
    kept = quantise_network(network, PROFILE, calibration, bits=6, budget=1.0)
    assert kept.report["search"]["promotions"] == []
    assert "budget" in kept.report["search"]["stopped"]


def errors_of(report) -> dict[str, float]:
    return dict(report["gate"]["count_errors"])


def test_generated_spikes_start_at_the_default_levels_and_warn(network, calibration) -> None:
    report = quantise_network(network, PROFILE, calibration, generated=True).report
    assert min(report["levels"].values()) >= 1
    assert any("--calibration" in warning for warning in report["warnings"])


def test_calibration_is_cut_to_what_memory_is_meant_for(network, monkeypatch) -> None:
    many, long = {"in": spikes(1, 300, 5)}, {"in": spikes(1, 32)}
    assert quantise_network(network, PROFILE, many, level=0).report["calibration_samples"] == 256
    monkeypatch.setattr("snn_deploy.convert.quantise.quantisation._NEURON_STEPS", 10 * 50 * (40 + 32 + 10))
    assert quantise_network(network, PROFILE, long, level=0).report["calibration_samples"] == 10


def test_a_graph_without_spikes_quantises_and_says_that_nothing_was_proved(network) -> None:
    silent = {"in": np.zeros((4, 20, 40), dtype=np.uint8)}
    quiet = replace(
        network, populations=tuple(replace(p, bias=np.zeros(p.bias.size)) for p in network.populations)
    )
    report = quantise_network(quiet, PROFILE, silent).report
    assert not report["gate"]["passed"] and not report["gate"]["failures"]
    assert len(report["gate"]["unproven"]) == 2
    assert any("hardly fire" in warning for warning in report["warnings"])


def test_everything_that_no_format_holds_is_refused_at_once(network, calibration) -> None:
    generator = np.random.default_rng(0)
    broken = np.array(generator.normal(size=(10, 32)))
    broken[3, 4] = np.nan
    slow = population("hidden", [0.2] * 31 + [1e-5], [0.1] * 32)
    bad = replace(
        network,
        populations=(slow, network.populations[1]),
        projections=(
            network.projections[0],
            replace(network.projections[1], delay=63),
            DiscreteProjection("hidden-out", "hidden", "out", Dense(broken), 0),
        ),
    )
    with pytest.raises(ModelNotSupported) as caught:
        Quantiser(bad, PROFILE, observe(network, PROFILE, calibration))
    text = str(caught.value)
    assert len(caught.value.violations) == 3
    assert "hidden-out: weights are not finite; found nan at weight 100 (1 of 320)" in text
    assert "hidden: the synaptic time constant is longer than a decay register can express" in text
    assert "tau_syn = 100000 dt at neuron 31; allowed tau_syn <= 8192 dt" in text
    assert "hidden-hidden: the delay does not fit; found 63 steps; allowed 0 .. 62" in text


def test_weights_that_leave_no_room_for_the_threshold_are_refused() -> None:
    network = build(0, scale=1e6)
    with pytest.raises(ModelNotSupported, match="the threshold cannot be scaled to an integer") as caught:
        quantise(network, observe(network, PROFILE, {"in": spikes(1, 4)}), 1)
    wheres = {violation.where for violation in caught.value.violations}
    assert wheres == {"hidden#0", "hidden#1", "out"}


def test_unknown_options_are_refused(network, calibration) -> None:
    with pytest.raises(UsageError, match="profile loihi1 has no weights of this width"):
        quantise_network(network, load("loihi1"), calibration, bits=7)
    for level in (8, -1, "best", True):
        with pytest.raises(UsageError, match="unknown quantisation level"):
            quantise_network(network, PROFILE, calibration, level=level)
