"""Parity: what the certificate says of equal, differing and silent runs."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from snn_deploy.deploy.certificate import Membranes, certificate_text, certify
from snn_deploy.deploy.parity import compare
from snn_deploy.errors import UsageError, VerificationMismatch


def _certify(ours, theirs):
    return certify(
        ours,
        theirs,
        list(ours),
        claim="equal",
        cause=lambda _: "rounding",
        hashes={"input": "x"},
        versions={"numpy": "1"},
    )


def _rasters(seed=0):
    generator = np.random.default_rng(seed)
    return {
        name: (generator.random((3, 20, width)) < 0.2).astype(np.uint8)
        for name, width in (("a", 5), ("b", 4))
    }


def test_equal_rasters_give_an_equal_certificate():
    certificate = _certify(_rasters(), _rasters())
    assert certificate.equal and certificate.mismatches == 0 and certificate.first_divergence is None
    assert certificate.neuron_steps == 3 * 20 * 9
    assert [layer.spikes for layer in certificate.layers] == [int(r.sum()) for r in _rasters().values()]
    certificate.require_equal("m.snn")


def test_the_earliest_difference_is_named_whatever_its_layer():
    changed = _rasters()
    changed["a"][2, 9, 3] ^= 1
    changed["b"][1, 4, 2] ^= 1
    certificate = _certify(_rasters(), changed)
    assert certificate.mismatches == 2 and not certificate.equal
    first = certificate.first_divergence
    assert (first.layer, first.step, first.sample, first.neuron) == ("b", 4, 1, 2)
    with pytest.raises(VerificationMismatch, match="2 mismatches in 540 neuron-steps"):
        certificate.require_equal("m.snn")


def test_silent_layers_are_named_and_equal_trains_counted_once():
    quiet = _rasters()
    quiet["b"][:] = 0
    quiet["a"][:] = quiet["a"][:, :, :1]
    certificate = _certify(quiet, quiet)
    assert certificate.silent_layers == ("b",)
    assert certificate.layers[0].distinct_rasters == 1


def _silent_artifact():
    node = nir.LIF(np.full(3, 0.02), np.ones(3), np.zeros(3), np.full(3, 1e3), np.zeros(3))
    nodes = {"in": nir.Input(np.array([2])), "w": nir.Linear(np.ones((3, 2))), "lif": node}
    graph = nir.NIRGraph(nodes, [("in", "w"), ("w", "lif")], metadata={"dt": 1e-3, "reset": "zero"})
    return convert_graph(graph, Options())


def _read_out(seed=0):
    """Spikes of a hidden layer into an LI, which never fires."""
    rng = np.random.default_rng(seed)
    hidden = nir.LIF(np.full(20, 0.02), np.full(20, 5.0), np.zeros(20), np.ones(20), np.zeros(20))
    read = nir.LI(np.full(4, 0.05), np.ones(4), np.zeros(4))
    nodes = {
        "in": nir.Input(np.array([12])),
        "w": nir.Linear(np.abs(rng.normal(0.2, 0.3, (20, 12)))),
        "lif": hidden,
        "w2": nir.Linear(rng.normal(0.1, 0.3, (4, 20))),
        "li": read,
        "out": nir.Output(np.array([4])),
    }
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)), metadata={"dt": 1e-3, "reset": "zero"})
    return convert_graph(graph, Options(seed=seed, level=0))


@pytest.mark.parametrize("against", ["lava", "float"])
def test_a_read_out_is_compared_by_its_v(against):
    if not backends.get(against).availability().available:
        pytest.skip(f"no {against} here")
    spikes = (np.random.default_rng(1).random((3, 40, 12)) < 0.3).astype(np.uint8)
    certificate = compare(_read_out(), {"in": spikes}, against=against)
    (layer,) = [layer for layer in certificate.layers if layer.layer == "li"]
    assert (layer.spikes, layer.membranes, layer.distinct_rasters) == (0, 3 * 40 * 4, 4)
    assert certificate.membranes == 3 * 40 * 4
    assert certificate.neuron_steps == 3 * 40 * 24
    assert certificate.silent_layers == ()
    if against == "lava":
        assert certificate.equal and certificate.mismatches == 0
    assert "v of a read-out" in certificate_text(certificate.to_json())


def test_a_v_that_differs_by_one_is_a_mismatch():
    rasters = {"a": np.zeros((2, 9, 3), dtype=np.uint8)}
    v = np.random.default_rng(2).integers(-900, 900, (2, 9, 3), dtype=np.int32)
    other = v.copy()
    other[1, 4, 2] += 1
    says = {"claim": "equal", "cause": lambda _: "engine", "hashes": {}, "versions": {}}
    certificate = certify(rasters, rasters, ["a"], membranes={"a": Membranes(v, other)}, **says)
    assert certificate.mismatches == 1 and not certificate.equal
    first = certificate.first_divergence
    assert (first.layer, first.step, first.sample, first.neuron) == ("a", 4, 1, 2)
    assert certify(rasters, rasters, ["a"], membranes={"a": Membranes(v, v)}, **says).equal
    assert certify(rasters, rasters, ["a"], membranes={"a": Membranes(v, other, within=1)}, **says).equal


def test_a_run_without_a_spike_certifies_nothing():
    with pytest.raises(VerificationMismatch, match="no neuron fired"):
        compare(_silent_artifact(), against="float")


def test_an_unknown_reference_is_refused():
    with pytest.raises(UsageError, match="unknown reference"):
        compare(_silent_artifact(), against="silicon")
