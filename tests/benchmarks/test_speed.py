"""bench speed: its networks fire as asked, its kernels agree, its ratios are quotients."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from snn_deploy.benchmarks import speed, speed_engine
from snn_deploy.benchmarks.speed_networks import (
    BENCHMARKS,
    STEPS,
    Benchmark,
    Layer,
    build,
    neuron_steps,
    spikes,
)
from snn_deploy.benchmarks.texts import speed_text
from snn_deploy.convert.ranges import check_ranges
from snn_deploy.deploy.backends.fixed import kernel
from snn_deploy.errors import BackendUnavailable

SMALL = Benchmark(
    "small", (2, 12, 12), (Layer(convolution=(8, 3, 2), rate=0.1), Layer(30, rate=0.2, recurrent=True))
)


def test_networks_are_legal_and_fire_at_their_rates() -> None:
    network = build(SMALL)
    check_ranges(network)
    raster = spikes(SMALL, 16, seed=3)
    assert raster.mean() == pytest.approx(0.1, abs=0.01)
    chunk = kernel.prepare(network, "numpy").run({"input": raster})
    for population, layer in zip(network.populations, SMALL.layers, strict=True):
        rate = chunk.spikes[population.name].sum() / (16 * STEPS * population.neurons)
        assert rate == pytest.approx(layer.rate, abs=0.03)
    assert neuron_steps(network) == STEPS * (8 * 5 * 5 + 30)
    assert [benchmark.name for benchmark in BENCHMARKS] == ["feed-forward", "recurrent", "convolutional"]


def test_the_engine_is_measured_with_every_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_engine, "BENCHMARKS", (SMALL,))
    found = speed_engine.measure({"network": "small", "batches": [1, 4], "seconds": 0.01})
    assert set(found["samples_per_second"]) == set(kernel.names())
    assert all(set(by_batch) == {"1", "4"} for by_batch in found["samples_per_second"].values())
    assert all(s > 0 for by_batch in found["samples_per_second"].values() for s in by_batch.values())
    assert 0 < found["synops"] <= found["synops_stored"]
    assert json.loads(json.dumps(found)) == found


def _entry() -> dict[str, Any]:
    return {
        "engine": {
            "kernel": "fast",
            "samples_per_second": {"fast": {"1": 50.0, "8": 400.0}, "numpy": {"1": 5.0, "8": 20.0}},
            "two_threads": 700.0,
            "neuron_steps": 1000,
            "synops": 4000.0,
            "synops_stored": 5000.0,
            "machine": {"additions_per_second": {"fast": 4e6}},
        },
        "peers": {"samples_per_second": {"norse": {"1": 2.0, "8": 8.0}}},
        "lava": {"samples_per_second": {"run": 4.0, "end to end": 2.0}},
    }


def test_ratios_are_quotients_of_one_run() -> None:
    found = speed.ratios(_entry())
    assert found["norse"] == {"1": 25.0, "8": 50.0}
    assert found["kernel numpy"] == {"1": 10.0, "8": 20.0}
    assert found["lava"] == {"run": 100.0, "end to end": 200.0}
    assert found["numpy over lava run"] == 5.0
    assert found["share of load-and-add"] == 0.5
    assert found["two threads over one"] == 1.75
    assert found["ns per neuron-step"] == pytest.approx(2500.0)
    entry = _entry()
    text = speed_text({"networks": {"net": {**entry, "ratios": found}}, "report": "speed.json"})
    assert "norse" in text and "x50.0" in text and "Lava, run" in text


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        return subprocess.CompletedProcess([], 1, "", "ModuleNotFoundError: No module named 'norse'")

    monkeypatch.setattr(subprocess, "run", fail)
    assert "No module named 'norse'" in speed._peers(SMALL, quick=True)["missing"]
    with pytest.raises(BackendUnavailable, match="measuring process failed"):
        speed._child("some.module", {})


def test_importing_the_benchmark_loads_no_peer() -> None:
    code = (
        "import sys, snn_deploy.benchmarks.speed; "
        "print([m for m in ('torch', 'norse', 'lava') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_input_spikes_repeat_by_seed() -> None:
    np.testing.assert_array_equal(spikes(SMALL, 2, seed=5), spikes(SMALL, 2, seed=5))
    assert not np.array_equal(spikes(SMALL, 2, seed=5), spikes(SMALL, 2, seed=6))
