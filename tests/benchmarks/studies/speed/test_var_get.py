"""The stock stream that ``bench speed`` compares with must be right to be worth comparing with."""

from __future__ import annotations

import numpy as np

from snn_deploy.benchmarks.studies.speed.var_get import stream_by_var_get
from snn_deploy.deploy.lava.guard import Limits
from tests import quantised_nets as nets


def test_a_stock_stream_read_by_var_get_gives_the_outputs() -> None:
    rng = np.random.default_rng(2)
    populations = [nets.population(n, k, rng, **nets.moderate(k, rng)) for n, k in (("a", 12), ("b", 9))]
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "b", nets.dense(9, 12, rng)),
    ]
    network = nets.network({"x": (10,)}, populations, edges, ("b",))
    inputs = {"x": nets.spikes(3, 20, 10, rng)}
    rasters, seconds = stream_by_var_get(network, inputs, Limits())
    assert set(rasters) == {"b"} and seconds > 0
    np.testing.assert_array_equal(rasters["b"], nets.reference(network, inputs)[0]["b"])
    assert len(set(rasters["b"].sum(axis=(0, 1)).tolist())) > 2
