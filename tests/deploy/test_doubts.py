"""Input that looks wrong, and layers that say nothing, are warned of."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import nir
import numpy as np
import pytest

from snn_deploy.cli import main
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.footprint import describe
from snn_deploy.deploy.axes import doubts
from snn_deploy.deploy.memory.keyfile import read_keys
from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.fit import fit


def graph(*, read: bool, threshold: float = 1.0) -> nir.NIRGraph:
    """Three inputs, two neurons or a read-out of two."""
    ones = np.ones(2)
    tau = {"tau": 0.01 * ones, "r": ones, "v_leak": 0 * ones}
    node = nir.LI(**tau) if read else nir.LIF(**tau, v_threshold=threshold * ones, v_reset=0 * ones)
    return nir.NIRGraph(
        {
            "in": nir.Input(np.array([3])),
            "w": nir.Linear(np.array([[9.0, 3, 5], [2, 8, 7]])),
            "n": node,
            "out": nir.Output(np.array([2])),
        },
        [("in", "w"), ("w", "n"), ("n", "out")],
        metadata={"dt": 1e-3, "reset": "zero"},
    )


def stated(steps: int | None) -> Artifact:
    artifact = convert_graph(graph(read=False), Options(level=0))
    known = {} if steps is None else {"steps": steps}
    return replace(artifact, provenance=MappingProxyType({**artifact.provenance, **known}))


@pytest.mark.parametrize(
    ("steps", "shape", "word"),
    [
        (40, (5, 40, 3), None),
        (40, (40, 5, 3), "swap"),
        (40, (6, 30, 3), "made for samples of 40 steps"),
        (None, (40, 5, 3), "if time comes first"),
        (None, (5, 40, 3), None),
        (None, (400, 60, 3), None),
        (1, (400, 1, 3), None),
    ],
)
def test_implausible_axes(steps, shape, word):
    found = doubts(stated(steps), {"in": np.zeros(shape, np.uint8)})
    assert (found is None) if word is None else word in str(found)


def test_steps_come_from_the_option_or_from_calibration():
    assert convert_graph(graph(read=False), Options(steps=7)).provenance["steps"] == 7
    spikes = (np.random.default_rng(0).random((4, 30, 3)) < 0.3).astype(np.uint8)
    artifact = convert_graph(graph(read=False), Options(), calibration={"in": spikes})
    assert artifact.provenance["steps"] == 30
    assert "steps" not in convert_graph(graph(read=False), Options()).provenance


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def run(tmp_path, artifact: Artifact, spikes: np.ndarray) -> dict[str, np.ndarray]:
    artifact.save(tmp_path / "a.snn")
    np.savez(tmp_path / "in.npz", spikes=spikes)
    assert call("run", tmp_path / "a.snn", tmp_path / "in.npz", "-o", tmp_path / "out.npz") == 0
    with np.load(tmp_path / "out.npz") as arrays:
        return dict(arrays)


def test_a_silent_layer_is_warned_of(tmp_path, caplog):
    spikes = np.zeros((2, 20, 3), np.uint8)
    run(tmp_path, convert_graph(graph(read=False), Options(level=0)), spikes)
    assert "nothing happened in n" in caplog.text
    caplog.clear()
    spikes[:, ::2] = 1
    assert run(tmp_path, convert_graph(graph(read=False), Options(level=0)), spikes)["counts"].any()
    assert "nothing happened" not in caplog.text


def test_a_read_out_has_arrays_that_a_memory_takes(tmp_path, caplog):
    spikes = (np.random.default_rng(1).random((5, 30, 3)) < 0.4).astype(np.uint8)
    arrays = run(tmp_path, convert_graph(graph(read=True), Options(level=0)), spikes)
    assert "nothing happened" not in caplog.text
    v = arrays["membranes"]
    assert v.shape == (5, 30, 2) and "counts" not in arrays
    np.testing.assert_array_equal(arrays["last"], v[:, -1])
    np.testing.assert_array_equal(arrays["maximum"], v.max(axis=1))
    np.testing.assert_array_equal(arrays["mean"], v.mean(axis=1))
    assert len(np.unique(arrays["mean"])) == 10
    found = read_keys(tmp_path / "out.npz")
    np.testing.assert_array_equal(found.keys, arrays["mean"])
    assert found.encoder is not None
    np.testing.assert_array_equal(read_keys(tmp_path / "out.npz", array="last").keys, arrays["last"])
    assert call("memory", "create", tmp_path / "m.sqlite", "--dim", 2) == 0
    assert call("memory", "store", tmp_path / "m.sqlite", tmp_path / "out.npz") == 0


def test_a_read_out_fits_a_chip_whose_thresholds_end_at_131071():
    artifact = convert_graph(graph(read=True), Options(level=0, profile="loihi1"))
    report = fit(describe(artifact.network), load("loihi1"))
    (threshold,) = [finding for finding in report.findings if finding.limit == "threshold"]
    assert threshold.used == threshold.bound == 131071 and threshold not in report.refusals
