"""NeuroBench's complexity metrics, counted by hand and by NeuroBench itself (extra ``dev``)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.benchmarks.neurobench_counts import neurobench_counts
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from snn_deploy.engine.result import RunResult
from snn_deploy.network.connections import synapses
from tests.nir_models import two_layers

SAMPLES, STEPS = 6, 25
Run = tuple[Artifact, RunResult, dict[str, np.ndarray]]


@pytest.fixture(scope="module", params=["feed-forward", "recurrent"])
def run(request: pytest.FixtureRequest) -> Run:
    """A run of a network; the recurrent one has many weights that round to zero."""
    rng = np.random.default_rng(4)
    graph = two_layers((24, 30, 12), seed=4, recurrent=request.param == "recurrent")
    artifact = convert_graph(graph, Options(profile="loihi1", dt=1e-3, reset="zero", level=0))
    inputs = {"in": (rng.random((SAMPLES, STEPS, 24)) < 0.2).astype(np.uint8)}
    result = backends.get("fixed").run(artifact, inputs, record=["a", "b"])
    rasters = {
        **inputs,
        **{name: raster.reshape(SAMPLES, STEPS, -1) for name, raster in result.spikes.items()},
    }
    return artifact, result, rasters


def arriving(raster: np.ndarray, delay: int) -> np.ndarray:
    """What a projection of that delay delivers in each step."""
    late = np.zeros_like(raster)
    late[:, delay:] = raster[:, : raster.shape[1] - delay]
    return late


def test_counts_equal_a_count_by_hand(run: Run) -> None:
    artifact, result, rasters = run
    effective = dense = zeros = weights = 0.0
    for edge in artifact.network.projections:
        matrix = synapses(edge.connection).toarray()
        effective += float((arriving(rasters[edge.source], edge.delay) @ (matrix != 0).T.astype(float)).sum())
        dense += matrix.size * STEPS
        zeros, weights = zeros + (matrix == 0).sum(), weights + matrix.size
    found = neurobench_counts(artifact.network, result, rasters)
    assert found["SynapticOperations"] == {
        "Effective_MACs": 0.0,
        "Effective_ACs": effective / SAMPLES,
        "Dense": dense,
    }
    recurrent = any(edge.delay for edge in artifact.network.projections)
    assert found["ConnectionSparsity"] == round(zeros / weights, 4) > (0.1 if recurrent else 0)
    assert 0 < effective / SAMPLES < dense
    fired = sum(int(rasters[name].sum()) for name in ("a", "b"))
    assert found["ActivationSparsity"] == pytest.approx(1 - fired / (SAMPLES * STEPS * 42), abs=1e-12)
    assert 0 < fired < SAMPLES * STEPS * 42
    assert len(artifact.network.projections) == 2 + recurrent


@pytest.mark.skipif(importlib.util.find_spec("neurobench") is None, reason="NeuroBench: extra dev")
def test_counts_equal_neurobench(run: Run, tmp_path: Path) -> None:
    """NeuroBench prints what fails and stores 0.0 for it: in a process of its own, what it says is read."""
    artifact, result, rasters = run
    arrays = {f"spikes.{name}": rasters[name] for name in ("a", "b")}
    for i, edge in enumerate(artifact.network.projections):
        arrays[f"weight.{i}"] = synapses(edge.connection).toarray()
        arrays[f"arriving.{i}"] = arriving(rasters[edge.source], edge.delay)
    np.savez(tmp_path / "run.npz", **arrays)
    worker = Path(__file__).with_name("neurobench_worker.py")
    command = [sys.executable, worker, tmp_path / "run.npz", tmp_path / "out.json"]
    subprocess.run(command, check=True, timeout=300, capture_output=True, cwd=tmp_path)
    theirs = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert "Error" not in theirs["said"]
    ours = neurobench_counts(artifact.network, result, rasters)
    assert ours["SynapticOperations"] == theirs["results"]["SynapticOperations"]
    assert ours["ConnectionSparsity"] == theirs["results"]["ConnectionSparsity"]
    assert ours["ActivationSparsity"] == pytest.approx(theirs["results"]["ActivationSparsity"], abs=1e-6)


def test_graded_input_makes_multiply_accumulates(run: Run) -> None:
    artifact, result, rasters = run
    source = artifact.network.inputs[0].name
    graded = replace(artifact.network, inputs=(replace(artifact.network.inputs[0], message_bits=8),))
    expected = 0
    for edge in artifact.network.projections:
        if edge.source == source:
            weight = synapses(edge.connection).toarray()
            expected += int(
                (arriving(rasters[source], edge.delay).reshape(-1, weight.shape[1]) @ (weight != 0).T).sum()
            )
    found = neurobench_counts(graded, result, rasters)["SynapticOperations"]
    assert found["Effective_MACs"] == expected / SAMPLES > 0
    assert found["Effective_MACs"] + found["Effective_ACs"] == result.synops / SAMPLES
