"""netx of lava-dl 0.6.0 loads what we write, and its Lava run gives our spikes (``make test-lava-dl``)."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.export_net import write_net
from snn_deploy.convert.frontends import read_model
from snn_deploy.convert.hashes import hash_integers
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.fixed.pipelined import stream
from snn_deploy.network.contract import Contract
from snn_deploy.network.quantised import QuantisedNetwork
from tests import net_files as net
from tests.nir_models import two_layers

try:
    VERSION = version("lava-dl")
except PackageNotFoundError:
    VERSION = ""

pytestmark = [
    pytest.mark.lava_dl,
    pytest.mark.skipif(not VERSION, reason="lava-dl needs an environment of its own: make test-lava-dl"),
]

STEPS = 60
RNG = np.random.default_rng(20261122)


def _even(*shape: int, reach: int = 100) -> Any:
    return 2 * RNG.integers(-reach // 2, reach // 2 + 8, shape)


def _odd(*shape: int, reach: int) -> Any:
    weight = RNG.integers(-reach, reach + 1, shape)
    weight.flat[:2] = 3, -3
    return weight


def _bias(size: int) -> Any:
    return RNG.integers(-20, 60, size).astype(np.float32)


#: name -> layers; every layer of the first group has biases, which act in the lead-in too.
BIASED = {
    "dense": [net.dense(_even(20, 12), bias=_bias(20)), net.dense(_even(9, 20), bias=_bias(9))],
    "odd weights": [net.dense(_odd(20, 12, reach=120), bias=_bias(20)), net.dense(_odd(9, 20, reach=60))],
    "odd weights of 9 bits": [net.dense(_odd(20, 12, reach=250), bias=_bias(20))],
    "one sign": [
        net.dense(RNG.integers(0, 256, (15, 12))),
        net.dense(-RNG.integers(0, 90, (9, 15)), bias=10 * _bias(9)),
    ],
    "recurrent": [
        net.dense(_even(20, 12), type="dense_rec", weight_rec=_even(20, 20, reach=60), bias=_bias(20)),
        net.dense(_even(9, 20)),
    ],
    "convolution": [
        {"type": "input", "shape": [2, 9, 7]},
        net.conv(_even(4, 2, 3, 2), (4, 5, 6), stride=[2, 1], padding=[1, 0], bias=_bias(4)),
        net.conv(_even(6, 2, 2, 3), (6, 3, 4), groups=2, dilation=[2, 1], bias=_bias(6)),
        net.flatten(72),
        net.dense(_even(9, 72, reach=60), bias=_bias(9)),
    ],
}
DELAYED = {
    "delays by target": [net.dense(_even(20, 12), delay=RNG.integers(0, 12, 20).astype(np.float32))],
    "delays by source": [net.dense(_even(20, 12), delay=RNG.integers(0, 12, 12).astype(np.float32))],
    "delays by synapse": [
        net.dense(_even(20, 12), delay=RNG.integers(0, 9, (20, 12)).astype(np.float32)),
        net.dense(_even(9, 20), delay=RNG.integers(0, 9, 9).astype(np.float32)),
    ],
    "square, delays by target": [net.dense(_even(12, 12), delay=RNG.integers(0, 12, 12).astype(np.float32))],
}

#: A matrix that netx 0.6.0 spoils; reading it warns, and the writer refuses it.
SPOILT = [
    net.dense(np.where(np.arange(160).reshape(20, 8) % 3, 0, -1), net.neuron(vth=5), bias=np.full(20, 3.0))
]

WEIGHT, BIAS, HELD = 36, 34, RNG.integers(-2, 5, (2, 5, 4))
#: Input neurons receive WEIGHT * HELD + BIAS at each step.
DRIVEN = {
    "input neurons": [
        {
            "type": "input",
            "shape": [2, 5, 4],
            "neuron": net.neuron(i_decay=4096),
            "weight": [float(WEIGHT)],
            "bias": [float(BIAS)],
        },
        net.conv(_even(3, 2, 2, 2), (3, 4, 3)),
    ],
}


@dataclass(frozen=True)
class Job:
    """One network, what it is given, and what netx makes of the file that we write of it.

    steps: see netx_worker.py.
    """

    folder: Path
    network: QuantisedNetwork
    stimulus: Any
    steps: int = 0

    def lava(self) -> Any:
        """Spikes (steps, neurons) on Lava's time line."""
        return np.load(self.folder / "out.npy").reshape(STEPS, -1)

    def describe(self) -> dict[str, Any]:
        np.save(self.folder / "in.npy", self.stimulus)
        files = {"file": "written.net", "given": "in.npy", "out": "out.npy"}
        return {**{key: str(self.folder / name) for key, name in files.items()}, "steps": self.steps}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """All cases, run by one process: importing lava-dl takes longer than they do."""
    found = {}
    for case, layers in {**BIASED, **DELAYED, **DRIVEN, "quantised": []}.items():
        folder = tmp_path_factory.mktemp("netx")
        network = _written(folder, layers) if layers else _quantised(folder)
        stimulus = (RNG.random((STEPS, *network.inputs[0].shape)) < (0.3 if layers else 0.7)).astype(np.uint8)
        if case in DRIVEN:
            found[case] = Job(folder, network, WEIGHT * HELD + BIAS, STEPS)
        else:
            found[case] = Job(folder, network, stimulus)
    folder = tmp_path_factory.mktemp("spoilt")
    spoilt = read_model(net.network(folder / "written.net", *SPOILT)).integers
    assert spoilt is not None
    found["spoilt"] = Job(folder, spoilt, (RNG.random((STEPS, 8)) < 0.3).astype(np.uint8))
    listed = tmp_path_factory.mktemp("jobs") / "jobs.json"
    listed.write_text(json.dumps([job.describe() for job in found.values()]), encoding="utf-8")
    command = [sys.executable, str(Path(__file__).with_name("netx_worker.py")), str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return found


def _written(folder: Path, layers: list[dict[str, Any]]) -> QuantisedNetwork:
    """Our network of a file with these layers; written.net is the file that we write of it."""
    network = read_model(net.network(folder / "original.net", *layers)).integers
    assert network is not None
    write_net(folder / "written.net", network)
    again = read_model(folder / "written.net").integers
    assert again is not None
    assert hash_integers(again) == hash_integers(network)
    return network


def _quantised(folder: Path) -> QuantisedNetwork:
    """A recurrent float network that was quantised for the format."""
    graph = two_layers((12, 40, 16), seed=1, recurrent=True)
    graph.metadata = Contract(1e-3).metadata()
    network = convert_graph(graph, Options(net=True)).network
    write_net(folder / "written.net", network)
    return network


def _same(lava: Any, ours: Any) -> None:
    np.testing.assert_array_equal(lava, ours)
    assert 0 < lava.mean() < 0.9
    assert len(set(lava.sum(axis=0).tolist())) > 1


def test_version() -> None:
    assert VERSION == "0.6.0"


@pytest.mark.parametrize("case", [*BIASED, "quantised"])
def test_netx_gives_our_spikes_on_lavas_time_line(jobs: dict[str, Job], case: str) -> None:
    job = jobs[case]
    last = job.network.populations[-1].name
    given = {job.network.inputs[0].name: job.stimulus.reshape(1, STEPS, -1)}
    spikes = stream(job.network, given).spikes[last]
    _same(job.lava(), spikes[:STEPS])


@pytest.mark.parametrize("case", DELAYED)
def test_netx_gives_our_spikes_with_delays(jobs: dict[str, Job], case: str) -> None:
    """Without biases nothing happens before the first spike, so the time lines are one shift apart."""
    job, late = jobs[case], len(DELAYED[case])
    last = job.network.populations[-1].node
    ours = FixedEngine().run(job.network, {"input": job.stimulus[None]}, record=[last]).spikes[last]
    assert not job.lava()[:late].any()
    _same(job.lava()[late:], ours[0, : STEPS - late])


def test_netx_gives_our_spikes_behind_input_neurons(jobs: dict[str, Job]) -> None:
    """netx leaves it to the caller to set weight x + bias as the input neurons' bias."""
    job = jobs["input neurons"]
    held = np.broadcast_to(HELD, (1, STEPS, *HELD.shape)).reshape(1, STEPS, -1).astype(np.int32)
    last = job.network.populations[-1].node
    ours = FixedEngine().run(job.network, {"input": held}, record=[last]).spikes[last]
    _same(job.lava()[1:], ours[0, :-1])


def test_netx_spoils_what_reading_warns_of(jobs: dict[str, Job]) -> None:
    """Ours is a column of -1 and 0 against a constant bias, written out here; netx gives other spikes."""
    job = jobs["spoilt"]
    ours = stream(job.network, {"input": job.stimulus[None]}).spikes["layer0"][:STEPS]
    made = SPOILT[0]
    u, v, wanted = np.zeros(20, np.int64), np.zeros(20, np.int64), np.zeros((STEPS, 20), bool)
    for t in range(STEPS):
        arriving = made["weight"].astype(np.int64) @ (job.stimulus[t - 1] if t else 0 * job.stimulus[0])
        u = _decayed(u, made["neuron"]["iDecay"]) + 64 * arriving
        v = _decayed(v, made["neuron"]["vDecay"]) + u + 64 * 3
        wanted[t] = v > 64 * 5
        v[wanted[t]] = 0
    _same(wanted.astype(np.uint8), ours)
    assert np.mean(job.lava() != ours) > 0.01


def _decayed(state: Any, decay: int) -> Any:
    return np.sign(state) * (np.abs(state) * (4096 - decay) >> 12)
