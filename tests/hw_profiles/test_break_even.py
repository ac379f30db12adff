"""Baselines and break-even rate, priced by arithmetic and compared inside one profile."""

from __future__ import annotations

import math

import numpy as np
import pytest
from networks import chain

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.assessment import Choices, assess
from snn_deploy.hw_profiles.baselines import break_even, quantised_bits
from snn_deploy.hw_profiles.description import Activity, assumed_activity

NETWORK = chain(64, 128, 10)
MACS = 64 * 128 + 128 * 10


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 8, 20, 63, 64, 127])
def test_bits_that_count_to_t(steps: int) -> None:
    assert quantised_bits(steps) == math.ceil(math.log2(steps + 1))


@pytest.mark.parametrize("profile", ["cpu45nm", "loihi1", "loihi2"])
def test_baselines_stand_under_one_profile_with_the_network_beside_them(profile: str) -> None:
    answer = assess(
        NETWORK, load(profile), assumed_activity(NETWORK, 0.1, 20), Choices(stored_items=50, dimensions=300)
    )
    rows = {row.name: row for row in answer.baselines}
    assert {row.profile for row in answer.baselines} == {answer.reference_energy.profile} == {"cpu45nm"}
    # facts/energy.md: a dense pass of 64-128-10 costs 0.044 uJ in fp32.
    assert rows["dense ANN, fp32"].joules.nominal == pytest.approx(MACS * 4.6e-12)
    assert rows["dense ANN, fp32"].joules.nominal * 1e6 == pytest.approx(0.044, abs=0.001)
    assert rows["dense ANN, int8"].joules.nominal == pytest.approx(MACS * 0.23e-12)
    assert rows["quantised network, 5 bit"].joules.nominal == pytest.approx(
        MACS * (0.2 * 5 / 8 + 0.1) * 1e-12
    )
    assert rows["FAISS on raw embeddings"].macs == 15_000
    own = answer.reference_energy.marginal
    assert own is not None
    for row in rows.values():
        assert (row.ratio is None) == row.joules.overlaps(own)


def test_a_ratio_appears_where_the_intervals_are_apart() -> None:
    quiet = assess(NETWORK, load("cpu45nm"), assumed_activity(NETWORK, 0.001, 20))
    row = next(row for row in quiet.baselines if row.name == "dense ANN, fp32")
    assert row.ratio is not None
    assert row.ratio.nominal == pytest.approx(4.6 / (0.9 * 0.001 * 20))


def test_break_even_is_where_both_cost_the_same() -> None:
    steps, arithmetic = 5, load("cpu45nm").arithmetic
    assert arithmetic is not None
    found = break_even(NETWORK, arithmetic, assumed_activity(NETWORK, 0.07, steps))
    assert found is not None
    assert found.actual == pytest.approx(0.07)
    assert (found.bits, found.steps) == (3, 5)
    for name, byte in {"none": 0.0, "8 KiB": 10 / 8, "32 KiB": 20 / 8, "1 MiB": 100 / 8}.items():
        rate = found.by_memory[name]
        spiking = steps * (MACS * rate * (0.1 + byte) + 138 * 12 * byte)
        dense = MACS * (0.2 * 3 / 8 + 0.1 + byte)
        assert spiking == pytest.approx(dense), name
    assert found.by_memory["1 MiB"] < found.by_memory["none"]
    assert "5.7 %" in found.literature


def test_actual_rate_is_weighted_by_synapses() -> None:
    arithmetic = load("cpu45nm").arithmetic
    assert arithmetic is not None
    spikes = {"in": np.full(64, 4.0), "l1": np.zeros(128), "l2": np.zeros(10)}
    found = break_even(NETWORK, arithmetic, Activity(spikes, 2, 10, "run"))
    assert found is not None
    assert found.actual == pytest.approx(0.2 * 64 * 128 / MACS)
