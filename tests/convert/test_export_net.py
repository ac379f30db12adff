"""Networks that a ``.net`` file cannot hold are refused by name; those that it can come back in full."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.export_net import write_net
from snn_deploy.convert.frontends import read_model
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.connections import Dense
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork
from tests import net_files as net
from tests.nir_models import two_layers

RNG = np.random.default_rng(8)


def _cases() -> dict[str, list[dict[str, Any]]]:
    weight = 2 * RNG.integers(-40, 50, (6, 8))
    recurrent = net.dense(weight, type="dense_rec", weight_rec=np.ones((6, 6), dtype=np.float32))
    return {
        "dense": [net.dense(weight, bias=[3, -2, 0, 1, 9, 4])],
        "odd": [net.dense(weight + 1)],
        "9 bits": [net.dense(RNG.permutation(np.arange(-251, 251, 11)).reshape(2, 23))],
        "recurrent": [recurrent],
        "delays": [net.dense(weight, delay=RNG.integers(0, 30, (6, 8)).astype(np.float32))],
        "convolution": [
            {"type": "input", "shape": [2, 5, 4]},
            net.conv(weight.reshape(4, 1, 3, 4), (4, 2, 1), groups=2, stride=[2, 1], bias=[1, 2, 3, 4]),
            net.flatten(8),
            net.dense(weight),
        ],
        "average": [net.dense(weight), {"type": "average", "shape": [3, 1, 1]}],
        "input neurons": [
            {"type": "input", "shape": [8], "neuron": net.neuron(i_decay=4096), "weight": 30.0, "bias": 4.0},
            net.dense(weight),
        ],
    }


CASES = _cases()


def _read(folder: Path, layers: list[dict[str, Any]]) -> QuantisedNetwork:
    network = read_model(net.network(folder / "original.net", *layers)).integers
    assert network is not None
    return network


@pytest.mark.parametrize("case", CASES)
def test_files_come_back_field_by_field(tmp_path: Path, case: str) -> None:
    """What is written equals what was read, in the file itself."""
    write_net(tmp_path / "written.net", _read(tmp_path, CASES[case]))
    with h5py.File(tmp_path / "original.net") as first, h5py.File(tmp_path / "written.net") as second:
        found: dict[str, Any] = {}
        second.visititems(lambda name, item: found.update({name: item}))
        stated: dict[str, Any] = {}
        first.visititems(lambda name, item: stated.update({name: item}))
        assert set(found) == set(stated)
        for name, item in stated.items():
            if isinstance(item, h5py.Dataset):
                expected, actual = item[()], found[name][()]
                assert np.array_equal(np.ravel(actual), np.ravel(expected)), name


def _changed(network: QuantisedNetwork, **changes: Any) -> QuantisedNetwork:
    return replace(network, populations=(replace(network.populations[0], **changes),))


def _edge(network: QuantisedNetwork, **changes: Any) -> QuantisedNetwork:
    return replace(network, projections=(replace(network.projections[0], **changes),))


REFUSED: dict[str, tuple[Any, str]] = {
    "initial state": (lambda n: _changed(n, v0=np.arange(6)), "a nonzero initial state"),
    "bias": (lambda n: _changed(n, bias_exp=np.full(6, 5)), "a bias between two threshold mantissas"),
    "part": (lambda n: _changed(n, index=np.arange(1, 7)), "several time constants in one layer"),
    "exponent": (lambda n: _edge(n, weight_exp=3), "weights of more than 8 bits; found -"),
    "rounded": (lambda n: _edge(n, weight_exp=-3), "a sum that is rounded"),
    "zero": (
        lambda n: _edge(n, connection=Dense(np.zeros((6, 8), dtype=np.int64))),
        "weights that are all zero",
    ),
    "clipped by Lava": (
        lambda n: _edge(n, connection=Dense(np.full((6, 8), -64))),
        "weights that netx scales to -256, .* found -64",
    ),
    "inputs": (lambda n: replace(n, inputs=(*n.inputs, Input("b", (3,)))), "2 inputs; found input, b"),
    "outputs": (lambda n: replace(n, outputs=(*n.outputs, Output("o", "input"))), "2 outputs"),
    "chain": (
        lambda n: replace(n, populations=(*n.populations, replace(n.populations[0], name="other"))),
        "layers that are not one chain",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_format_lacks_is_refused_by_name(tmp_path: Path, case: str) -> None:
    change, message = REFUSED[case]
    network = change(_read(tmp_path, CASES["dense"]))
    with pytest.raises(ModelNotSupported, match=f"a .net file cannot hold {message}"):
        write_net(tmp_path / "refused.net", network)
    assert not (tmp_path / "refused.net").exists()


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_graph_is_quantised_to_what_the_file_holds(tmp_path: Path, recurrent: bool) -> None:
    graph = two_layers((12, 40, 16), seed=1, recurrent=recurrent)
    graph.metadata = Contract(1e-3).metadata()
    with pytest.raises(ModelNotSupported, match="weights of more than 8 bits"):
        write_net(tmp_path / "a.net", convert_graph(graph, Options(level=0)).network)
    network = convert_graph(graph, Options(net=True)).network
    write_net(tmp_path / "a.net", network)
    again = read_model(tmp_path / "a.net").integers
    assert again is not None
    spikes = {"in": (RNG.random((2, 60, 12)) < 0.7).astype(np.uint8)}
    first = FixedEngine().run(network, spikes, record=["b"]).spikes["b"]
    second = FixedEngine().run(again, {"input": spikes["in"]}, record=["layer1"]).spikes["layer1"]
    np.testing.assert_array_equal(first, second)
    assert len(set(first.sum(axis=(0, 1)).tolist())) > 1


def test_convert_writes_it(tmp_path: Path) -> None:
    source = net.network(tmp_path / "a.net", *CASES["odd"])
    command = [sys.executable, "-m", "snn_deploy", "convert", str(source), "-o", str(tmp_path / "a.snn")]
    command += ["--export-net", str(tmp_path / "b.net"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = read_model(tmp_path / "b.net").integers
    assert again is not None
    np.testing.assert_array_equal(
        again.projections[0].connection.weight, 2 * CASES["odd"][0]["weight"].astype(np.int64)
    )
    assert json.loads(done.stdout)["populations"][0]["vth"] == 300
