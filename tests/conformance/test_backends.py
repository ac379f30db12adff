"""Every case on every backend: float equals the interpreter, and Lava equals fixed, spike by spike."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.lowering import supported
from snn_deploy.deploy import backends
from tests.conformance.cases import NAMES, case
from tests.equivalence.compare import check
from tests.equivalence.graphs import DT

STEPS = 90


@cache
def artifact(name):
    return convert_graph(case(name).graph, Options(level=0, seed=1))


def run(backend, name):
    """Rasters of every node, by name, and the membranes of read-outs by output."""
    model = artifact(name)
    inputs = {k: v.reshape(*v.shape[:2], -1) for k, v in case(name).inputs(steps=STEPS).items()}
    result = backends.get(backend).run(model, inputs, record=list(model.network.nodes))
    return result.spikes, result.membranes


def test_every_primitive_has_a_case():
    wired = {"Input", "Output", "Identity"}  # in all cases; tests/convert/test_fields.py has them alone
    assert set(supported()) - wired <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_float_equals_the_interpreter(name):
    one = case(name)
    check(one.graph, one.inputs(steps=200), DT, one.feedback)


@pytest.mark.parametrize("name", NAMES)
def test_fixed_follows_float(name):
    """Integers of one plane: counts of a layer within a tenth, and never silent."""
    exact, read = run("float", name)
    fixed, membranes = run("fixed", name)
    for node, spikes in exact.items():
        if spikes.any():
            assert abs(int(spikes.sum()) - int(fixed[node].sum())) <= 0.1 * spikes.sum() + 2, node
    assert any(spikes.any() for spikes in fixed.values())
    assert set(membranes) == set(read)
    for output, values in membranes.items():
        assert np.ptp(values) > 0, output


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_lava_equals_fixed(name):
    if not backends.get("lava").availability().available:
        pytest.skip("no Lava in this environment")
    fixed, membranes = run("fixed", name)
    lava, read = run("lava", name)
    assert any(spikes.any() and not spikes.all() for spikes in fixed.values())
    for node, spikes in fixed.items():
        np.testing.assert_array_equal(lava[node], spikes, err_msg=node)
    assert set(read) == set(membranes)
    for output, values in membranes.items():
        np.testing.assert_array_equal(read[output], values, err_msg=output)
