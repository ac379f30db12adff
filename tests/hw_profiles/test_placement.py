"""Where cores go and what travels: the published hop counts, and packets against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from networks import chain, sparse_group, twin

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.description import (
    Activity,
    Layer,
    NetworkDescription,
    Source,
    assumed_activity,
)
from snn_deploy.hw_profiles.partition import partition
from snn_deploy.hw_profiles.placement import Mesh, Placement, anneal, place, traffic

LOIHI1 = load("loihi1")
MESH = Mesh.of(LOIHI1)
assert MESH is not None


@pytest.fixture(scope="module")
def large() -> Placement:
    network = chain(784, 2048, 2048, 512, recurrent=(1,))
    cut = partition(network, LOIHI1)
    return place(traffic(network, cut, assumed_activity(network, 0.05)), MESH, 1)


def test_twin_encoders_sit_in_one_tile_without_hops() -> None:
    network = twin(256, 128, 512)
    cut = partition(network, LOIHI1)
    placed = place(traffic(network, cut, assumed_activity(network, 0.05)), MESH, 1)
    assert placed.tiles == 1
    assert placed.total_hops == 0
    assert placed.traffic.between.sum() == pytest.approx(2 * 128 * 0.05)


def test_hops_of_the_large_network_are_those_of_the_facts(large: Placement) -> None:
    """facts/energy.md, section 4: random 38.5 k, row-major 32.7 k, row-snake 34.8 k, column-snake 29.1 k."""
    hops = {order: place(large.traffic, MESH, 1, order).total_hops for order in ("row-major", "row-snake")}
    random = np.mean([place(large.traffic, MESH, 1, "random", seed).total_hops for seed in range(10)])
    assert hops["row-major"] == pytest.approx(32_700, rel=0.005)
    assert hops["row-snake"] == pytest.approx(34_800, rel=0.005)
    assert random == pytest.approx(38_500, rel=0.02)
    assert large.total_hops == pytest.approx(29_100, rel=0.005)
    assert large.total_hops <= 0.8 * random
    assert large.packets_per_spike == pytest.approx((2048 * 88 + 2048 * 9) / (2 * 2048 + 512))


def test_annealing_is_better_seeded_and_honest_about_its_cost(large: Placement) -> None:
    random = np.mean([place(large.traffic, MESH, 1, "random", seed).total_hops for seed in range(10)])
    once, again = anneal(large, 1, seed=4), anneal(large, 1, seed=4)
    assert once.total_hops <= 0.75 * random
    assert once.total_hops < large.total_hops
    assert np.array_equal(once.sites, again.sites)
    assert not np.array_equal(once.sites, anneal(large, 1, seed=5).sites)
    _, counts = np.unique(once.sites, axis=0, return_counts=True)
    assert counts.max() <= MESH.cores_per_tile
    assert len(once.sites) == 97


def test_annealing_of_a_bad_start_never_ends_worse() -> None:
    network = chain(64, 1500, 1500, 900)
    cut = partition(network, LOIHI1)
    packets = traffic(network, cut, assumed_activity(network, 0.1))
    for seed in range(3):
        start = place(packets, MESH, 1, "random", seed)
        assert anneal(start, 1, seed, moves=200).total_hops <= start.total_hops


def test_traffic_equals_a_count_neuron_by_neuron() -> None:
    rng = np.random.default_rng(8)
    sizes = {"in": 150, "a": 1400, "b": 1200}
    groups, matrices = [], []
    for source, target, density in (("in", "a", 0.3), ("a", "b", 0.02), ("b", "a", 0.01), ("a", "b", 0.5)):
        name = f"{source}-{target}-{density}"
        group, matrix = sparse_group(
            rng, (source, target), (sizes[target], sizes[source]), density, name=name
        )
        groups.append(group)
        matrices.append((source, target, matrix))
    network = NetworkDescription((Source("in", 150),), (Layer("a", 1400), Layer("b", 1200)), tuple(groups))
    cut = partition(network, LOIHI1)
    spikes = {name: rng.integers(0, 50, size).astype(float) for name, size in sizes.items()}
    found = traffic(network, cut, Activity(spikes, 5, 10, "test"))
    core_of = {
        (name, neuron): cut.core_of(part)
        for name in "ab"
        for part in cut.slices[name]
        for neuron in range(part.start, part.stop)
    }
    between, inputs = np.zeros((len(cut.cores),) * 2), np.zeros(len(cut.cores))
    for source, target, matrix in matrices:
        for neuron in range(sizes[source]):
            for core in {core_of[target, int(row)] for row in np.flatnonzero(matrix[:, neuron])}:
                if source == "in":
                    inputs[core] += spikes[source][neuron] / 50
                else:
                    between[core_of[source, neuron], core] += spikes[source][neuron] / 50
    assert len(cut.cores) >= 4
    np.testing.assert_allclose(found.between, between, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(found.inputs, inputs, rtol=1e-12, atol=1e-9)
    assert found.spikes == pytest.approx((spikes["a"].sum() + spikes["b"].sum()) / 50)


def test_hops_are_manhattan_distances_of_packets(large: Placement) -> None:
    ew = ns = 0.0
    for a, (ax, ay) in enumerate(large.sites.tolist()):
        for b, (bx, by) in enumerate(large.sites.tolist()):
            ew += large.traffic.between[a, b] * abs(ax - bx)
            ns += large.traffic.between[a, b] * abs(ay - by)
    assert large.hops == pytest.approx((ew, ns))


def test_column_snake_turns_at_the_ends() -> None:
    sites = MESH.sites("column-snake", 2)
    assert len(sites) == 256
    assert sites[:: MESH.cores_per_tile][:9].tolist() == [
        [0, 0], [0, 1], [0, 2], [0, 3], [1, 3], [1, 2], [1, 1], [1, 0], [2, 0],
    ]  # fmt: skip
    steps = np.abs(np.diff(sites[:128], axis=0)).sum(axis=1)
    assert steps.max() == 1
    assert sites[128].tolist() == [8, 0]


def test_packets_between_chips_are_counted() -> None:
    network = chain(16, 1024 * 100, 1024 * 60)
    network = NetworkDescription(network.sources, network.layers, network.groups[:1])
    cut = partition(network, LOIHI1)
    assert len(cut.cores) == 160
    packets = traffic(network, cut, assumed_activity(network, 0.1))
    packets.between[0, 159] = 3.0
    packets.between[0, 5] = 2.0
    placed = place(packets, MESH, 2)
    assert placed.interchip_packets == 3.0


def test_a_profile_without_tiles_has_no_mesh() -> None:
    assert Mesh.of(load("truenorth")) is None
