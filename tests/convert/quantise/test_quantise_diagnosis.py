"""Each way in which integers leave the float network is recognised by its own name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snn_deploy.convert.calibration import observe
from snn_deploy.convert.quantise import DecayMatch, Evidence, Extremes, Quantiser
from snn_deploy.convert.quantise.diagnosis import diagnose
from snn_deploy.engine import float as float_engine
from snn_deploy.hw_profiles import load
from snn_deploy.network.connections import Dense
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection
from snn_deploy.network.network import Input, Output

PROFILE = load("loihi2")
ONE = np.ones(16)


def single(du: float, dv: float, weight: np.ndarray, bias: np.ndarray | float = 0.0) -> DiscreteNetwork:
    population = DiscretePopulation(
        "cells", (16,), du * ONE, dv * ONE, bias * ONE, 0 * ONE, 0 * ONE, ONE, 0 * ONE
    )
    edge = DiscreteProjection("in-cells", "in", "cells", Dense(weight), 0)
    return DiscreteNetwork(
        Contract(1e-3), (Input("in", (weight.shape[1],)),), (population,), (edge,), (Output("out", "cells"),)
    )


def bernoulli(rate: float, steps: int, inputs: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {"in": (generator.random((4, steps, inputs)) < rate).astype(np.uint8)}


def report(network: DiscreteNetwork, evidence: Evidence, inputs: dict, level: int = 7) -> dict[str, Any]:
    """The diagnosis of the only layer, on ``inputs``."""
    quantiser = Quantiser(network, PROFILE, evidence)
    rasters = float_engine.run(network, inputs).rasters
    assert rasters["cells"].any()
    (layer,) = diagnose(quantiser, quantiser.network({"cells": level}), rasters)
    assert layer["alone"] == layer["cumulative"]
    return layer


def without_gain(evidence: Evidence) -> Evidence:
    fits = {name: DecayMatch(0 * f.overlap, 0 * f.power) for name, f in evidence.decay_matches.items()}
    return Evidence(evidence.rasters, evidence.extremes, fits)


def test_a_rounded_decay_is_named() -> None:
    weight = np.random.default_rng(1).uniform(0.01, 0.08, (16, 8))
    network = single(1.0, 1 / 300, weight)
    inputs = bernoulli(0.2, 400)
    layer = report(network, without_gain(observe(network, PROFILE, inputs)), inputs)
    assert layer["alone"]["first_divergence"]["cause"] == "decay"


def test_a_rounded_weight_is_named() -> None:
    weight = np.random.default_rng(2).normal(0.1, 0.2, (16, 8))
    network = single(0.2, 0.1, weight)
    inputs = bernoulli(0.2, 60)
    layer = report(network, observe(network, PROFILE, inputs), inputs, level=0)
    assert layer["alone"]["first_divergence"]["cause"] == "rounding"


def test_a_rounded_bias_is_named() -> None:
    """Biases just below 1 / k reach the threshold after k + 1 steps, or after k if rounded up."""
    bias = (1 - 1e-7) / np.arange(3, 19)
    network = single(1.0, 0.0, np.zeros((16, 1)), bias)
    inputs = {"in": np.zeros((1, 200, 1), dtype=np.uint8)}
    layer = report(network, observe(network, PROFILE, inputs), inputs)
    assert layer["alone"]["first_divergence"]["cause"] == "bias"


def test_a_current_that_wraps_is_named() -> None:
    """Calibration saw single spikes; 2^23 is reached when all inputs fire in every step."""
    weight = np.full((16, 8), 0.5)
    network = single(0.01, 0.5, weight)
    quiet = {"in": np.zeros((1, 60, 8), dtype=np.uint8)}
    quiet["in"][:, 3, 0] = 1
    layer = report(network, observe(network, PROFILE, quiet), {"in": np.ones((1, 60, 8), dtype=np.uint8)})
    assert layer["alone"]["first_divergence"]["cause"] == "wrap"
    assert layer["observed_u"] > 1 << 23


def deep(steps: int = 20) -> tuple[DiscreteNetwork, dict[str, np.ndarray]]:
    """Input 0 pushes v down by a threshold in each of the steps, input 1 brings it back, slower."""
    network = single(1.0, 0.0, np.tile([-1.0, np.sqrt(0.5)], (16, 1)))
    raster = np.zeros((1, 4 * steps, 2), dtype=np.uint8)
    raster[:, :steps, 0] = 1
    raster[:, steps:, 1] = 1
    return network, {"in": raster}


def test_a_membrane_that_saturates_is_named() -> None:
    network, inputs = deep(700)  # deeper than any scale holds that keeps the weights' eight bits
    seen = observe(network, PROFILE, inputs)
    shallow = Evidence(seen.rasters, {"cells": Extremes(0.1, 0.1, 0.0)}, seen.decay_matches)
    layer = report(network, shallow, inputs)
    assert layer["alone"]["first_divergence"]["cause"] == "saturation"


def test_calibration_leaves_room_for_troughs_that_neurons_recover_from() -> None:
    network, inputs = deep()
    evidence = observe(network, PROFILE, inputs)
    assert evidence.extremes["cells"].v == pytest.approx(20.0)
    assert report(network, evidence, inputs)["alone"]["first_divergence"] is None
    inputs["in"][:, 40:, 1] = 0  # now nothing brings it back, and its depth does not matter
    assert observe(network, PROFILE, inputs).extremes["cells"].v == 0


def delayed(seed: int) -> tuple[DiscreteNetwork, dict[str, np.ndarray]]:
    """Two paths to one layer, one of them with a delay that may reach beyond the run, and input."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0.2, 0.6, (16, 8)) for _ in range(2)]
    network = single(1.0, float(rng.uniform(0.02, 0.3)), weights[0])
    delay = int(rng.integers(2, 63))
    late = DiscreteProjection("in-cells late", "in", "cells", Dense(weights[1]), delay)
    network = replace(network, projections=(*network.projections, late))
    return network, bernoulli(0.2, int(rng.choice([20, 60])), seed=seed)


def test_delays_of_any_length_leave_a_cause() -> None:
    early = 0
    for seed in range(40):
        network, inputs = delayed(seed)
        layer = report(network, observe(network, PROFILE, inputs), inputs, level=0)
        first = layer["alone"]["first_divergence"]
        if first is not None:
            assert first["cause"] in ("rounding", "decay", "bias", "saturation", "wrap")
            delay = network.projections[1].delay
            early += delay < 2 * (first["step"] + 1) < 2 * delay
    assert early > 2  # differed before the delayed spikes arrived, where a slice from the end is not empty
