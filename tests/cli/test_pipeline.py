"""train -> convert -> run -> parity as a user types it, on every engine, and every bad input."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from tests import models

pytest.importorskip("torch")

WIDTHS = models.DOCUMENT["inputs"]


def snn_deploy(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snn_deploy", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    module = models.save_model(folder / "model.pt")
    done = snn_deploy("convert", folder / "model.pt", "-o", folder / "m.snn", "--json")
    assert done.returncode == 0, done.stderr
    inputs = models.spikes(WIDTHS, samples=6, steps=80, seed=5)
    np.savez(folder / "x.npz", **{f"spikes.{name}": raster for name, raster in inputs.items()})
    return folder, module, inputs, json.loads(done.stdout)


def run(folder: Path, backend: str) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    out = folder / f"{backend}.npz"
    done = snn_deploy(
        "run", folder / "m.snn", folder / "x.npz", "-o", out, "--backend", backend, "--spikes", "--json"
    )
    assert done.returncode == 0, done.stderr
    with np.load(out, allow_pickle=False) as archive:
        return json.loads(done.stdout), dict(archive)


def test_convert_says_what_it_made(converted):
    _, _, _, said = converted
    assert said["neurons"] == 52
    assert said["contract"]["dt"] == 0.001
    assert said["provenance"]["front_end"] == "norse"
    assert {p["source"] for p in said["projections"]} >= {"image", "caption"}


def test_a_memory_of_an_artifact_takes_its_runs_and_its_spikes(converted):
    folder, _, _, _ = converted
    run(folder, "fixed")
    store, which = folder / "m.db", ["--output", "image_out"]
    made = snn_deploy("memory", "create", store, "--encoder", folder / "m.snn", *which, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["encoder"].endswith(" image_out")
    spikes = [folder / "x.npz", "--artifact", folder / "m.snn", *which, "--skip-silent"]
    stored = snn_deploy("memory", "store", store, *spikes, "--json")
    assert stored.returncode == 0, stored.stderr
    ids = json.loads(stored.stdout)["ids"]
    assert len(ids) > 2
    file = [folder / "fixed.npz", "--array", "counts.image_out", "--skip-silent"]
    found = [snn_deploy("memory", "recall", store, *cue, "-k", "1", "--json") for cue in (file, spikes)]
    assert [json.loads(done.stdout)["ids"] for done in found] == [[[item] for item in ids]] * 2
    other = snn_deploy("memory", "recall", store, folder / "fixed.npz", "--array", "counts.caption_out")
    assert other.returncode == 2


def test_fixed_and_lava_give_equal_counts_and_spikes(converted):
    folder, _, _, _ = converted
    ours, our_arrays = run(folder, "fixed")
    theirs, lava_arrays = run(folder, "lava")
    assert set(our_arrays) == {f"{kind}.{n}_out" for kind in ("counts", "spikes", "encoder") for n in WIDTHS}
    assert {str(our_arrays.pop(f"encoder.{n}_out")).split()[1] for n in WIDTHS} == {
        f"{n}_out" for n in WIDTHS
    }
    for key, values in our_arrays.items():
        np.testing.assert_array_equal(values, lava_arrays[key], err_msg=key)
        assert values.sum() > 50, key
    assert our_arrays["counts.image_out"].dtype == np.int32
    assert our_arrays["spikes.caption_out"].shape == (6, 80, 8)
    np.testing.assert_array_equal(our_arrays["counts.image_out"], our_arrays["spikes.image_out"].sum(axis=1))
    assert len(np.unique(our_arrays["counts.image_out"])) > 3
    for layer, other in zip(ours["per_layer"], theirs["per_layer"], strict=True):
        # Lava counts neither: that is None, not 0
        assert [type(layer.pop(kind)) for kind in ("wraps", "saturations")] == [int, int]
        assert [other.pop(kind) for kind in ("wraps", "saturations")] == [None, None]
        assert layer == other
    assert "0.10.0" in json.dumps(theirs["versions"])


def test_float_equals_norse_spike_by_spike(converted):
    import torch

    folder, module, inputs, _ = converted
    _, arrays = run(folder, "float")
    for name, raster in inputs.items():
        with torch.no_grad():
            norse = module(name, torch.tensor(raster.transpose(1, 0, 2), dtype=torch.float32)).numpy()
        spikes = arrays[f"spikes.{name}_out"]
        np.testing.assert_array_equal(spikes, norse.transpose(1, 0, 2).astype(np.uint8))
        assert spikes.sum() > 50
        assert len(np.unique(spikes.sum(axis=1))) > 3


def test_parity_certificate(converted, tmp_path):
    folder, _, inputs, _ = converted
    done = snn_deploy("parity", folder / "m.snn", folder / "x.npz", "-o", tmp_path / "cert.json", "--json")
    assert done.returncode == 0, done.stderr
    certificate = json.loads(done.stdout)
    assert certificate == json.loads((tmp_path / "cert.json").read_text())
    assert certificate["equal"] is True
    assert certificate["mismatches"] == 0
    assert certificate["first_divergence"] is None
    assert certificate["neuron_steps"] == 52 * 80 * len(inputs["image"])
    assert certificate["silent_layers"] == []
    assert all(layer["distinct_rasters"] > 3 for layer in certificate["layers"])
    assert certificate["claim"] == "equal to Lava 0.10.0's fixed-point CPU models"


def test_parity_without_input_covers_a_hundred_thousand_neuron_steps(converted):
    folder, _, _, _ = converted
    done = snn_deploy("parity", folder / "m.snn", "--against", "float", "--json")
    assert done.returncode == 0, done.stderr
    certificate = json.loads(done.stdout)
    assert certificate["neuron_steps"] >= 100_000
    assert certificate["mismatches"] > 0  # rounding changes spikes; it is not hidden
    assert certificate["first_divergence"]["cause"] == "rounding"


def _text(path: Path) -> None:
    path.write_text("these are no weights\n" * 50)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weight": [1.0, 2.0]}))


def _truncated_model(path: Path) -> None:
    models.save_model(path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("name", "make", "code", "says"),
    [
        ("missing.pt", None, 2, "no such model file"),
        ("text.pt", _text, 7, "text.pt"),
        ("pickle.pt", _pickled, 7, "pickle.pt"),
        ("torn.pt", _truncated_model, 7, "torn.pt"),
        ("text.nir", _text, 7, "not HDF5"),
        ("model.onnx", _text, 2, "no front end reads this file"),
    ],
)
def test_a_bad_model_is_one_clear_error(tmp_path, name, make, code, says):
    if make is not None:
        make(tmp_path / name)
    done = snn_deploy("convert", tmp_path / name, "-o", tmp_path / "m.snn")
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ([name] if make else [])


def _graph(**metadata: object) -> nir.NIRGraph:
    node = nir.LIF(np.full(3, 0.02), np.ones(3), np.zeros(3), np.ones(3), np.zeros(3))
    nodes = {"in": nir.Input(np.array([2])), "w": nir.Linear(np.ones((3, 2))), "lif": node}
    edges = [("in", "w"), ("w", "lif")]
    return nir.NIRGraph(nodes, edges, metadata=metadata)


def test_a_graph_without_contract_is_refused_until_flags_state_it(tmp_path):
    nir.write(tmp_path / "g.nir", _graph())
    target = tmp_path / "g.snn"
    done = snn_deploy("convert", tmp_path / "g.nir", "-o", target)
    assert done.returncode == 3
    assert "time step is not stated" in done.stderr and "--dt" in done.stderr
    done = snn_deploy("convert", tmp_path / "g.nir", "-o", target, "--dt", "1e-3")
    assert done.returncode == 3
    assert "--reset zero" in done.stderr
    assert not target.exists()
    done = snn_deploy("convert", tmp_path / "g.nir", "-o", target, "--dt", "1e-3", "--reset", "zero")
    assert done.returncode == 0, done.stderr
    assert target.exists()


def test_an_unknown_node_type_is_named(tmp_path):
    nir.write(tmp_path / "g.nir", _graph(dt=1e-3, reset="zero"))
    with h5py.File(tmp_path / "g.nir", "r+") as handle:
        del handle["node/nodes/lif/type"]
        handle["node/nodes/lif/type"] = "Izhikevich"
    done = snn_deploy("convert", tmp_path / "g.nir", "-o", tmp_path / "g.snn")
    assert done.returncode == 3
    assert "Izhikevich" in done.stderr and "lif" in done.stderr
    assert not (tmp_path / "g.snn").exists()


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (lambda x: {**x, "spikes.image": x["spikes.image"][:, :, :-1]}, 2, "wrong shape"),
        (lambda x: {**x, "spikes.image": x["spikes.image"] * 2}, 2, "must be 0 or 1"),
        (lambda x: {**x, "spikes.image": x["spikes.image"] * np.nan}, 2, "must be 0 or 1"),
        (lambda x: {"spikes": x["spikes.image"]}, 2, "one array an input"),
        (lambda x: {**x, "spikes.image": x["spikes.image"][:-1]}, 2, "differ in samples or steps"),
        (lambda x: {**x, "spikes.image": np.array([{}], dtype=object)}, 7, "not a readable input file"),
    ],
)
def test_bad_spikes_are_one_clear_error(converted, tmp_path, spoil, code, says):
    folder, _, inputs, _ = converted
    np.savez(tmp_path / "bad.npz", **spoil({f"spikes.{n}": r.astype(np.float64) for n, r in inputs.items()}))
    done = snn_deploy("run", folder / "m.snn", tmp_path / "bad.npz", "-o", tmp_path / "y.npz")
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "y.npz").exists()


@pytest.mark.parametrize("keep", [10, 3000, -200])
def test_a_truncated_artifact_is_refused(converted, tmp_path, keep):
    folder, _, _, _ = converted
    (tmp_path / "torn.snn").write_bytes((folder / "m.snn").read_bytes()[:keep])
    done = snn_deploy("inspect", tmp_path / "torn.snn")
    assert done.returncode == 7, done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_integer_is_noticed(converted, tmp_path):
    folder, _, _, _ = converted
    (tmp_path / "m.snn").write_bytes((folder / "m.snn").read_bytes())
    with h5py.File(tmp_path / "m.snn", "r+") as handle:
        stored = handle["projections/0"]
        integers = stored["weight"] if "weight" in stored else stored["data"]
        integers[...] = integers[...] + 2
    done = snn_deploy("inspect", tmp_path / "m.snn")
    assert done.returncode == 7
    assert "stored hash" in done.stderr


def test_a_lava_dl_file_converts_to_its_own_integers(shared_data, tmp_path):
    done = snn_deploy("convert", shared_data / "nets" / "lavadl_oxford.net", "-o", tmp_path / "ox.snn")
    assert done.returncode == 0, done.stderr
    assert "integers as the .net file states them" in done.stdout
    assert snn_deploy("inspect", tmp_path / "ox.snn").returncode == 0
