"""Neuron models: one step of Euler each, and what IF's r means."""

from __future__ import annotations

import logging
from dataclasses import fields

import nir
import numpy as np
import pytest

from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.network.contract import Contract
from snn_deploy.network.neurons import IF, MODELS, I
from tests.equivalence.compare import check
from tests.equivalence.graphs import DT, Draw, chain


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_fields_of_its_primitive(name):
    own = {f.name for f in fields(getattr(nir, name))} - {"input_type", "output_type", "metadata"}
    assert {f.name for f in fields(MODELS[name])} == own


@pytest.mark.parametrize("model", [IF(np.full(3, 1 / DT), np.ones(3), np.zeros(3)), I(np.full(3, 1 / DT))])
def test_r_of_one_over_dt_is_spikingjelly_s_and_worth_a_warning(model, caplog):
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(model.dynamics(DT).gain, np.ones(3))
    assert "as SpikingJelly writes it" in caplog.text


@pytest.mark.parametrize("r", [1.0, 2.5, np.array([1000.0, 1.0, 1.0])])
def test_any_other_r_is_taken_as_it_is(r, caplog):
    values = np.broadcast_to(r, 3).astype(float)
    np.testing.assert_array_equal(IF(values, np.ones(3), np.zeros(3)).dynamics(DT).gain, values)
    assert not caplog.text


@pytest.mark.parametrize("dt", [1e-2, 1e-4])
def test_an_r_that_looks_like_one_over_another_dt_is_worth_a_warning(dt, caplog):
    """The file of a network of 1 ms steps, read with another time step."""
    values = np.full(3, 1000.0)
    np.testing.assert_array_equal(IF(values, np.ones(3), np.zeros(3)).dynamics(dt).gain, values)
    assert f"is not 1 / dt = {1 / dt:g}" in caplog.text
    assert "its time step was 0.001 s" in caplog.text


def test_integrators_agree_with_spikingjelly_s_reading():
    """The same net with r = 1 / dt, and with r = 1: equal spikes."""
    draw = Draw(1)
    threshold, reset = draw.threshold_and_reset((9,))
    first = draw.affine(9, 6)
    nets = [chain(first, nir.IF(np.full(9, r), threshold, reset), shape=[6]) for r in (1.0, 1 / DT)]
    spikes = {"input": draw.spikes(2, 200, (6,))}
    expected = check(nets[0], spikes, DT)
    runs = [float_engine.run(prepare(net, Contract(DT)).network, spikes).rasters["n1"] for net in nets]
    np.testing.assert_array_equal(*runs)
    assert expected.rates["n1"] > 0
