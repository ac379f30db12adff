"""The lead-in, solved backwards, against the neuron's own steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lava_nets as nets
import numpy as np
import pytest

from snn_deploy.deploy.lava.leadin import solve


def _raster(population: Any, steps: int) -> Any:
    """Spikes of a population alone, (steps, neurons), by the equations of lava_nets."""
    network = nets.artifact({"x": (1,)}, [population], [], ()).network
    silent = {"x": np.zeros((1, steps, 1), dtype=np.uint8)}
    return nets.reference(network, silent)[population.name][0]


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_a_solved_lead_in_is_silent_and_ends_in_the_initial_state(depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    population = nets.population(
        "a",
        40,
        rng,
        du=int(rng.integers(-1, 700)),
        u0=rng.integers(-700, 700, 40),
        v0=rng.integers(-6000, 6000, 40),
        dv=60,
        vth=1200,
        bias_exp=np.full(40, 3),
    )
    lead_in = solve(population, depth)
    assert not lead_in.switched
    assert (lead_in.u != population.u0).any() and (lead_in.v != population.v0).any()
    earlier = replace(population, u0=lead_in.u, v0=lead_in.v)
    led = _raster(earlier, depth + 60)
    assert not led[:depth].any()
    np.testing.assert_array_equal(led[depth:], _raster(population, 60))
    counts = led.sum(axis=0)
    assert counts.any() and len(set(counts.tolist())) > 2


@pytest.mark.parametrize(
    "changes",
    [
        {"v0": np.full(3, 2**20), "vth": 100},
        {"u0": np.full(3, 2**20), "du": 4000},
        {"bias_mant": np.full(3, 4000), "bias_exp": np.full(3, 7), "dv": 4096, "vth": 100},
    ],
    ids=["above threshold", "a current too large before", "a bias that fires at once"],
)
def test_what_no_silent_past_leads_to_is_switched_on(changes: dict[str, Any]) -> None:
    population = nets.population("a", 3, np.random.default_rng(0), **changes)
    lead_in = solve(population, 3)
    assert lead_in.switched
    np.testing.assert_array_equal(lead_in.u, population.u0)
    np.testing.assert_array_equal(lead_in.v, population.v0)


def test_a_state_that_decays_at_once_does_not_matter() -> None:
    """With du = 4095 and dv = 4096 nothing survives a step, so any silent past will do."""
    zero = np.zeros(3, dtype=np.int64)
    population = nets.population(
        "a", 3, np.random.default_rng(0), du=4095, dv=4096, bias_mant=zero, u0=zero + 2**20, v0=zero + 2**20
    )
    assert not solve(population, 3).switched
