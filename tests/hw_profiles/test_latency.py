"""The time of a step: slowest core plus barrier, by each source, and what is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import chain

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.description import assumed_activity
from snn_deploy.hw_profiles.latency import CoreLoad, core_load, latency
from snn_deploy.hw_profiles.partition import partition
from snn_deploy.hw_profiles.placement import traffic


def test_a_step_is_the_slowest_core_and_the_barrier_by_each_source() -> None:
    load_of_cores = CoreLoad(
        {"dense": np.array([1000.0, 100.0]), "sparse": np.array([0.0, 50.0])},
        neurons=np.array([100.0, 1000.0]),
        spikes=np.array([10.0, 20.0]),
        packets_in=np.array([5.0, 0.0]),
        packets_out=np.array([7.0, 0.0]),
    )
    found = latency(load_of_cores, load("loihi1"), tiles=3, steps=10)
    fitted = [
        1000 * 3.8 + 100 * 9.7 + 10 * 30 + 5 * 16 + 7 * 5.1,
        100 * 3.8 + 50 * 4.7 + 1000 * 9.7 + 20 * 30,
    ]
    davies = [1000 * 3.5 + 10 * 8.4 + 90 * 5.3 + 10 * 2.1, 150 * 3.5 + 20 * 8.4 + 980 * 5.3 + 20 * 2.1]
    barriers = 1200.0, 113 + (465 - 113) * 2 / 31
    assert found.step is not None
    low, nominal, high = found.step
    assert nominal == pytest.approx((max(fitted) + barriers[0]) * 1e-9)
    assert low == pytest.approx((max(davies) + barriers[1]) * 1e-9)
    assert high == nominal
    assert found.slowest_core == 1
    assert found.imbalance == pytest.approx(1000 / 575)
    assert found.statuses == ("fitted", "pre-silicon")
    assert found.streamed is not None
    assert found.streamed[2] == pytest.approx(880e-6)
    assert "host" in " ".join(found.unknown)


def test_a_convolution_has_its_own_price() -> None:
    """Each source's time of a synaptic operation of a convolution, by hand from the profile's entries."""
    load_of_cores = CoreLoad({"conv": np.array([1000.0])}, np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))
    profile = load("loihi1")
    found = latency(load_of_cores, profile, tiles=1, steps=1)
    as_dense = latency(replace(load_of_cores, synops={"dense": np.array([1000.0])}), profile, 1, 1)
    assert found.step is not None and as_dense.step is not None
    table = profile.time.tables[str(profile.time.nominal)]
    assert table.synop_conv is not None
    difference = 1000 * (float(table.synop_conv.value or 0) - float(table.synop.value or 0)) * 1e-9
    assert difference != 0
    assert found.step[1] - as_dense.step[1] == pytest.approx(difference)


def test_load_of_a_real_cut_adds_up() -> None:
    network = chain(100, 1500, 200)
    profile = load("loihi1")
    cut = partition(network, profile)
    activity = assumed_activity(network, 0.1)
    packets = traffic(network, cut, activity)
    found = core_load(network, profile, cut, packets, activity)
    assert len(cut.cores) > 2
    assert found.neurons.sum() == 1700
    assert found.spikes.sum() == pytest.approx(170)
    assert found.synops["dense"].sum() == pytest.approx(0.1 * (100 * 1500 + 1500 * 200))
    assert found.packets_in.sum() == pytest.approx(packets.packets)
    assert found.packets_out.sum() == pytest.approx(packets.between.sum())


def test_the_shortest_step_and_unknown_times() -> None:
    still = CoreLoad({}, np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))
    loihi2 = latency(still, load("loihi2"), 1, 5)
    assert loihi2.step == pytest.approx((200e-9, 200e-9, 200e-9))
    truenorth = latency(still, load("truenorth"), 1, 5)
    assert truenorth.step == pytest.approx((1e-3, 1e-3, 1e-3))
    assert latency(still, load("cpu45nm"), 1, 5).as_dict()["step"] == "unavailable"
    assert loihi2.as_dict()["item"] == pytest.approx([1e-6, 1e-6, 1e-6])
