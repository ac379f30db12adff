"""The stock stream that ``bench speed`` compares with must be right to be worth comparing with."""

from __future__ import annotations

import lava_nets as nets
import numpy as np

from snn_deploy.deploy.lava.baseline import stream_by_var_get
from snn_deploy.deploy.lava.guard import Limits


def test_a_stock_stream_read_by_var_get_gives_the_outputs() -> None:
    rng = np.random.default_rng(2)
    populations = [nets.population("a", 12, rng), nets.population("b", 9, rng)]
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "b", nets.dense(9, 12, rng)),
    ]
    network = nets.artifact({"x": (10,)}, populations, edges, ("b",)).network
    inputs = {"x": nets.spikes(3, 20, 10, rng)}
    rasters, seconds = stream_by_var_get(network, inputs, Limits())
    assert set(rasters) == {"b"} and seconds > 0
    np.testing.assert_array_equal(rasters["b"], nets.reference(network, inputs)["b"])
    assert len(set(rasters["b"].sum(axis=(0, 1)).tolist())) > 2
