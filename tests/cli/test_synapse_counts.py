"""One number of synapses, whoever prints it: the pairs of neurons that weights join."""

from __future__ import annotations

import json

import nir
import numpy as np
import pytest

from snn_deploy.cli import main
from snn_deploy.convert.conversion import Options, convert_graph


def answered(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    with pytest.raises(SystemExit):
        main([str(argument) for argument in arguments])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("level", [0, 1, 7])
@pytest.mark.parametrize("seed", range(3))
def test_convert_inspect_fit_and_the_weights_agree(tmp_path, capsys, level, seed):
    rng = np.random.default_rng(seed)
    rows, columns = (int(n) for n in rng.integers(4, 20, 2))
    # weights far from zero, so that none of them rounds to it, or pruned
    weight = rng.choice([-1, 1], (rows, columns)) * rng.uniform(0.2, 1, (rows, columns))
    weight *= rng.random((rows, columns)) < 0.7
    loop = rng.choice([0.0, -0.5, 0.4], (rows, rows))
    ones = np.ones(rows)
    graph = nir.NIRGraph(
        {
            "in": nir.Input(np.array([columns])),
            "w": nir.Linear(weight),
            "r": nir.Linear(loop),
            "n": nir.LIF(tau=0.01 * ones, r=9 * ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones),
            "out": nir.Output(np.array([rows])),
        },
        [("in", "w"), ("w", "n"), ("n", "r"), ("r", "n"), ("n", "out")],
        metadata={"dt": 1e-3, "reset": "zero"},
    )
    truth = int(np.count_nonzero(weight) + np.count_nonzero(loop))
    nir.write(tmp_path / "g.nir", graph)
    convert_graph(graph, Options(level=level)).save(tmp_path / "a.snn")
    inspected = answered(capsys, "inspect", tmp_path / "a.snn", "--json")
    fitted = answered(capsys, "fit", tmp_path / "a.snn", "--json")
    assert inspected["synapses"] == fitted["synapses"] == truth
    assert inspected["synapse_entries"] == fitted["synapse_entries"] >= truth
    assert sum(p["synapse_entries"] for p in inspected["projections"]) == inspected["synapse_entries"]
    if level == 7:
        assert inspected["synapse_entries"] > truth
