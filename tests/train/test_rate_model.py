import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.convert.frontends.norse.description.config import Config  # noqa: E402
from snn_deploy.convert.frontends.norse.description.modules import build  # noqa: E402
from snn_deploy.train.coding import rate_code  # noqa: E402
from snn_deploy.train.rate_model import rates, stationary_rate  # noqa: E402
from snn_deploy.train.unroll import unroll  # noqa: E402


def module(first):
    dynamics = {"tau_syn_inv": 500.0, "tau_mem_inv": 250.0}
    head = {"type": "LIFRecurrentCell", "in": 60, "size": 80, **dynamics}
    if first == "LIFCell":
        head = {"type": "LIFCell", "size": 60, **dynamics}
    config = Config.model_validate({"inputs": {"a": 60}, "towers": {"a": [head]}})
    return build(config)


def test_rate_at_twice_the_threshold_is_that_of_the_neuron():
    tower = module("LIFCell").tower("a")
    current = 1.0  # a_s = 1/2: the synapse settles at 2, twice the threshold
    spikes = unroll(tower, torch.full((400, 1, 60), current))[0]
    period = math.ceil(math.log(2) / -math.log(0.75))
    assert spikes.sum().item() == pytest.approx(60 * 400 / period, abs=60 * 2)
    found = stationary_rate(torch.tensor(current), tower[0].p, tower[0].dt).item()
    # The period is a whole number of steps; the curve passes half a step off at the most.
    assert 1 / (period + 0.5) <= found <= 1 / (period - 0.5)


def test_rates_follow_those_of_the_spikes():
    rng = np.random.default_rng(0)
    tower = module("LIFRecurrentCell").tower("a")
    with torch.no_grad():
        tower[0].input_weights.copy_(torch.from_numpy(rng.normal(0, 0.25, (80, 60))))
        tower[0].recurrent_weights.zero_()
        values = rng.random((200, 60)).astype(np.float32)
        torch.manual_seed(0)
        estimate = rates(tower, torch.from_numpy(values), 20)[0].numpy()
        spikes = torch.from_numpy(rate_code(values, 20, 0)).transpose(0, 1).float()
        observed = unroll(tower, spikes)[0].mean(0).numpy()
    assert 0.05 < observed.mean() < 0.5
    assert np.corrcoef(estimate.ravel(), observed.ravel())[0, 1] > 0.9
