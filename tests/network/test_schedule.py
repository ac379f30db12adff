"""Depths in Lava's pipeline, delays that balance them, and cycles that are too short."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.schedule import depths, lava_delay, stages


def topology(populations, *edges, inputs="i"):
    return SimpleNamespace(
        inputs=[SimpleNamespace(name=n) for n in inputs],
        populations=[SimpleNamespace(name=n) for n in populations],
        projections=[SimpleNamespace(name=f"{a}{b}", source=a, target=b, delay=d) for a, b, d in edges],
    )


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (topology("abc", ("i", "a", 0), ("a", "b", 0), ("b", "c", 0)), "a1 b2 c3"),
        (topology("ab", ("i", "a", 0), ("a", "b", 0), ("i", "b", 0)), "a1 b2"),
        (topology("ab", ("i", "a", 0), ("a", "b", 0), ("b", "a", 1), ("a", "a", 1)), None),
        (topology("ab", ("i", "a", 0), ("a", "b", 0), ("b", "a", 2)), "a1 b2"),
        (topology("ab", ("i", "a", 5), ("a", "b", 3)), "a1 b1"),
    ],
)
def test_depths_are_the_smallest_that_leave_no_negative_delay(network, expected):
    if expected is None:
        with pytest.raises(ModelNotSupported):
            depths(network)
        return
    depth = depths(network)
    assert {f"{n}{d}" for n, d in depth.items() if n != "i"} == set(expected.split())
    assert all(lava_delay(edge, depth) >= 0 for edge in network.projections)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        # the second source waits at its own depth, not in its synapse
        (topology("ab", ("i", "a", 0), ("a", "b", 100)), "a38 b1"),
        # the input cannot wait, and nor can a source that the chain itself comes from: the least depths stay
        (topology("a", ("i", "a", 64)), "a1"),
        (topology("ab", ("i", "a", 0), ("a", "b", 0), ("a", "a", 70)), "a1 b2"),
        (topology("ab", ("i", "a", 0), ("a", "b", 300)), "a1 b1"),
    ],
)
def test_a_source_is_put_off_where_its_spikes_would_wait_too_long(network, expected):
    depth = depths(network)
    assert {f"{n}{d}" for n, d in depth.items() if n != "i"} == set(expected.split())


def test_every_short_cycle_is_reported_with_its_numbers():
    network = topology(
        "abcd", ("i", "a", 0), ("a", "b", 0), ("b", "a", 1), ("i", "c", 0), ("c", "d", 0), ("d", "c", 0)
    )
    with pytest.raises(ModelNotSupported) as caught:
        depths(network)
    found = {str(v).split("; allowed")[0].rsplit("found ", 1)[1] for v in caught.value.violations}
    assert found == {"1 step(s) of delay around 2 connections", "0 step(s) of delay around 2 connections"}


def test_of_parallel_projections_the_quick_one_counts():
    edges = [("i", "a", 0), ("a", "b", 0), ("b", "a", 9), ("b", "a", 1)]
    for order in (edges, edges[::-1]):
        with pytest.raises(ModelNotSupported, match="1 step"):
            depths(topology("ab", *order))


@pytest.mark.parametrize("seed", range(20))
def test_shifting_by_depth_keeps_every_arrival_in_its_step(seed):
    """A spike of network step t leaves at Lava step t + depth and arrives one step and the delay later."""
    rng = np.random.default_rng(seed)
    names = "abcdefgh"
    edges = [("i", "a", 0)] + [
        (names[j], names[k], int(rng.integers(0, 4)))
        for k in range(1, 8)
        for j in rng.choice(k, size=min(k, 2), replace=False)
    ]
    network = topology(names, *edges)
    depth = depths(network)
    for edge in network.projections:
        sent = 10 + depth[edge.source]
        assert sent + 1 + lava_delay(edge, depth) == 10 + edge.delay + depth[edge.target]


def test_stages_are_in_order_and_keep_cycles_together():
    network = topology("dcba", ("i", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "b", 2), ("c", "d", 0))
    found = stages(network)
    assert [set(stage) for stage in found] == [{"a"}, {"b", "c"}, {"d"}]
