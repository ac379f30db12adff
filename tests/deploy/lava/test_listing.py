"""The process graph that ``inspect --processes`` prints."""

from __future__ import annotations

import lava_nets as nets
import numpy as np

from snn_deploy.deploy.lava.listing import process_listing


def test_every_process_is_listed_with_its_targets_and_evidence() -> None:
    rng = np.random.default_rng(1)
    populations = [nets.population("a", 12, rng), nets.population("b", 9, rng)]
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "b", nets.dense(9, 12, rng)),
        nets.projection("x", "b", nets.dense(9, 10, rng), name="skip"),
    ]
    rows = process_listing(nets.artifact({"x": (10,)}, populations, edges, ("b",)).network)
    assert [(row["name"], row["kind"], row["to"]) for row in rows] == [
        ("source x", "Source", ["x->a", "skip"]),
        ("a", "LIFReset", ["a->b", "sink"]),
        ("b", "LIFReset", ["sink"]),
        ("x->a", "Dense", ["a"]),
        ("a->b", "Dense", ["b"]),
        ("skip", "DelayDense", ["b"]),
        ("sink", "Sink", []),
    ]
    by_name = {row["name"]: row for row in rows}
    assert by_name["skip"]["parameters"]["delay"] == 1 and by_name["skip"]["arrays"] == {"weights": [9, 10]}
    assert all(row["hardware"] for row in rows)


def test_a_network_that_cannot_stream_keeps_plain_neurons() -> None:
    rng = np.random.default_rng(1)
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "a", nets.dense(12, 12, rng), 1),
    ]
    network = nets.artifact({"x": (10,)}, [nets.population("a", 12, rng)], edges, ("a",)).network
    assert [row["kind"] for row in process_listing(network)] == ["Source", "LIF", "Dense", "Dense", "Sink"]
