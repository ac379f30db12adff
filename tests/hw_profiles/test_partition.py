"""Cutting into cores: the published figures, all limits kept, nothing finer than needed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from networks import chain, sparse_group, twin

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.description import Layer, NetworkDescription, Source, SynapseGroup
from snn_deploy.hw_profiles.partition import core_limits, partition

LOIHI1 = load("loihi1")


def covered(network: NetworkDescription, cut) -> None:
    for layer in network.layers:
        assert cut.bounds(layer.name)[0] == 0
        assert cut.bounds(layer.name)[-1] == layer.neurons
        parts = cut.slices[layer.name]
        assert all(a.stop == b.start for a, b in pairwise(parts))
        for part in parts:
            assert part in cut.cores[cut.core_of(part)].slices


def test_twin_encoders_take_four_cores() -> None:
    network = twin(256, 128, 512)
    cut = partition(network, LOIHI1)
    covered(network, cut)
    assert len(cut.cores) == 4
    shares = [core.use["synapse_bits_per_core"] / 1048576 for core in cut.cores]
    assert [round(100 * share) for share in shares] == [28, 56, 28, 56]


def test_large_recurrent_network_takes_97_cores() -> None:
    network = chain(784, 2048, 2048, 512, recurrent=(1,))
    cut = partition(network, LOIHI1)
    covered(network, cut)
    assert [len(cut.slices[name]) for name in ("l1", "l2", "l3")] == [54, 34, 9]
    assert set(cut.binding.values()) == {"synapse_bits_per_core"}
    sizes = [part.neurons for part in cut.slices["l1"]]
    assert max(sizes) - min(sizes) <= 1


def test_small_layers_share_a_core_and_need_not() -> None:
    network = chain(64, 100, 40, 10)
    assert len(partition(network, LOIHI1).cores) == 1
    cut = partition(network, LOIHI1, co_locate=False)
    assert [core.slices[0].layer for core in cut.cores] == ["l1", "l2", "l3"]


def test_output_axons_press_back_on_a_layer_that_fits_otherwise() -> None:
    """64 neurons with 88 destination cores need 5632 output axons of 4096: two cores, though memory fits."""
    layers = (Layer("a", 64), *(Layer(f"b{i}", 1024) for i in range(88)))
    groups = (
        SynapseGroup("in", "in", "a", 8, 64),
        *(SynapseGroup(f"g{i}", "a", f"b{i}", 64, 1024) for i in range(88)),
    )
    network = NetworkDescription((Source("in", 8),), layers, groups)
    cut = partition(network, LOIHI1)
    assert len(cut.slices["a"]) == 2
    assert cut.binding["a"] == "output_axons_per_core"
    assert [part.use["output_axons_per_core"] for part in cut.slices["a"]] == [32 * 88, 32 * 88]


@pytest.mark.parametrize("seed", range(6))
def test_random_sparse_networks_keep_every_limit_with_no_core_to_spare(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(300, 1800, 3).tolist()
    names = ["in", "a", "b"]
    groups, matrices = [], []
    for source, target, shape in (
        ("in", "a", (sizes[1], sizes[0])),
        ("a", "b", (sizes[2], sizes[1])),
        ("b", "a", (sizes[1], sizes[2])),
    ):
        group, matrix = sparse_group(rng, (source, target), shape, float(rng.uniform(0.1, 0.6)))
        groups.append(group)
        matrices.append((source, target, matrix))
    network = NetworkDescription(
        (Source("in", sizes[0]),),
        tuple(Layer(n, s) for n, s in zip(names[1:], sizes[1:], strict=True)),
        tuple(groups),
    )
    cut = partition(network, LOIHI1)
    covered(network, cut)
    assert len(cut.cores) > 3
    for core in cut.cores:
        assert all(core.use[name] <= bound for name, bound in core_limits(LOIHI1).items())
    destinations = {"a": np.zeros(sizes[1]), "b": np.zeros(sizes[2])}
    for source, target, matrix in matrices:
        for part in cut.slices[target]:
            assert part.neurons <= 1024
            reached = matrix[part.start : part.stop].any(axis=0)
            memory = next(m for m in part.groups if m.group == f"{source}-{target}")
            assert memory.axons == int(reached.sum())
            if source != "in":
                destinations[source] += reached
    for name, per_neuron in destinations.items():
        for part in cut.slices[name]:
            assert part.use["output_axons_per_core"] == int(per_neuron[part.start : part.stop].sum())


def test_a_limit_that_one_neuron_breaks_does_not_shatter_the_layer() -> None:
    cut = partition(chain(5000, 200), LOIHI1)
    assert len(cut.cores) == 10  # 20 targets an axon make 192 bits, and 5000 * 192 < 2^20
    assert cut.cores[0].use["input_axons_per_core"] == 5000
