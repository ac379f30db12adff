"""Counts of events against counts neuron by neuron."""

from __future__ import annotations

import numpy as np
import pytest
from networks import chain, sparse_group

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.counts import HostCounts, count
from snn_deploy.hw_profiles.description import Activity, Layer, NetworkDescription, Source, SynapseGroup
from snn_deploy.hw_profiles.partition import partition
from snn_deploy.hw_profiles.placement import Mesh, place, traffic

LOIHI1 = load("loihi1")


def random_activity(network: NetworkDescription, seed: int, samples: int = 3, steps: int = 10) -> Activity:
    rng = np.random.default_rng(seed)
    spikes = {
        name: rng.integers(0, samples * steps, size).astype(float) for name, size in network.sizes.items()
    }
    return Activity(spikes, samples, steps, "test")


def test_counts_of_a_sparse_network_equal_a_count_by_hand() -> None:
    rng = np.random.default_rng(5)
    group, matrix = sparse_group(rng, ("in", "a"), (200, 60), 0.1)
    dense, full = sparse_group(rng, ("a", "b"), (90, 200), 0.7)
    network = NetworkDescription(
        (Source("in", 60),), (Layer("a", 200), Layer("b", 90, node="n")), (group, dense)
    )
    activity = random_activity(network, 1)
    counts = count(network, LOIHI1, partition(network, LOIHI1), activity)
    first, second = counts.layers
    spikes = activity.spikes
    assert (first.name, second.name) == ("a", "n")
    assert first.synops == float((matrix @ spikes["in"]).sum())
    assert second.synops == float((full @ spikes["a"]).sum())
    assert first.synops_stored == spikes["in"].sum() * 200  # both are held by a Dense process
    assert second.synops_charged == {"dense": spikes["a"].sum() * 90}
    assert set(first.synops_charged) == {"sparse"}
    assert first.synops_charged["sparse"] == first.synops
    assert counts.updates == 290 * 30
    assert counts.spikes == spikes["a"].sum() + spikes["b"].sum()
    assert counts.input_packets == spikes["in"][matrix.any(axis=0)].sum()
    assert counts.packets == spikes["a"].sum()
    assert counts.state_bytes == 290 * 30 * 12
    assert counts.hops_ew is None


def test_weight_bytes_are_the_blocks_that_spikes_fetch() -> None:
    network = chain(4, 128)
    activity = random_activity(network, 2)
    counts = count(network, LOIHI1, partition(network, LOIHI1), activity)
    assert counts.weight_bytes == activity.spikes["in"].sum() * 2 * 576 / 8
    without = count(network, load("spinnaker2"), partition(network, load("spinnaker2")), activity)
    assert without.weight_bytes == activity.spikes["in"].sum() * 128


def test_hops_are_those_of_the_placement_over_all_steps() -> None:
    network = chain(64, 1500, 1500)
    activity = random_activity(network, 3)
    cut = partition(network, LOIHI1)
    mesh = Mesh.of(LOIHI1)
    assert mesh is not None
    placed = place(traffic(network, cut, activity), mesh, 1)
    counts = count(network, LOIHI1, cut, activity, placement=placed)
    assert counts.hops_ns is not None
    assert counts.hops_ns == pytest.approx(placed.hops[1] * 30)
    assert counts.hops_ns > 0
    assert counts.packets == pytest.approx(activity.spikes["l1"].sum() * len(cut.slices["l2"]))


def test_a_runs_own_synaptic_operations_take_precedence() -> None:
    """Spikes that arrive after the last step are the run's to know; the forms keep their shares."""
    network = chain(20, 50, 30)
    activity = random_activity(network, 4)
    exact = count(network, LOIHI1, partition(network, LOIHI1), activity)
    told = Activity(activity.spikes, 3, 10, "run", counted={"l2": (7, 400, 1000)})
    counts = count(network, LOIHI1, partition(network, LOIHI1), told)
    assert counts.layers[0] == exact.layers[0]
    last = counts.layers[1]
    assert (last.spikes, last.synops, last.synops_stored) == (7, 400, 1000)
    assert counts.layers[1].synops_charged["dense"] == pytest.approx(400)  # no zero is stored in this network


def test_convolutions_are_charged_apart_and_populations_of_a_node_together() -> None:
    layers = (Layer("n.0", 10, node="n"), Layer("n.1", 20, node="n"))
    groups = (
        SynapseGroup("c", "in", "n.0", 5, 10, convolution=True),
        SynapseGroup("d", "in", "n.1", 5, 20),
    )
    network = NetworkDescription((Source("in", 5),), layers, groups)
    activity = random_activity(network, 6)
    counts = count(network, LOIHI1, partition(network, LOIHI1), activity)
    assert len(counts.layers) == 1
    row, arrived = counts.layers[0], activity.spikes["in"].sum()
    assert row.neurons == 30
    assert row.synops_charged == {"conv": arrived * 10, "dense": arrived * 20}


def test_record_for_json_has_items_layers_and_host() -> None:
    network = chain(4, 8)
    host = HostCounts(queries=3, distance_macs=100, hebbian_updates=4, bytes_touched=50)
    activity = random_activity(network, 7)
    record = count(network, LOIHI1, partition(network, LOIHI1), activity, host=host).as_dict()
    assert record["per_item"]["neuron_updates"] == 80
    assert record["total"]["neuron_updates_idle"] == 240 - activity.spikes["l1"].sum()
    assert record["per_layer"][0]["name"] == "l1"
    assert record["host"]["distance_macs"] == 100
