"""A network whose resets subtract, from graph to artifact: what it keeps, what runs it, who refuses it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.export_net import write_net
from snn_deploy.convert.footprint import describe
from snn_deploy.deploy import backends
from snn_deploy.deploy.parity import compare
from snn_deploy.errors import ModelNotSupported
from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.fit import fit
from tests.nir_models import two_layers

INPUTS = {"in": (np.random.default_rng(3).random((8, 80, 30)) < 0.3).astype(np.uint8)}


def converted(reset: str, profile: str = "loihi2") -> Artifact:
    graph = two_layers((30, 40, 20), taus=2, recurrent=True)
    return convert_graph(graph, Options(dt=1e-3, reset=reset, profile=profile, level=3))


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return converted("subtract")


def test_integers_follow_floats_as_closely_as_with_the_other_reset(artifact):
    errors = {}
    for made in (artifact, converted("zero")):
        ours, exact = (backends.get(name).run(made, INPUTS, record=["a", "b"]) for name in ("fixed", "float"))
        counts = [result.spikes["b"].sum(axis=1, dtype=np.int64) for result in (ours, exact)]
        assert 0.02 < exact.spikes["b"].mean() < 0.9 and len(np.unique(counts[1])) > 10
        errors[made.network.contract.reset] = np.abs(counts[0] - counts[1]).sum() / counts[1].sum()
        assert not any(ours.wraps.values())
    # v is not capped by the threshold, so that less of its range is left for precision
    assert errors["zero"] < 0.01 and errors["subtract"] < 0.03


def test_the_reset_is_in_the_file_and_in_its_hash(artifact, tmp_path):
    artifact.save(tmp_path / "m.snn")
    read = Artifact.load(tmp_path / "m.snn")
    assert read.network.contract.reset == "subtract"
    assert {p.reset for p in read.network.populations} == {"subtract"}
    assert read.hashes == artifact.hashes
    zero = [replace(p, reset="zero") for p in artifact.network.populations]
    contract = replace(artifact.network.contract, reset="zero")
    other = replace(artifact, network=replace(artifact.network, contract=contract, populations=tuple(zero)))
    assert other.hashes["integers"] != artifact.hashes["integers"]
    with pytest.raises(ModelNotSupported, match="differs from the contract's"):
        replace(artifact, network=replace(artifact.network, contract=contract))


def test_lava_gives_the_same_spikes(artifact):
    if not backends.get("lava").availability().available:
        pytest.skip("no Lava here")
    certificate = compare(artifact, {name: raster[:4] for name, raster in INPUTS.items()})
    assert certificate.equal and certificate.mismatches == 0
    assert all(layer.distinct_rasters > 10 for layer in certificate.layers)


def test_who_does_not_hold_it_says_so_by_name(artifact, tmp_path):
    with pytest.raises(ModelNotSupported, match="loihi1 has no reset by subtraction"):
        converted("subtract", "loihi1")
    with pytest.raises(ModelNotSupported, match="needs a neuron programmed for the chip"):
        backends.get("loihi2").run(artifact, INPUTS)
    with pytest.raises(ModelNotSupported, match="another reset than to zero"):
        write_net(tmp_path / "m.net", artifact.network)


@pytest.mark.parametrize(("name", "verdict"), [("loihi1", "over"), ("loihi2", "ok"), ("ideal", "ok")])
def test_fit_says_which_chip_holds_it(artifact, name, verdict):
    found = {f.limit: f for f in fit(describe(artifact.network), load(name)).findings}
    assert found["reset_by_subtraction"].verdict == verdict
    assert set(found["reset_by_subtraction"].where.split(", ")) == {
        p.name for p in artifact.network.populations
    }
    plain = [f.limit for f in fit(describe(converted("zero").network), load(name)).findings]
    assert "reset_by_subtraction" not in plain
