"""lava-dl's ``.net`` files: exact against netx's own run and against the equations written out here."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.signal import correlate

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_file
from snn_deploy.convert.export_net import write_net
from snn_deploy.convert.frontends import read_model
from snn_deploy.convert.hashes import hash_integers
from snn_deploy.deploy import backends
from snn_deploy.deploy.backends.fixed import FixedBackend
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.fixed.pipelined import stream
from snn_deploy.errors import ModelNotSupported, UnsafeFile
from snn_deploy.network.connections import synapses
from snn_deploy.network.quantised import QuantisedNetwork
from tests import net_files as net

STEPS = 50


@pytest.fixture(scope="module")
def oxford(shared_data: Path) -> Path:
    path = shared_data / "nets" / "lavadl_oxford.net"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


@pytest.fixture(scope="module")
def netx_run(oxford: Path) -> tuple[Any, Any]:
    run = np.load(oxford.with_name("lavadl_oxford_netx_run.npz"))
    return run["input"], run["output"]


@pytest.fixture(scope="module")
def artifact(oxford: Path) -> Artifact:
    return convert_file(oxford, Options(dt=1e-3))


def test_oxford_equals_netx_at_every_entry(artifact: Artifact, netx_run: tuple[Any, Any]) -> None:
    """Two connections: netx answers step t at t + 2. No bias acts, so nothing happens before that."""
    given, lava = netx_run
    assert not any(population.bias.any() for population in artifact.network.populations)
    result = FixedBackend().run(artifact, {"input": given[None]}, record=["layer1"])
    ours = np.concatenate([np.zeros((2, 200), dtype=np.uint8), result.spikes["layer1"][0]])[:2000]
    np.testing.assert_array_equal(ours, lava)
    assert ours.size == 400_000
    assert ours.sum() == 9565
    assert len(np.unique(ours.sum(axis=0))) > 20
    timeline = stream(artifact.network, {"input": given[None]}).spikes["layer1"]
    np.testing.assert_array_equal(timeline[:2000], lava)


def test_oxford_on_lava_equals_netx(artifact: Artifact, netx_run: tuple[Any, Any]) -> None:
    given, lava = netx_run
    steps = 200
    result = backends.get("lava").run(artifact, {"input": given[None, :steps]}, record=["layer1"])
    np.testing.assert_array_equal(result.spikes["layer1"][0, :-2], lava[2:steps])
    assert lava[2:steps].sum() > 100


def test_the_graph_holds_the_same_network(artifact: Artifact, netx_run: tuple[Any, Any]) -> None:
    """The float run rounds no product, so it may differ by spikes, not by what the network computes."""
    discrete = artifact.discrete
    assert [p.name for p in discrete.populations] == [p.name for p in artifact.network.populations]
    assert [p.shape for p in discrete.populations] == list(artifact.network.nodes.values())
    given = netx_run[0][None, :300]
    counts = [
        backends.get(name).run(artifact, {"input": given}).counts["output"][0] for name in ("float", "fixed")
    ]
    assert counts[1].std() > 1
    assert np.corrcoef(*counts)[0, 1] > 0.99


def _file(folder: Path, *layers: dict[str, Any], **more: Any) -> Path:
    return net.network(folder / "made.net", *layers, **more)


def _integers(path: Path) -> QuantisedNetwork:
    network = read_model(path).integers
    assert network is not None
    return network


def _ours(network: QuantisedNetwork, spikes: Any) -> Any:
    """Spikes of the last layer, (steps, neurons)."""
    last = network.populations[-1].node
    given = spikes.reshape(1, STEPS, -1)
    return FixedEngine().run(network, {"input": given}, record=[last]).spikes[last][0]


def _cuba(drive: Any, cuba: dict[str, Any], bias: Any = 0, back: Any = None) -> Any:
    """The neuron's equation, a second time; drive: (steps, neurons) integers."""
    u = v = np.zeros(drive.shape[1], dtype=np.int64)
    fired = np.zeros(drive.shape, dtype=np.uint8)

    def decayed(x: Any, decay: int) -> Any:
        return np.sign(x) * (np.abs(x) * (4096 - decay) // 4096)

    for t in range(len(drive)):
        own = back @ fired[t - 1] if back is not None and t else 0
        u = decayed(u, cuba["iDecay"]) + 64 * (drive[t] + own)
        v = decayed(v, cuba["vDecay"]) + u + 64 * np.asarray(bias, dtype=np.int64)
        fired[t] = v > 64 * cuba["vThMant"]
        v = np.where(fired[t], 0, v)
    assert 0 < fired.mean() < 0.9
    assert len(set(fired.sum(axis=0).tolist())) > 1
    return fired


def _spikes(*shape: int) -> Any:
    return (np.random.default_rng(5).random((STEPS, *shape)) < 0.3).astype(np.uint8)


@pytest.mark.parametrize(
    ("low", "high", "planes", "vth"),
    [(-120, 128, 1, 300), (-250, 255, 2, 300), (0, 256, 1, 9000), (-60, 62, 1, 300)],
    ids=["odd", "odd, 9 bits", "one sign", "small"],
)
def test_dense_weights_as_they_are(tmp_path: Path, low: int, high: int, planes: int, vth: int) -> None:
    rng = np.random.default_rng(low + 999)
    weight, bias = rng.integers(low, high, (16, 10)), rng.integers(0, 40, 16)
    weight[0, :2] = 1, 3
    network = _integers(_file(tmp_path, net.dense(weight, net.neuron(vth=vth), bias=bias)))
    assert len(network.projections) == planes
    spikes = _spikes(10)
    np.testing.assert_array_equal(_ours(network, spikes), _cuba(spikes @ weight.T, net.neuron(vth=vth), bias))


def test_recurrent_layers_return_after_one_step(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weight, back = 2 * rng.integers(-40, 60, (16, 10)), 2 * rng.integers(-30, 30, (16, 16))
    made = net.dense(weight, type="dense_rec", weight_rec=back.astype(np.float32))
    spikes = _spikes(10)
    expected = _cuba(spikes @ weight.T, net.neuron(), back=back)
    assert not np.array_equal(expected, _cuba(spikes @ weight.T, net.neuron()))
    np.testing.assert_array_equal(_ours(_integers(_file(tmp_path, made)), spikes), expected)


@pytest.mark.parametrize("shape", [(16, 1), (1, 10), (16, 10), (1, 1)])
def test_delays_of_each_shape(tmp_path: Path, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    weight, delay = 2 * rng.integers(-40, 60, (16, 10)), rng.integers(1, 9, shape)
    stored = delay if 1 not in shape else delay.reshape(-1)
    network = _integers(_file(tmp_path, net.dense(weight, delay=stored.astype(np.float32))))
    spikes = _spikes(10)
    drive = np.zeros((STEPS, 16), dtype=np.int64)
    for (i, j), d in np.ndenumerate(np.broadcast_to(delay, weight.shape)):
        drive[d:, i] += weight[i, j] * spikes[: STEPS - d, j]
    np.testing.assert_array_equal(_ours(network, spikes), _cuba(drive, net.neuron()))
    artifact = convert_file(tmp_path / "made.net", Options())
    float_edges = {(e.source, e.target, e.delay) for e in artifact.discrete.projections}
    assert float_edges == {(e.source, e.target, e.delay) for e in network.projections}


def test_convolution_and_flatten(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    kernel, bias = rng.integers(-90, 110, (3, 2, 3, 2)), rng.integers(0, 50, 3)
    weight = 2 * rng.integers(-30, 40, (8, 60))
    layers = [
        {"type": "input", "shape": [2, 9, 5]},
        net.conv(kernel, (3, 5, 4), stride=[2, 1], padding=[1, 0], bias=bias),
        net.flatten(60),
        net.dense(weight),
    ]
    spikes = _spikes(2, 9, 5)
    padded = np.pad(spikes.astype(np.int64), ((0, 0), (0, 0), (1, 1), (0, 0)))
    summed = np.stack([[correlate(x, k, "valid")[0, ::2] for k in kernel] for x in padded])
    hidden = _cuba(summed.reshape(STEPS, -1), net.neuron(), np.repeat(bias, 20))
    network = _integers(_file(tmp_path, *layers))
    np.testing.assert_array_equal(_ours(network, spikes), _cuba(hidden @ weight.T, net.neuron()))


def test_pooling_pads_below_and_average_is_the_mean(tmp_path: Path) -> None:
    pool = {"type": "pool", "shape": [2, 3, 2], "kernelSize": [2, 2], "stride": [2, 2], "padding": [0, 0]}
    pool |= {"dilation": [1, 1], "weight": np.full((1, 1, 2, 2, 1), 90.0), "neuron": net.neuron()}
    layers = [
        {"type": "input", "shape": [2, 5, 4]},
        pool,
        net.flatten(12),
        {"type": "average", "shape": [3, 1, 1]},
    ]
    network = _integers(_file(tmp_path, *layers))
    spikes = _spikes(2, 5, 4)
    padded = np.pad(spikes, ((0, 0), (0, 0), (0, 1), (0, 0))).astype(np.int64)
    summed = 90 * padded.reshape(STEPS, 2, 3, 2, 2, 2).sum(axis=(3, 5)).reshape(STEPS, 12)
    fired = _cuba(summed, net.neuron())
    given = {"input": spikes.reshape(1, STEPS, -1)}
    result = FixedEngine().run(network, given, record=["layer1"])
    np.testing.assert_array_equal(result.spikes["layer1"][0], fired)
    scale = 64 * network.populations[-1].scale
    np.testing.assert_allclose(
        result.membranes["output"][0] / scale, fired.reshape(STEPS, 3, 4).mean(axis=2), rtol=1e-12
    )


def test_input_neurons_receive_weight_times_x_plus_bias(tmp_path: Path) -> None:
    cuba = net.neuron(i_decay=4096)
    stated = {"type": "input", "shape": [6], "neuron": cuba, "weight": [36.0], "bias": [14.0]}
    network = _integers(_file(tmp_path, stated))
    x = np.random.default_rng(7).integers(-3, 6, (STEPS, 6)).astype(np.int32)
    np.testing.assert_array_equal(_ours(network, x), _cuba(36 * x + 14, cuba))
    with pytest.raises(ModelNotSupported, match="graded spikes, which loihi1 does not have"):
        convert_file(tmp_path / "made.net", Options(profile="loihi1"))


def test_a_layer_without_neurons_sums_up(tmp_path: Path) -> None:
    """netx's default: no decay of u, all of v, an unreachable threshold."""
    made = net.dense(np.arange(-6, 6).reshape(3, 4))
    del made["neuron"]
    network = _integers(_file(tmp_path, made))
    spikes = _spikes(4)
    result = FixedEngine().run(network, {"input": spikes[None]})
    expected = 64 * np.cumsum(spikes @ np.arange(-6, 6).reshape(3, 4).T.astype(np.int64), axis=0)
    np.testing.assert_array_equal(result.membranes["output"][0], expected)


def test_the_time_step_is_the_files_else_the_flags_else_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = net.dense(np.ones((2, 2)))
    stated = _file(tmp_path, made, sampling=0.5)
    assert convert_file(stated, Options()).network.contract.dt == 5e-4
    silent = net.network(tmp_path / "silent.net", made, sampling=None)
    with caplog.at_level(logging.WARNING):
        assert convert_file(silent, Options(dt=2e-3)).network.contract.dt == 2e-3
        assert not caplog.records
        assert convert_file(silent, Options(bits=4)).network.contract.dt == 1e-3
    assert "the file counts steps" in caplog.text
    assert "--bits: without effect" in caplog.text
    hashes = [convert_file(silent, Options(dt=dt)).network.projections[0].connection for dt in (1e-3, 2e-3)]
    np.testing.assert_array_equal(hashes[0].weight, hashes[1].weight)


@pytest.mark.parametrize(
    ("least", "top", "field"),
    [
        (-64, 0, "weight"),
        (-1, -1, "weight"),
        (-256, -3, "weight"),
        (-2, 0, "weight_rec"),
        (-16, -4, "weight_rec"),
    ],
)
def test_a_matrix_that_netx_spoils_is_warned_of_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, least: int, top: int, field: str
) -> None:
    spoilt = np.full((3, 3), top)
    spoilt[1, 2] = least
    made = {"weight": np.ones((3, 3)), "weight_rec": np.ones((3, 3)), field: spoilt.astype(np.float32)}
    layer = net.dense(**made, type="dense_rec") if field == "weight_rec" else net.dense(spoilt)
    with caplog.at_level(logging.WARNING):
        network = read_model(_file(tmp_path, net.dense(np.ones((3, 3))), layer)).integers
    (record,) = caplog.records
    assert f":layer/1/{field}: no weight is above 0 and the least is {least}" in record.getMessage()
    assert network is not None
    assert sum(int(e.connection.weight.sum()) << max(e.weight_exp, 0) for e in network.projections) == (
        9 + spoilt.sum() + (9 if field == "weight_rec" else 0)
    )


@pytest.mark.parametrize(("least", "top"), [(-63, 0), (-64, 1), (-255, -1), (0, 0)])
def test_no_warning_where_netx_is_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, least: int, top: int
) -> None:
    weight = np.full((3, 3), top)
    weight[0, 0] = least
    with caplog.at_level(logging.WARNING):
        read_model(_file(tmp_path, net.dense(weight)))
    assert not caplog.records


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"type": "convT", "shape": [2]}, "kind of layer is not supported; found convT"),
    "neuron": (net.dense(np.ones((2, 2)), {"type": "SDNN", "vThMant": 1}), "neuron model .* found SDNN"),
    "field": (net.dense(np.ones((2, 2)), colour=1), "field 'colour' is not known"),
    "refractory": (
        net.dense(np.ones((2, 2)), net.neuron(refDelay=4)),
        "a refractory period is not supported: .* found refDelay 4",
    ),
    "graded": (net.dense(np.ones((2, 2)), net.neuron(gradedSpike=True)), "'gradedSpike' is out of range"),
    "exponent": (
        net.dense(np.ones((2, 2)), net.neuron(weight_exp=2)),
        "'weight_exp' is out of range; found 2",
    ),
    "decay": (net.dense(np.ones((2, 2)), net.neuron(i_decay=5000)), "'iDecay' is out of range; found 5000"),
    "decays": (net.dense(np.ones((2, 2)), net.neuron(vDecay=[1, 2])), "'vDecay' differs within the layer"),
    "fraction": (net.dense(np.full((2, 2), 0.5)), r"'weight' must hold integers; found 0.5 \(4 of 4"),
    "infinite": (net.dense(np.full((2, 2), np.inf)), "'weight' must hold integers; found inf"),
    "range": (net.dense(np.full((2, 2), 300)), "a weight is out of range; found 300"),
    "bias": (net.dense(np.ones((2, 2)), bias=[5000, 1]), "bias_mant is out of range; found 5000"),
    "delay": (net.dense(np.ones((2, 2)), delay=[-1, 0]), r"'delay' is negative; found -1 steps"),
    "features": (net.dense(np.ones((2, 2)), inFeatures=3), "'inFeatures' contradicts the weights"),
    "recurrent delay": (
        net.dense(np.ones((2, 2)), type="dense_rec", weight_rec=np.ones((2, 2)), delay=[1, 1]),
        "a recurrent layer has no defined delays",
    ),
    "complex": (
        {**net.dense(np.ones((2, 2))), "weight": {"real": np.ones((2, 2)), "imag": np.ones((2, 2))}},
        "'weight' is complex",
    ),
    "no size": (net.conv(np.ones((1, 1, 2, 2)), (1, 2, 2), stride=[2, 2]), "height and width .* not stated"),
    "flatten first": ({"type": "input", "shape": [4]}, "no layer with neurons"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_exact_counterpart_is_refused_by_name(tmp_path: Path, case: str) -> None:
    layer, message = REFUSED[case]
    with pytest.raises(ModelNotSupported, match=message):
        convert_file(_file(tmp_path, layer), Options())


@pytest.mark.parametrize("case", ["kind", "neuron", "refractory", "recurrent delay"])
def test_kinds_and_neurons_that_are_refused_name_a_remedy(tmp_path: Path, case: str) -> None:
    with pytest.raises(ModelNotSupported) as caught:
        read_model(_file(tmp_path, REFUSED[case][0]))
    assert all(violation.remedy for violation in caught.value.violations)


def test_longer_delays_are_clamped_as_in_netx(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weight = 2 * np.random.default_rng(4).integers(-40, 60, (6, 5))
    delay = np.array([0, 3, 61, 62, 63, 200])
    clamped, plain = (
        _integers(_file(tmp_path, net.dense(weight, delay=steps.astype(np.float32))))
        for steps in (delay, np.minimum(delay, 62))
    )
    assert "delays of up to 200 steps are clamped to 62" in caplog.text
    for one, two in zip(clamped.projections, plain.projections, strict=True):
        assert (one.name, one.delay) == (two.name, two.delay)
        np.testing.assert_array_equal(synapses(one.connection).toarray(), synapses(two.connection).toarray())
    assert max(edge.delay for edge in clamped.projections) == 62


@pytest.mark.parametrize("spelling", ["dense_rec", "recurrent"])
def test_a_recurrent_layer_by_either_name(tmp_path: Path, spelling: str) -> None:
    rng = np.random.default_rng(5)
    weight, back = rng.integers(-40, 60, (6, 5)), rng.integers(-40, 60, (6, 6))
    network = _integers(_file(tmp_path, net.dense(weight, weight_rec=back.astype(np.float32), type=spelling)))
    loops = [edge for edge in network.projections if edge.source == edge.target]
    total = sum(synapses(edge.connection).toarray() * 2.0**edge.weight_exp for edge in loops)
    np.testing.assert_array_equal(total, back)
    assert {edge.delay for edge in loops} == {1}


def test_all_refusals_come_at_once(tmp_path: Path) -> None:
    layers = [REFUSED[case][0] for case in ("kind", "refractory", "fraction", "field")]
    with pytest.raises(ModelNotSupported) as caught:
        read_model(_file(tmp_path, *layers))
    assert [v.where.rpartition(":")[2] for v in caught.value.violations] == [
        "layer/0",
        "layer/1/neuron",
        "layer/2",
        "layer/3",
    ]


def test_spatial_layers_need_a_flatten_layer_before_a_dense_one(tmp_path: Path) -> None:
    layers = [net.conv(np.ones((1, 1, 2, 2)), (1, 2, 2)), net.dense(np.ones((2, 4)))]
    with pytest.raises(ModelNotSupported, match="layer/1: a flatten layer is missing"):
        read_model(_file(tmp_path, *layers))


@pytest.mark.parametrize("kept", [4, 100, 0.5, 0.9])
def test_damaged_files_are_unsafe(tmp_path: Path, kept: float) -> None:
    path = _file(tmp_path, net.dense(np.ones((40, 40))))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    with pytest.raises(UnsafeFile):
        read_model(path)


def test_other_hdf5_is_not_a_network(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.net", "w") as handle:
        handle["weights"] = np.ones(3)
    with pytest.raises(UnsafeFile, match="no group 'layer'"):
        read_model(tmp_path / "other.net")


def test_oxford_survives_the_round_trip(artifact: Artifact, tmp_path: Path) -> None:
    write_net(tmp_path / "again.net", artifact.network)
    again = convert_file(tmp_path / "again.net", Options())
    assert hash_integers(again.network) == hash_integers(artifact.network)
