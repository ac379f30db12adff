"""Chains with given weights: the rates they are set to, and training that ends when it has succeeded."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.benchmarks.studies.quantisation.classifier import train_chain
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.errors import UsageError
from snn_deploy.network.contract import Contract


def patterns(seed: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Four classes of rates over 24 inputs."""
    generator = np.random.default_rng(seed)
    rates = np.random.default_rng(99).gamma(1.0, 0.1, (4, 24)).clip(0, 0.6)
    labels = generator.integers(4, size=samples)
    return (generator.random((samples, 30, 24)) < rates[labels][:, None]).astype(np.uint8), labels


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_t(3, shape)


LAYERS, RECURRENT = [weights(20, 24), weights(16, 20)], weights(20, 20) / 7


def test_a_chain_fires_at_the_rate_asked_for_and_learns() -> None:
    spikes, labels = patterns(0, 600)
    graph = train_chain(spikes, labels, LAYERS, RECURRENT, rate=0.15, accuracy=0.8, seed=0)
    network = prepare(graph, Contract.resolve(graph.metadata)).network
    assert [p.v0.size for p in network.populations] == [20, 16]
    assert len(network.projections) == 3
    rasters = float_engine.run(network, {network.inputs[0].name: patterns(1, 100)[0]}).rasters
    for population in network.populations:
        assert 0.08 < rasters[population.name].mean() < 0.25
    # training moved the weights little: each layer is still one gain times what was drawn
    first = next(e for e in network.projections if e.source == network.inputs[0].name)
    assert np.corrcoef(np.ravel(first.connection.weight), np.ravel(LAYERS[0]))[0, 1] > 0.95


def test_training_that_cannot_succeed_says_so(monkeypatch) -> None:
    monkeypatch.setattr("snn_deploy.benchmarks.studies.quantisation.classifier._MOST_EPOCHS", 1)
    spikes, labels = patterns(0, 100)
    with pytest.raises(UsageError, match=r"1 epochs do not reach the accuracy; found .*; allowed > 1.0"):
        train_chain(spikes, labels, LAYERS, RECURRENT, rate=0.15, accuracy=1.0, seed=0)
