"""Neuron models: one step of Euler each, and what IF's r means."""

from __future__ import annotations

from dataclasses import fields

import nir
import pytest

from snn_deploy.network.neurons import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_fields_of_its_primitive(name):
    own = {f.name for f in fields(getattr(nir, name))} - {"input_type", "output_type", "metadata"}
    assert {f.name for f in fields(MODELS[name])} == own
