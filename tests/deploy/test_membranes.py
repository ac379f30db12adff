"""Read-outs come back in the model's own volts, from float and from integers."""

from __future__ import annotations

import json
import subprocess
import sys

import nir
import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from tests.conformance.cases import case
from tests.equivalence import interpreter
from tests.equivalence.graphs import DT


@pytest.mark.parametrize("name", ["LI", "CubaLI", "I"])
def test_membranes_are_those_of_the_equations(name, tmp_path):
    one = case(name)
    inputs = one.inputs(steps=60)
    (node,) = [n for n, x in one.graph.nodes.items() if isinstance(x, getattr(nir, name))]
    wanted = np.moveaxis(interpreter.run(one.graph, inputs, DT)[node], 0, 1)
    artifact = convert_graph(one.graph, Options(seed=1))
    exact = backends.get("float").run(artifact, inputs).membranes["output"]
    np.testing.assert_allclose(exact, wanted, rtol=0, atol=1e-10)
    fixed = backends.get("fixed").run(artifact, inputs).membranes["output"]
    spread = np.ptp(wanted)
    assert spread > 0.1
    # integers spend a few spikes elsewhere in the hidden layer, and each moves v by a weight
    assert np.median(np.abs(fixed - wanted)) < 0.05 * spread
    assert np.corrcoef(fixed.ravel(), wanted.ravel())[0, 1] > 0.95


def test_run_writes_them(tmp_path):
    one = case("LI")
    artifact = convert_graph(one.graph, Options(seed=1, level=0))
    artifact.save(tmp_path / "m.snn")
    inputs = one.inputs(steps=20)
    np.savez(tmp_path / "in.npz", spikes=inputs["input"])
    command = [sys.executable, "-m", "snn_deploy", "run", "m.snn", "in.npz", "-o", "out.npz", "--json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["samples"] == 2
    with np.load(tmp_path / "out.npz") as out:
        assert out["membranes"].shape == (2, 20, 6)
        assert np.ptp(out["membranes"]) > 0
