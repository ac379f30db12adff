"""Integers that Loihi does not hold are refused before a run, all at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.connections import Conv2d, Dense
from snn_deploy.network.contract import Contract
from snn_deploy.network.integers import UNREACHABLE_VTH
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import (
    QuantisedNetwork,
    QuantisedPopulation,
    QuantisedProjection,
)
from snn_deploy.network.validity import QUANTISED, check

ZEROS = np.zeros(3, dtype=np.int64)
POPULATION = QuantisedPopulation("a", "a", np.arange(3), 100, 100, 500, ZEROS, ZEROS, ZEROS, ZEROS)
PROJECTION = QuantisedProjection("x-a", "x", "a", Dense(np.full((3, 2), 254)), 0, 8, "mixed", 0)


def network(population: QuantisedPopulation = POPULATION, **projection: Any) -> QuantisedNetwork:
    return QuantisedNetwork(
        Contract(1e-3),
        "test",
        (Input("x", (2,)),),
        (population,),
        (replace(PROJECTION, **projection),),
        (Output("a", "a"),),
        {"a": (3,)},
    )


def test_the_ends_of_every_range_pass() -> None:
    low = replace(POPULATION, du=-1, dv=0, vth=0, bias_mant=ZEROS - 4096, u0=ZEROS - 2**23 + 1)
    high = replace(POPULATION, du=4095, dv=4096, vth=131071, bias_mant=ZEROS + 4095, bias_exp=ZEROS + 7)
    for population in (low, high, replace(POPULATION, spiking=False, vth=UNREACHABLE_VTH)):
        check(network(population), QUANTISED)
    check(network(weight_exp=7, delay=62), QUANTISED)
    check(network(connection=Dense(np.array([[-256, 254]] * 3))), QUANTISED)
    check(network(connection=Dense(np.array([[0, 255]] * 3)), sign="excitatory"), QUANTISED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"du": 4096}, ["du", "4096", "-1 .. 4095"]),
        ({"dv": -1}, ["dv", "-1", "0 .. 4096"]),
        ({"vth": 131072}, ["vth", "131072"]),
        ({"vth": -1}, ["vth", "-1"]),
        ({"bias_mant": np.array([0, 40000, 1])}, ["bias_mant", "40000 (1 of 3 values)", "-4096 .. 4095"]),
        ({"bias_exp": ZEROS + 8}, ["bias_exp", "8 (3 of 3 values)"]),
        ({"u0": ZEROS + 2**23}, ["u0", "8388608"]),
        ({"v0": ZEROS - 2**23}, ["v0", "-8388608"]),
        ({"v0": np.zeros(3)}, ["v0 must be integers", "float64"]),
        ({"u0": np.zeros(4, dtype=np.int64)}, ["u0 has the wrong shape", "(4,)"]),
        ({"spiking": False}, ["threshold can be reached", "131072"]),
    ],
)
def test_a_population_out_of_range(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ModelNotSupported) as refused:
        check(network(replace(POPULATION, **change)), QUANTISED)
    assert len(refused.value.violations) == 1
    assert all(word in str(refused.value) for word in ["population 'a'", *words])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight_exp": 8}, ["weight_exp", "8", "-8 .. 7"]),
        ({"weight_bits": 9}, ["weight_bits", "9"]),
        ({"delay": 63}, ["delay", "63", "0 .. 62"]),
        ({"connection": Dense(np.full((3, 2), 258))}, ["a weight is out of range", "258 (6 of 6 values)"]),
        ({"connection": Dense(np.full((3, 2), 255))}, ["off the grid", "6 of 6 weights", "multiples of 2"]),
        ({"connection": Dense(np.full((3, 2), 8)), "weight_bits": 4}, ["off the grid", "multiples of 32"]),
        ({"sign": "inhibitory"}, ["a weight is out of range", "254", "-255 .. 0"]),
        ({"connection": Dense(np.full((3, 2), 0.5))}, ["weights must be integers", "float64"]),
        ({"connection": Dense(np.full((3, 4), 2))}, ["wrong size", "(3, 4)", "(3, 2)"]),
        ({"source": "y"}, ["unknown populations", "'y' -> 'a'"]),
        ({"message_bits": 8}, ["message_bits disagree", "8"]),
    ],
)
def test_a_projection_out_of_range(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ModelNotSupported) as refused:
        check(network(**change), QUANTISED)
    assert len(refused.value.violations) == 1
    assert all(word in str(refused.value) for word in ["projection 'x-a'", *words])


def test_a_convolution_keeps_to_the_same_grid() -> None:
    conv = Conv2d(np.full((3, 1, 1, 1), 255), (1, 1, 1), (1, 1), (0, 0), (1, 1), 1)
    with pytest.raises(ModelNotSupported, match="3 of 3 weights"):
        check(replace(network(connection=conv), inputs=(Input("x", (1, 1, 1)),)), QUANTISED)


def test_all_violations_come_at_once() -> None:
    with pytest.raises(ModelNotSupported) as refused:
        check(network(replace(POPULATION, du=9999, vth=-5), weight_exp=9, delay=63), QUANTISED)
    assert len(refused.value.violations) == 4
