"""The artifact: every connection kind comes back bit by bit, damage and foreign files are refused."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from snn_deploy.errors import UnsafeFile
from snn_deploy.network.connections import synapses
from tests.conformance.cases import case

KINDS = [
    "Conv2d",
    "SumPool2d",
    "recurrence",
    "NIRGraph",
    "graded input",
    "branches, skips, two inputs, two outputs",
]


@cache
def converted(name):
    return convert_graph(case(name).graph, Options(level=1, seed=1), {"source": "a test"})


@pytest.mark.parametrize("name", KINDS)
def test_what_is_read_is_what_was_written(tmp_path, name):
    first = converted(name)
    first.save(tmp_path / "a.snn")
    second = Artifact.load(tmp_path / "a.snn")
    assert second.hashes == first.hashes
    assert dict(second.provenance) == dict(first.provenance)
    for one, two in zip(first.network.projections, second.network.projections, strict=True):
        assert type(one.connection) is type(two.connection)
        np.testing.assert_array_equal(synapses(two.connection).toarray(), synapses(one.connection).toarray())
    inputs = {k: v.reshape(*v.shape[:2], -1) for k, v in case(name).inputs(steps=40).items()}
    for engine in ("float", "fixed"):  # float derives its network from the stored graph
        runs = [backends.get(engine).run(a, inputs) for a in (first, second)]
        for output, counts in runs[0].counts.items():
            np.testing.assert_array_equal(runs[1].counts[output], counts)
            assert counts.any()


def test_the_hash_sees_one_changed_integer(tmp_path):
    path = tmp_path / "a.snn"
    converted("recurrence").save(path)
    with h5py.File(path, "r+") as handle:
        handle["populations/0/bias_mant"][0] += 1
    with pytest.raises(UnsafeFile, match="the integers do not match the stored hash"):
        Artifact.load(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda h: h.attrs.__setitem__("format", "other"), "not a converted model"),
        (lambda h: h.attrs.__setitem__("format_version", 99), "a newer format; found version 99"),
        (lambda h: h.__delitem__("nir"), "this artifact is damaged"),
        (lambda h: h.__delitem__("projections/0"), "this artifact is damaged"),
        (lambda h: _describe(h, lambda d: d.pop("populations")), "this artifact is damaged"),
        (lambda h: _describe(h, lambda d: d["projections"][0]["connection"].update(kind="x")), "damaged"),
        (
            lambda h: h.__setitem__("extra", h5py.ExternalLink("other.h5", "/x")),
            "a link that is not to this file",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage, message):
    path = tmp_path / "a.snn"
    converted("recurrence").save(path)
    with h5py.File(path, "r+") as handle:
        damage(handle)
    with pytest.raises(UnsafeFile) as caught:
        Artifact.load(path)
    assert message in str(caught.value)


def _describe(handle, change):
    description = json.loads(handle["description"][()])
    change(description)
    del handle["description"]
    handle["description"] = json.dumps(description)


def test_a_file_of_format_version_1_runs_as_it_did(tmp_path):
    """Written before hashes of all parts were stated: 74 spikes then, by float and by the integers."""
    old = Artifact.load(Path(__file__).parent / "fixtures" / "format_version_1.snn")
    assert old.hashes["integers"] == "c59394b8245b4c2df1b96476ca948f151ec63c2876c1613091a5f50aa4889861"
    spikes = (np.random.default_rng(0).random((4, 50, 8)) < 0.3).astype(np.uint8)
    for engine, synops in (("float", 3502), ("fixed", 3486)):
        result = backends.get(engine).run(old, {"input": spikes})
        assert (result.total_spikes, result.synops) == (74, synops)
    old.save(tmp_path / "again.snn")
    assert Artifact.load(tmp_path / "again.snn").hashes == old.hashes
