"""The semantics contract: read from metadata, else from flags, else refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract

FULL = Contract(1e-3).metadata()


def test_it_survives_its_own_metadata_as_text_bytes_and_numpy_numbers():
    stored = {**FULL, "dt": np.float64(1e-3), "reset": b"zero", "strict_threshold": np.bool_(True)}
    assert Contract.resolve(stored) == Contract.resolve(FULL) == Contract(1e-3)


@pytest.mark.parametrize(
    ("metadata", "flags", "message"),
    [
        ({"reset": "zero"}, {}, "the time step is not stated"),
        ({"dt": 1e-3}, {}, "the reset mode is not stated"),
        ({}, {"dt": 0.0, "reset": "zero"}, "dt: bad time step; found 0.0"),
        ({"dt": float("nan"), "reset": "zero"}, {}, "dt: bad time step; found nan"),
        ({"dt": "soon", "reset": "zero"}, {}, "dt: bad time step; found soon"),
        ({"dt": 1e-3, "reset": "half"}, {}, "this reset mode is not known"),
        ({**FULL, "strict_threshold": False}, {}, "strict_threshold: the graph asks for semantics"),
        ({**FULL, "recurrent_delay": 2}, {}, "found 2; allowed 1"),
        ({**FULL, "initial_state": "v=0"}, {}, "initial_state: the graph asks for semantics"),
        ({**FULL, "decay": "linear"}, {}, "decay: this decay is not known; found linear"),
        (FULL, {"decay": "Euler"}, "found Euler; allowed euler or exponential"),
    ],
)
def test_refusals(metadata, flags, message):
    with pytest.raises(ModelNotSupported) as caught:
        Contract.resolve(metadata, **flags)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("stored", "flag", "decay"),
    [
        ("euler", None, "euler"),
        (b"exponential", None, "exponential"),
        ("euler", "exponential", "exponential"),
    ],
)
def test_decay_is_the_flags_else_the_graphs(stored, flag, decay):
    assert Contract.resolve({**FULL, "decay": stored}, decay=flag) == Contract(1e-3, decay=decay)
    assert Contract.resolve({"dt": 1e-3, "reset": "zero"}).decay == "euler"


def test_everything_missing_is_listed_at_once():
    with pytest.raises(ModelNotSupported) as caught:
        Contract.resolve({"recurrent_delay": 0})
    assert len(caught.value.violations) == 3


def test_a_flag_goes_before_the_metadata_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        assert Contract.resolve(FULL, dt=2e-3).dt == 2e-3
    assert "dt = 0.002 is the flag's, against the graph's own 0.001" in caplog.text


def test_a_flag_that_says_the_same_is_no_warning(caplog):
    with caplog.at_level(logging.WARNING):
        Contract.resolve(FULL, dt=1e-3, reset="zero")
    assert not caplog.text


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_the_reset_is_the_flags_else_the_graphs_and_goes_into_metadata(reset):
    assert Contract.resolve({"dt": 1e-3, "reset": reset}) == Contract(1e-3, reset=reset)
    assert Contract.resolve({"dt": 1e-3}, reset=reset).metadata()["reset"] == reset
