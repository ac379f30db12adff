"""bench speed: its networks fire as asked, its kernels agree, its ratios are quotients."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.benchmarks.report import short
from snn_deploy.benchmarks.studies.speed import engine as speed_engine
from snn_deploy.benchmarks.studies.speed import lava as speed_lava
from snn_deploy.benchmarks.studies.speed import runner as speed
from snn_deploy.benchmarks.studies.speed.networks import (
    BENCHMARKS,
    Benchmark,
    Layer,
    build,
    neuron_steps,
    spikes,
)
from snn_deploy.benchmarks.studies.speed.ratios import TARGETS, Target, judged, ratios
from snn_deploy.benchmarks.studies.speed.text import speed_text
from snn_deploy.benchmarks.tasks.emoji_captions import EmojiCaptions
from snn_deploy.engine.fixed import kernel
from snn_deploy.errors import BackendUnavailable
from snn_deploy.network.validity import QUANTISED, check

SMALL = Benchmark(
    "small",
    (2, 12, 12),
    (Layer(convolution=(8, 3, 2), rate=0.1), Layer(30, rate=0.2, recurrent=True)),
    batches=(1, 4),
    steps=40,
    tau_syn_inv=500.0,
    tau_mem_inv=250.0,
)


def test_networks_are_legal_and_fire_at_their_rates() -> None:
    network = build(SMALL)
    check(network, QUANTISED)
    raster = spikes(SMALL, 16, seed=3)
    assert raster.mean() == pytest.approx(0.1, abs=0.01)
    chunk = kernel.prepare(network, "numpy").run({"input": raster})
    for population, layer in zip(network.populations, SMALL.layers, strict=True):
        rate = chunk.spikes[population.name].sum() / (16 * 40 * population.neurons)
        assert rate == pytest.approx(layer.rate, abs=0.03)
        # a step takes du + 1 and dv of 4096
        assert (population.du, population.dv) == (2047, 1024)
    assert neuron_steps(SMALL, network) == 40 * (8 * 5 * 5 + 30)


def test_the_networks_are_those_that_are_asked_for() -> None:
    assert [benchmark.name for benchmark in BENCHMARKS] == [
        "feed-forward",
        "recurrent",
        "convolutional",
        "emoji encoder",
    ]
    emoji = BENCHMARKS[3]
    recipe = EmojiCaptions.recipe
    assert emoji.shape == EmojiCaptions().input_shapes()["image"]
    assert [layer.neurons for layer in emoji.layers] == [recipe.hidden, 2 * recipe.pairs]
    assert (emoji.steps, emoji.tau_syn_inv, emoji.tau_mem_inv) == (
        recipe.steps,
        recipe.tau_syn_inv,
        recipe.tau_mem_inv,
    )


def test_the_engine_is_measured_with_every_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_engine, "BENCHMARKS", (SMALL,))
    found = speed_engine.measure({"network": "small", "batches": [1, 4], "seconds": 0.01})
    assert set(found["samples_per_second"]) == set(kernel.names())
    assert all(set(by_batch) == {"1", "4"} for by_batch in found["samples_per_second"].values())
    assert all(s > 0 for by_batch in found["samples_per_second"].values() for s in by_batch.values())
    assert 0 < found["synops"] <= found["synops_stored"]
    assert [point["input_rate"] for point in found["densities"]] == [0.05, 0.1, 0.2]
    synops = [point["synops_stored"] for point in found["densities"]]
    assert synops == sorted(set(synops))
    if speed_engine.usable_cores() > 1:
        assert found["threads"]["batch"] == 16
        assert min(found["threads"]["one"], found["threads"]["two"]) > 0
    assert json.loads(json.dumps(found)) == found


def test_one_usable_core_has_no_second_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_engine, "usable_cores", lambda: 1)
    assert speed_engine.threads(build(SMALL), spikes(SMALL, 2), 0.01) is None


def _entry() -> dict[str, Any]:
    return {
        "network": {"about": "made up", "shape": [6], "input_rate": 0.1, "steps": 10},
        "engine": {
            "kernel": "fast",
            "samples_per_second": {"fast": {"1": 50.0, "8": 400.0}, "numpy": {"1": 5.0, "8": 20.0}},
            "threads": {"batch": 8, "one": 200.0, "two": 350.0},
            "densities": [
                {"input_rate": 0.05, "synops_stored": 3000.0, "seconds": 1e-3},
                {"input_rate": 0.1, "synops_stored": 5000.0, "seconds": 1.6e-3},
                {"input_rate": 0.2, "synops_stored": 9000.0, "seconds": 3e-3},
            ],
            "neuron_steps": 1000,
            "synops": 4000.0,
            "synops_stored": 5000.0,
            "rates": [0.1, 0.2],
            "machine": {"additions_per_second": {"fast": 4e6}, "sgemm_flops": 2e9},
        },
        "peers": {
            "samples_per_second": {"Norse": {"1": 2.0, "8": 8.0}},
            "missing": {"jax": "ModuleNotFoundError: No module named 'jax'"},
            "versions": {"norse": "1.1.0"},
        },
        "lava": {"samples_per_second": {"run": 4.0, "end to end": 2.0, "stream, end to end": 2.0}},
    }


def test_ratios_are_quotients_of_one_run() -> None:
    found = ratios(_entry())
    assert found["over peers"] == {"Norse": {"1": 25.0, "8": 50.0}}
    assert found["over kernels"] == {"numpy": {"1": 10.0, "8": 20.0}}
    assert found["over Lava"] == {"run": 100.0, "end to end": 200.0, "stream, end to end": 200.0}
    assert found["kernels over Lava's run"] == {"fast": 100.0, "numpy": 5.0}
    assert found["kernels over the fastest"] == {"numpy": 0.05}
    assert found["share of load-and-add"] == 0.5
    assert found["marginal synops per second"] == pytest.approx(3e6)  # 6000 more in 2 ms more
    assert found["marginal share of load-and-add"] == pytest.approx(0.75)
    assert found["two threads over one"] == 1.75
    assert found["ns per neuron-step"] == pytest.approx(2500.0)


def test_what_was_not_measured_has_no_ratio() -> None:
    entry = _entry()
    entry["engine"]["threads"] = None
    entry["engine"]["machine"]["additions_per_second"] = {}
    entry["lava"] = {"missing": "no Lava here"}
    absent = {"two threads over one", "share of load-and-add", "marginal share of load-and-add", "over Lava"}
    assert absent & set(ratios(entry)) == set()
    assert absent <= set(ratios(_entry()))


def test_targets_are_judged_where_they_were_measured() -> None:
    rows = judged({"feed-forward": ratios(_entry())})
    assert {row["title"]: row["holds"] for row in rows} == {
        "over stock Lava streaming, run only": False,
        "over stock Lava streaming, end to end": False,
        "over Norse, batch 1": False,
        "share of load-and-add, overall": True,
        "NumPy kernel over Lava's run": False,
        "two threads over one": False,
    }
    assert judged({}) == []
    limit = Target("net", "at the limit", ("two threads over one",), 1.75)
    assert limit.value(ratios(_entry())) == limit.limit
    assert {target.network for target in TARGETS} <= {benchmark.name for benchmark in BENCHMARKS}


def test_the_report_is_a_page_with_a_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = _entry()
    monkeypatch.setattr(speed, "BENCHMARKS", (replace(SMALL, name="feed-forward"),))
    monkeypatch.setattr(speed, "_child", lambda *_: dict(entry["engine"]))
    monkeypatch.setattr(speed, "measure_peers", lambda *_: dict(entry["peers"]))
    monkeypatch.setattr(speed_lava, "measure", lambda _: dict(entry["lava"]))
    said: list[str] = []
    report = speed.run(tmp_path, said.append)
    assert said == ["feed-forward: engine", "feed-forward: Lava"]
    written = json.loads((tmp_path / "speed.json").read_text())
    assert written["networks"]["feed-forward"]["ratios"] == ratios(entry)
    assert written["versions"]["norse"] == "1.1.0"
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 1
    for shown in ("Norse", "No module named &#39;jax&#39;", "missed", "75.0 %", "stream, end to end"):
        assert shown in page, shown
    assert "load before" in page
    text = speed_text(report)
    for shown in (
        "load before",
        "Norse",
        "x50.0",
        "Lava, run",
        "not measured",
        "MISSED",
        "x1.75",
        "0.75 of the ceiling",
    ):
        assert shown in text, shown


def test_three_figures_and_a_letter() -> None:
    numbers = (0.5, 14.123, 999.7, 63_801, 999_999, 1.17e6, 2.15e11)
    assert [short(x) for x in numbers] == ["0.5", "14.1", "1k", "63.8k", "1M", "1.17M", "215G"]


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(command: list[str], **_: Any) -> Any:
        if command[-1].endswith("jax"):
            return subprocess.CompletedProcess([], 1, "", "x\nModuleNotFoundError: No module named 'jax'")
        if command[-1].endswith("snntorch"):
            raise subprocess.TimeoutExpired(command, 1)
        speeds = {"Norse": {"1": 2.0, "4": 8.0}}
        found = {"samples_per_second": speeds, "rates": [0.1], "missing": {"compiled": "why"}, "versions": {}}
        return subprocess.CompletedProcess([], 0, json.dumps(found), "")

    monkeypatch.setattr(subprocess, "run", answer)
    found = speed.measure_peers(SMALL, True, lambda _: None)
    assert set(found["missing"]) == {"jax", "snntorch", "compiled"}
    assert found["missing"]["jax"] == "ModuleNotFoundError: No module named 'jax'"
    assert found["missing"]["snntorch"] == "1800 s"
    assert found["samples_per_second"] == {"Norse": {"1": 2.0, "4": 8.0}}
    assert found["rates"] == {"norse": [0.1]}
    with pytest.raises(BackendUnavailable, match="measuring process failed"):
        speed._child("a.jax", {})


def test_the_peers_are_the_modules_of_their_folder() -> None:
    assert speed.peer_names() == ["jax", "norse", "snntorch"]


def test_importing_the_benchmark_loads_no_peer() -> None:
    code = (
        "import sys, snn_deploy.benchmarks.studies.speed.runner; "
        "print([m for m in ('torch', 'norse', 'lava', 'jax', 'snntorch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_input_spikes_repeat_by_seed() -> None:
    np.testing.assert_array_equal(spikes(SMALL, 2, seed=5), spikes(SMALL, 2, seed=5))
    assert not np.array_equal(spikes(SMALL, 2, seed=5), spikes(SMALL, 2, seed=6))
