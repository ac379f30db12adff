"""Fresh batch norms give slow neurons the voltage's spread of fast ones."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.convert.frontends.norse.description.modules import build  # noqa: E402
from snn_deploy.train.encoders import describe, feed_forward  # noqa: E402
from snn_deploy.train.examples import Examples  # noqa: E402
from snn_deploy.train.initialise import initialise  # noqa: E402
from snn_deploy.train.recipe import Recipe  # noqa: E402


def gain(tau_mem_inv: float) -> float:
    recipe = Recipe(tau_syn_inv=1000.0, tau_mem_inv=tau_mem_inv)
    tower = feed_forward((8,), [5], recipe, norm=True)
    module = build(describe({"a": tower}, {"a": 8}, recipe, task="", seed=0, readout="counts"))
    initialise(module, Examples({"a": np.full((2, 8), 0.3, np.float32)}))
    (norm,) = (part for part in module.modules() if isinstance(part, torch.nn.BatchNorm1d))
    assert len(set(norm.weight.tolist())) == 1
    return norm.weight[0].item()


def spread(a: float, current: float) -> float:
    """Standard deviation of v' = (1 - a) v + a i under a white current, simulated."""
    rng, v, seen = np.random.default_rng(0), np.zeros(4000), []
    for _ in range(200):
        v = (1 - a) * v + a * current * rng.standard_normal(4000)
        seen.append(v.std())
    return float(np.mean(seen[100:]))


def test_slow_neurons_begin_with_the_spread_of_those_of_a_half() -> None:
    assert gain(500.0) == gain(1000.0) == 1
    for tau_mem_inv in (50.0, 100.0, 300.0):
        assert gain(tau_mem_inv) > 1
        assert spread(tau_mem_inv / 1000, gain(tau_mem_inv)) == pytest.approx(spread(0.5, 1.0), rel=0.03)
