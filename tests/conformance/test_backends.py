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
#: A backend joins the suite by being in the registry: exact ones equal fixed, others are what it follows.
EXACT = [name for name in backends.names() if backends.kind(name).exact and name != "fixed"]
ROUNDED = [name for name in backends.references() if not backends.kind(name).exact]


@cache
def artifact(name):
    return convert_graph(case(name).graph, Options(level=0, seed=1))


def run(backend, name):
    """Rasters of every node, by name, and the membranes of read-outs by output."""
    model = artifact(name)
    inputs = {k: v.reshape(*v.shape[:2], -1) for k, v in case(name).inputs(steps=STEPS).items()}
    result = backends.get(backend).run(model, inputs, record=list(model.network.nodes))
    return result.spikes, result.membranes


def test_every_backend_is_in_the_suite_or_hands_on_to_one_that_is():
    assert {"lava", "loihi2"} <= set(EXACT) and ROUNDED == ["float"]
    assert set(backends.names()) - {*EXACT, *ROUNDED} == {"fixed", "auto"}


def test_every_primitive_has_a_case():
    wired = {"Input", "Output", "Identity"}  # in all cases; tests/convert/test_fields.py has them alone
    assert set(supported()) - wired <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_float_equals_the_interpreter(name):
    one = case(name)
    check(one.graph, one.inputs(steps=200), DT, one.feedback)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ROUNDED)
def test_fixed_follows_what_it_was_rounded_from(backend, name):
    """Integers of one plane: counts of a layer within a tenth, and never silent."""
    exact, read = run(backend, name)
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
@pytest.mark.parametrize("backend", EXACT)
def test_what_claims_to_be_exact_equals_fixed(backend, name):
    found = backends.get(backend).availability()
    if not found.available:
        pytest.skip(f"{backend}: {found.reason}")
    fixed, membranes = run("fixed", name)
    lava, read = run(backend, name)
    assert any(spikes.any() and not spikes.all() for spikes in fixed.values())
    for node, spikes in fixed.items():
        np.testing.assert_array_equal(lava[node], spikes, err_msg=node)
    assert set(read) == set(membranes)
    for output, values in membranes.items():
        np.testing.assert_array_equal(read[output], values, err_msg=output)
