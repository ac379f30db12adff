"""The gate's arithmetic, and what the search pays for."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.convert.calibration import observe
from snn_deploy.convert.quantise import Quantiser
from snn_deploy.convert.quantise.gate import Limits, Verdict, agreements, count_error
from snn_deploy.convert.quantise.search import Cost, Search
from snn_deploy.convert.quantise.subnetwork import run_nodes
from snn_deploy.convert.quantise.trials import Engines, Trial, Trials, downstream
from snn_deploy.hw_profiles import load
from snn_deploy.network.connections import Dense
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection
from snn_deploy.network.network import Input, Output

PROFILE = load("loihi2")


def raster(counts: list[list[int]], steps: int = 10) -> np.ndarray:
    """Spikes with these counts, (samples, steps, neurons)."""
    values = np.asarray(counts)
    return (np.arange(steps)[None, :, None] < values[:, None, :]).astype(np.uint8)


def test_count_error_is_the_mean_difference_over_the_mean_count() -> None:
    exact, integer = raster([[4, 2], [0, 6]]), raster([[3, 2], [1, 8]])
    assert count_error(exact, integer) == pytest.approx((1 + 0 + 1 + 2) / 12)
    silent = raster([[0, 0]])
    assert count_error(silent, silent) == 0
    assert count_error(silent, raster([[0, 1]])) == 1


def test_only_decisive_samples_count_for_agreement() -> None:
    exact = np.array([[5, 3, 0], [5, 4, 0], [1, 6, 2], [2, 0, 0]])
    integer = np.array([[5, 3, 0], [3, 4, 0], [7, 6, 2], [2, 0, 1]])
    # sample 1 has a margin of one spike, so its change does not count; sample 2's does
    assert agreements([(exact, integer)]) == (2, 3)
    assert agreements([(exact[:, :1], integer[:, :1])]) == (0, 0)


def test_the_gate_names_every_limit_that_is_broken() -> None:
    verdict = Verdict({"a": 0.031, "b": 0.02}, agreement=0.985, decisive=200)
    assert not verdict.passed
    assert verdict.failures == (
        "a: mean count error 3.10%, allowed 2%",
        "top-1 agreement 98.5% on 200 decisive samples, allowed 99%",
    )
    assert Verdict({"a": 0.02}, agreement=0.99, decisive=100).passed
    assert Verdict({"a": 0.0}, agreement=None, decisive=0).passed


def test_the_score_gives_no_credit_below_the_limits() -> None:
    gate = Limits.of_the_gate(["a"])
    good, better = Verdict({"a": 0.015}, 1.0, 9), Verdict({"a": 0.001}, 0.995, 9)
    assert good.score(gate) == better.score(gate)
    assert Verdict({"a": 0.03}, 1.0, 9).score(gate) > good.score(gate)
    assert Verdict({"a": 0.015}, 0.9, 9).score(gate) > good.score(gate)
    lax = Limits({"a": 0.05}, 0.8)
    assert Verdict({"a": 0.03}, 0.9, 9).score(lax) == good.score(lax)
    assert Verdict({"a": 0.03}, 0.9, 9).beyond(gate) == {"a", None}
    assert Verdict({"a": 0.03}, 0.9, 9).beyond(lax) == set()


class Ladder:
    """A chain a -> b with made-up errors: what a search sees of a network, without the network."""

    def __init__(self, errors: dict[str, list[float]]) -> None:
        self.errors = errors
        self.seen: list[dict[str, int]] = []

    def whole(self, levels: dict[str, int]) -> Trial:
        self.seen.append(dict(levels))
        errors = {node: self.errors[node][level] for node, level in levels.items()}
        errors["b"] += errors["a"]  # what goes wrong before comes on top
        return Trial(levels, {}, {}, Verdict(errors, None, 0))

    def promoted(self, before: Trial, node: str, level: int) -> Trial:
        return self.whole({**before.levels, node: level})


def climb(errors: dict[str, list[float]], budget: float = np.inf) -> tuple[Trial, str, list]:
    """Search from level 0 with a cost of 100 + 10 a level and node."""
    network = chain()
    quantiser = Quantiser(network, PROFILE, observe(network, PROFILE, {"in": raster([[3, 2]] * 4)}))
    search = Search(quantiser)
    search._cost = lambda levels: Cost(sum(100 + 10 * level for level in levels.values()), 0)  # type: ignore[method-assign]
    promotions: list = []
    trial, stopped = search._climb(Ladder(errors), {"a": 0, "b": 0}, budget * 200, promotions)  # type: ignore[arg-type]
    return trial, stopped, promotions


FALLING = [0.08, 0.04, 0.03, 0.02, 0.01, 0.008, 0.006, 0.005]
FLOOR = [0.08, 0.06, 0.05, 0.042, 0.041, 0.0405, 0.04, 0.04]
SMALL = [0.001] * 8


def test_promotions_stop_where_the_gate_holds() -> None:
    trial, stopped, promotions = climb({"a": FALLING, "b": SMALL})
    assert trial.verdict.passed and stopped == "the gate's limits are met"
    assert trial.levels == {"a": 4, "b": 0}
    assert [step["to"] for step in promotions] == sorted(step["to"] for step in promotions)
    assert promotions[-1]["node"] == "a" and promotions[-1]["score"] < promotions[-1]["before"]


def test_a_gate_that_no_level_meets_is_not_paid_for() -> None:
    trial, stopped, _ = climb({"a": FLOOR, "b": SMALL})
    assert not trial.verdict.passed
    assert "no level meets the gate" in stopped
    # level 7 reaches 4 %; the first level within a tenth of that is the third
    assert trial.levels == {"a": 3, "b": 0}


def test_a_budget_ends_the_search() -> None:
    trial, stopped, promotions = climb({"a": FALLING, "b": SMALL}, budget=1.1)
    assert trial.levels == {"a": 2, "b": 0} and [step["to"] for step in promotions] == [1, 2]
    assert "budget" in stopped and not trial.verdict.passed


def test_a_plateau_is_crossed() -> None:
    plateau = [0.08] * 5 + [0.07, 0.01, 0.01]
    trial, stopped, _ = climb({"a": plateau, "b": SMALL})
    assert trial.verdict.passed and stopped == "the gate's limits are met"
    assert trial.levels == {"a": 6, "b": 0}


def test_nodes_are_lifted_together_where_none_helps_alone(monkeypatch) -> None:
    def whole(self, levels: dict[str, int]) -> Trial:
        error = 0.05 if min(levels.values()) < 2 else 0.01  # both must be on rung 2
        return Trial(levels, {}, {}, Verdict(dict.fromkeys(levels, error), None, 0))

    monkeypatch.setattr(Ladder, "whole", whole)
    trial, stopped, promotions = climb({})
    assert trial.levels == {"a": 2, "b": 2} and stopped == "the gate's limits are met"
    assert [(step["node"], step["from"], step["to"]) for step in promotions] == [("a", 0, 2), ("b", 0, 2)]


def chain() -> DiscreteNetwork:
    """in -> a -> b, two neurons each."""
    ones, zeros = np.ones(2), np.zeros(2)
    populations = tuple(
        DiscretePopulation(name, (2,), 0.2 * ones, 0.1 * ones, zeros, zeros, zeros, ones, zeros)
        for name in ("a", "b")
    )
    edges = (
        DiscreteProjection("in-a", "in", "a", Dense(np.array([[0.3, 0.5], [0.6, 0.2]])), 0),
        DiscreteProjection("a-b", "a", "b", Dense(np.array([[0.9, 0.5], [0.4, 0.7]])), 0),
    )
    return DiscreteNetwork(Contract(1e-3), (Input("in", (2,)),), populations, edges, (Output("result", "b"),))


def test_trials_equal_the_whole_run_and_reach_only_what_lies_behind() -> None:
    network = chain()
    spikes = (np.random.default_rng(0).random((6, 40, 2)) < 0.3).astype(np.uint8)
    quantiser = Quantiser(network, PROFILE, observe(network, PROFILE, {"in": spikes}), 4)
    engines = Engines(quantiser, lambda node, level: "descent+bias")
    trials = Trials(engines, network, quantiser.evidence.rasters)
    before = trials.whole({"a": 0, "b": 0})
    after = trials.promoted(before, "b", 5)
    assert after.rasters["a"] is before.rasters["a"]
    assert downstream(network, "a") == {"a", "b"} and downstream(network, "b") == {"b"}
    wanted = run_nodes(engines.network({"a": 0, "b": 5}), ["a", "b"], {"in": spikes})
    for node in ("a", "b"):
        np.testing.assert_array_equal(after.rasters[node], wanted[node])
        np.testing.assert_array_equal(after.counts[node], wanted[node].astype(int).sum(axis=1))
    assert np.any(before.rasters["b"] != after.rasters["b"]) and after.rasters["b"].any()
    again = trials.promoted(trials.promoted(after, "a", 3), "a", 0)
    np.testing.assert_array_equal(again.rasters["b"], after.rasters["b"])
