"""Graded input from conversion to spikes: declared, refused by a chip without it, run in float and fixed."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract
from tests.equivalence.graphs import DT, Draw, chain


def small():
    """A direct-coded net: the first layer is given integers of 6 bits."""
    draw = Draw(2)
    net = chain(draw.affine(12, 8, 0.05), draw.lif(12), draw.affine(6, 12), draw.lif(6), shape=[8])
    net.metadata = Contract(DT).metadata()
    return net


def test_a_chip_without_graded_spikes_refuses_by_name():
    with pytest.raises(ModelNotSupported, match=r"input: graded input needs graded spikes, which loihi1"):
        convert_graph(small(), Options(profile="loihi1", graded=6, level=0))


def test_float_and_fixed_follow_the_size_and_sign_of_the_input():
    artifact = convert_graph(small(), Options(graded=6, level=0))
    assert artifact.network.inputs[0].message_bits == 6
    rng = np.random.default_rng(0)
    values = (rng.integers(-32, 32, (8, 60, 8)) * (rng.random((8, 60, 8)) < 0.3)).astype(np.int32)
    run = {
        name: backends.get(name).run(artifact, {"input": values}, record=["n1"])
        for name in ("float", "fixed")
    }
    binary = backends.get("fixed").run(artifact, {"input": (values != 0).astype(np.int32)}, record=["n1"])
    exact, fixed = run["float"].spikes["n1"], run["fixed"].spikes["n1"]
    assert 0.01 < exact.mean() < 0.9
    assert abs(int(exact.sum()) - int(fixed.sum())) <= 0.05 * exact.sum()
    assert not np.array_equal(binary.spikes["n1"], fixed)
