"""The float peers: the same network in each, at the rates asked for; and their speeds, by row and batch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from snn_deploy.benchmarks.studies.speed.peers._workload import Layer, Spec, report, tuned

RATES = (0.1, 0.12, 0.08)
LAYERS = (
    Layer(0, (4, 3, 2), RATES[0], False),
    Layer(24, None, RATES[1], True),
    Layer(12, None, RATES[2], False),
)
SPEC = Spec((2, 9, 9), LAYERS, 30, 0.2, 0.8, 0.9, (1, 3), 0.01, compiled=False)
ROWS = {"norse": ["Norse"], "snntorch": ["snnTorch Synaptic"], "jax": ["JAX by hand", "JAX spyx"]}


def test_weights_and_input_are_seeded_and_shaped() -> None:
    weights = SPEC.weights()
    assert [w.forward.shape for w in weights] == [(4, 2, 3, 3), (24, 64), (12, 24)]
    assert [w.source for w in weights] == [(2, 9, 9), (4, 4, 4), (24,)]
    assert [w.shape for w in weights] == [(4, 4, 4), (24,), (12,)]
    assert [None if w.recurrent is None else w.recurrent.shape for w in weights] == [None, (24, 24), None]
    np.testing.assert_array_equal(weights[1].forward, SPEC.weights()[1].forward)
    assert not np.array_equal(weights[1].forward, SPEC.weights(seed=1)[1].forward)
    spikes = SPEC.spikes(50)
    assert spikes.shape == (30, 50, 2, 9, 9)
    assert set(np.unique(spikes)) == {0.0, 1.0}
    assert spikes.mean() == pytest.approx(0.2, abs=0.01)


def test_a_specification_is_read_from_json() -> None:
    document = {
        "shape": [2, 9, 9],
        "layers": [vars(layer) for layer in LAYERS],
        **{key: getattr(SPEC, key) for key in ("steps", "rate", "alpha", "beta", "seconds", "compiled")},
        "batches": [1, 3],
    }
    read = Spec.read(json.loads(json.dumps(document)))
    assert (read.steps, read.layers[1], list(read.batches)) == (30, LAYERS[1], [1, 3])


def test_gains_are_found_layer_by_layer() -> None:
    def rates(gains: Any, spikes: Any) -> list[float]:
        first = min(1.0, gains[0] * float(spikes.mean()))
        return [first, first * gains[1] ** 2, 0.1 * gains[2]]

    gains, reached = tuned(SPEC, rates)
    assert reached == pytest.approx(RATES, rel=0.01)
    assert gains[1] == pytest.approx(np.sqrt(0.12 / 0.1), rel=0.01)


def test_a_row_that_fails_is_reported() -> None:
    def fail() -> dict[str, float]:
        raise ValueError("no\nsuch thing")

    found = report([("good", lambda: {"1": 2.0}), ("bad", fail)], [0.5], versions={})
    assert found["samples_per_second"] == {"good": {"1": 2.0}}
    assert found["missing"] == {"bad": "ValueError: no such thing"}


def _imports(module: str) -> bool:
    """Whether a module can be imported: spyx may stand beside a torchvision that does not fit torch."""
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("name", list(ROWS))
def test_a_peer_answers_in_a_process_of_its_own(name: str) -> None:
    """Every row fires at the rates asked for and has a speed for each batch."""
    pytest.importorskip(name)
    document = {**vars(SPEC), "layers": [vars(layer) for layer in LAYERS]}
    done = subprocess.run(
        [sys.executable, "-m", f"snn_deploy.benchmarks.studies.speed.peers.{name}"],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rows = [row for row in ROWS[name] if row != "JAX spyx" or _imports("spyx")]
    assert list(found["samples_per_second"]) == rows
    assert set(found["missing"]) == set(ROWS[name]) - set(rows)
    for by_batch in found["samples_per_second"].values():
        assert list(by_batch) == ["1", "3"]
        assert min(by_batch.values()) > 0
    assert found["versions"][name]
    for rates in found["rates"].values() if name == "jax" else [found["rates"]]:
        assert rates == pytest.approx(RATES, abs=0.02)


def test_scans_over_steps_and_over_layers_give_the_same_spikes() -> None:
    pytest.importorskip("jax")
    from snn_deploy.benchmarks.studies.speed.peers import jax as peer

    weights = SPEC.weights()
    network = peer.Network(LAYERS, tuple(peer.by_hand(SPEC, drawn) for drawn in weights))
    gains, _ = tuned(SPEC, lambda gains, spikes: network.rates(peer.forward_weights(weights, gains), spikes))
    scaled = peer.forward_weights(weights, gains)
    spikes = SPEC.spikes(5)
    by_steps, by_layers = (np.asarray(scan(scaled, spikes)) for scan in (network.by_steps, network.by_layers))
    np.testing.assert_array_equal(by_steps, by_layers)
    assert 0 < by_steps.sum() < by_steps.size * SPEC.steps
    # the equation once more, in NumPy
    drawn = weights[1]
    raster = [np.asarray(layer) for layer in network.rasters(scaled, spikes)]
    v, i, z = (np.zeros((5, 24), np.float32) for _ in range(3))
    agreed = []
    for step in range(SPEC.steps):
        x = raster[0][step].reshape(5, -1) @ (gains[1] * drawn.forward).T + z @ drawn.recurrent.T
        i = 0.8 * i + x
        v = 0.9 * v + i
        z = raster[1][step]
        agreed.append((v > 1) == (z > 0))
        v = np.where(z > 0, 0, v)
    assert np.mean(agreed) > 0.999  # a float sum in another order may fall on the other side of 1
