"""Generated calibration spikes cover sparse and dense input."""

from __future__ import annotations

import numpy as np

from snn_deploy.convert.calibration import generated_spikes
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.network import Input


def test_generated_spikes_have_rates_of_a_geometric_series() -> None:
    network = DiscreteNetwork(Contract(1e-3), (Input("in", (40, 50)),), (), (), ())
    spikes = generated_spikes(network, 3)["in"]
    assert spikes.shape == (32, 60, 2000) and spikes.dtype == np.uint8
    rates = np.sort(spikes.mean(axis=(1, 2)))
    wanted = 0.005 * 60 ** (np.arange(32) / 31)
    np.testing.assert_allclose(rates, wanted, rtol=0.1)
    assert np.any(np.diff(spikes.mean(axis=(1, 2))) > 0)  # the first samples are a fair part of all
    np.testing.assert_array_equal(generated_spikes(network, 3)["in"], spikes)
    assert np.any(generated_spikes(network, 4)["in"] != spikes)
    few = generated_spikes(network, 0, samples=2)["in"].mean(axis=(1, 2))
    np.testing.assert_allclose(np.sort(few), [0.005, 0.3], rtol=0.1)
