"""Every kernel against the equations written a second time: spikes, v, counts and events, all equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.bounds import bounds
from snn_deploy.engine.fixed.prepared import Reset
from snn_deploy.engine.result import ActivityCounter
from snn_deploy.network.contract import ResetMode
from snn_deploy.network.integers import UNREACHABLE_VTH
from snn_deploy.network.quantised import QuantisedNetwork
from tests import quantised_nets as nets
from tests.random_networks import Description, build, networks, rates, signals

Rng = np.random.Generator
KERNELS = kernel.names()


def check(name: str, net: QuantisedNetwork, inputs: Any, resets: nets.Resets | None = None) -> dict[str, Any]:
    """Compare one kernel's run with the reference; return the reference's spikes."""
    lost: dict[str, Counter[str]] = {}
    fired, voltage = nets.reference(net, inputs, resets, lost=lost)
    timed = {key: Reset(*value) for key, value in (resets or {}).items()}
    populations = [p.name for p in net.populations]
    prepared = kernel.prepare(net, name, timed)
    chunk = prepared.run(inputs, counts=populations, rasters=populations, membranes=populations)
    # without v the compiled kernels take their shortest ways
    short = prepared.run(inputs, counts=populations, rasters=populations)
    for p in populations:
        np.testing.assert_array_equal(short.rasters[p], fired[p], err_msg=f"{name}: spikes of {p}, without v")
        np.testing.assert_array_equal(short.counts[p], fired[p].sum(axis=1))
        np.testing.assert_array_equal(chunk.rasters[p], fired[p], err_msg=f"{name}: spikes of {p}")
        np.testing.assert_array_equal(chunk.membranes[p], voltage[p], err_msg=f"{name}: v of {p}")
        np.testing.assert_array_equal(chunk.counts[p], fired[p].sum(axis=1))
        for run in (short, chunk):
            assert vars(run.overflows[p]) == lost[p], f"{name}: wraps and saturations of {p}"
    counter = ActivityCounter(net)
    samples, steps = next(iter(inputs.values())).shape[:2]
    for node, total in short.spikes.items():
        late = {delay: array for (source, delay), array in short.late.items() if source == node}
        counter.add_counts(node, samples * steps, total, late)
    counted = nets.activity(net, {**inputs, **fired})
    for layer in counter.layers():
        assert {key: getattr(layer, key) for key in counted[layer.name]} == counted[layer.name]
    return fired


def with_reset(net: QuantisedNetwork, reset: ResetMode) -> QuantisedNetwork:
    """The same network under another contract."""
    populations = tuple(replace(p, reset=reset) for p in net.populations)
    return replace(net, contract=replace(net.contract, reset=reset), populations=populations)


@pytest.mark.parametrize("name", KERNELS)
def test_random_networks(name: str) -> None:
    """They are neither silent nor alike, and take the checked paths as well as the fast ones."""
    fractions, paths, resets = [], set(), Counter[str]()

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(description=networks(largest=330), rate=rates())
    def run(description: Description, rate: float) -> None:
        net = build(description)
        fired = check(name, net, signals(description, 2, 30, rate))
        fractions.extend(float(raster.mean()) for raster in fired.values())
        resets[net.contract.reset] += any(raster.any() for raster in fired.values())
        paths.update((reach.wraps, reach.clips) for reach in bounds(net, 30).values())

    run()
    assert sum(0.02 < fraction < 0.98 for fraction in fractions) > 40
    assert len({round(fraction, 3) for fraction in fractions}) > 30
    assert {(True, True), (False, False)} <= paths
    assert min(resets[reset] for reset in get_args(ResetMode)) > 10


def _several_inputs(rng: Rng) -> QuantisedNetwork:
    """Planes with exponents of both signs, so that each negative one rounds on its own."""
    edges = [
        nets.projection("x", "a", nets.dense(70, 65, rng), weight_exp=e, name=f"plane {e}")
        for e in (-7, -3, -1, 0, 1, 2)
    ]
    edges.append(nets.projection("y", "a", nets.sparse(70, 6, rng, 0.5), delay=2, weight_exp=-2))
    populations = [nets.population("a", 70, rng, du=300, dv=200, vth=900, u0=rng.integers(-99, 99, 70))]
    return nets.network({"x": (65,), "y": (2, 3)}, populations, edges)


def _delays(rng: Rng) -> QuantisedNetwork:
    """Delays up to beyond the run, one around a cycle of two populations."""
    populations = [
        nets.population(name, n, rng, du=900, dv=300, vth=700)
        for name, n in (("a", 64), ("b", 130), ("c", 3))
    ]
    edges = [
        nets.projection("x", "a", nets.dense(64, 65, rng), delay=3),
        nets.projection("a", "b", nets.dense(130, 64, rng)),
        nets.projection("b", "a", nets.sparse(64, 130, rng, 0.01), delay=1),
        nets.projection("a", "a", nets.dense(64, 64, rng), delay=5),
        nets.projection("b", "c", nets.dense(3, 130, rng), delay=62),
        nets.projection("a", "c", nets.dense(3, 64, rng), delay=29),
    ]
    return nets.network({"x": (65,), "y": (2, 3)}, populations, edges)


def _convolutions(rng: Rng) -> QuantisedNetwork:
    """Block and scalar convolutions, groups, stride, dilation, padding, recurrence on pixels, a dense end."""
    first = nets.conv((2, 9, 8), 16, rng, stride=(2, 1), padding=(1, 2))
    second = nets.conv(first.output_shape, 9, rng, kernel=(2, 3), dilation=(2, 1), padding=(0, 1))
    pool = nets.conv(second.output_shape, 9, rng, groups=9, kernel=(2, 2), stride=(2, 2), padding=(0, 0))
    sizes = {
        "a": int(np.prod(first.output_shape)),
        "b": int(np.prod(second.output_shape)),
        "c": int(np.prod(pool.output_shape)),
        "d": 20,
    }
    populations = [nets.population(k, n, rng, du=2000, dv=300, vth=900) for k, n in sizes.items()]
    again = nets.conv(second.output_shape, 9, rng)
    edges = [
        nets.projection("x", "a", first),
        nets.projection("a", "b", second, weight_exp=-1),
        nets.projection("b", "b", again, delay=1),
        nets.projection("b", "c", pool, weight_exp=1),
        nets.projection("c", "d", nets.dense(20, sizes["c"], rng)),
        nets.projection("a", "d", nets.sparse(20, sizes["a"], rng, 0.01), delay=2),
    ]
    return nets.network({"x": (2, 9, 8)}, populations, edges)


def _wide_convolution(rng: Rng) -> QuantisedNetwork:
    """A convolution whose sums can leave 16 bits."""
    conv = nets.conv((40, 4, 4), 8, rng, kernel=(3, 3))
    populations = [nets.population("a", 128, rng, du=3000, dv=900, vth=3000)]
    return nets.network({"x": (40, 4, 4)}, populations, [nets.projection("x", "a", conv)])


def _two_shapes(rng: Rng) -> QuantisedNetwork:
    """Two convolutions into one population that see its neurons as different pixels."""
    edges = [
        nets.projection("x", "a", nets.conv((2, 4, 4), 16, rng)),
        nets.projection("y", "a", nets.conv((3, 8, 4), 8, rng)),
    ]
    populations = [nets.population("a", 256, rng, du=3000, dv=900, vth=900)]
    return nets.network({"x": (2, 4, 4), "y": (3, 8, 4)}, populations, edges)


def _long_lists(rng: Rng) -> QuantisedNetwork:
    """More rows than fit a 16-bit sum: all weights near the end of their range."""
    weight = np.where(rng.random((100, 900)) < 0.9, 254, -256)
    populations = [nets.population("a", 100, rng, du=3000, dv=900, vth=100000)]
    edge = nets.projection("x", "a", nets.Dense(weight))
    return nets.network({"x": (900,)}, populations, [edge])


def _unreachable(rng: Rng) -> QuantisedNetwork:
    """A read-out, which never spikes and whose v is the result."""
    populations = [
        nets.population("a", 40, rng, du=300, dv=200, vth=900),
        nets.population("out", 5, rng, spiking=False, vth=UNREACHABLE_VTH),
    ]
    edges = [
        nets.projection("x", "a", nets.dense(40, 30, rng)),
        nets.projection("a", "out", nets.dense(5, 40, rng), weight_exp=3),
    ]
    return nets.network({"x": (30,)}, populations, edges)


CASES: list[Callable[[Rng], QuantisedNetwork]] = [
    _several_inputs,
    _delays,
    _convolutions,
    _wide_convolution,
    _two_shapes,
    _long_lists,
    _unreachable,
]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("reset", get_args(ResetMode))
@pytest.mark.parametrize("case", CASES)
def test_features(name: str, reset: ResetMode, case: Callable[[Rng], QuantisedNetwork]) -> None:
    rng = np.random.default_rng(3)
    net = with_reset(case(rng), reset)
    inputs = {i.name: nets.spikes(3, 30, int(np.prod(i.shape)), rng, 0.25) for i in net.inputs}
    fired = check(name, net, inputs)
    for p in net.populations:
        assert fired[p.name].any() == p.spiking
        assert not p.spiking or len(set(fired[p.name].sum(axis=(0, 1)).tolist())) > 1


@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_random_convolutions(name: str, seed: int) -> None:
    """Any channels, kernel, stride, padding, dilation and groups; the second one's input is reordered."""
    rng = np.random.default_rng(seed)
    shape, edges, populations, source = (int(rng.integers(1, 4)), 6, 7), [], [], "x"
    for target in ("a", "b"):
        kernel_size = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        groups = shape[0] if rng.random() < 0.3 else 1
        connection = nets.conv(
            shape,
            groups * int(rng.integers(1, 13)),
            rng,
            kernel=kernel_size,
            groups=groups,
            stride=tuple(rng.integers(1, 4, 2).tolist()),
            padding=tuple(rng.integers(1, 3, 2).tolist()),
            dilation=tuple(rng.integers(1, 3, 2).tolist()),
        )
        assume(min(connection.output_shape) > 0)
        edges.append(nets.projection(source, target, connection, int(rng.integers(0, 2))))
        shape, source = connection.output_shape, target
        populations.append(nets.population(target, int(np.prod(shape)), rng, vth=int(rng.integers(1, 900))))
    net = nets.network({"x": edges[0].connection.input_shape}, populations, edges)
    check(name, net, {"x": nets.spikes(2, 12, int(np.prod(net.inputs[0].shape)), rng)})


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("weight_exp", [-2, 0, 3])
def test_graded_input(name: str, weight_exp: int) -> None:
    rng = np.random.default_rng(4)
    conv = nets.conv((2, 5, 5), 8, rng)
    populations = [
        nets.population("a", 70, rng, du=2000, dv=900, vth=2000),
        nets.population("b", 200, rng, du=2000, dv=900, vth=2000),
    ]
    edges = [
        nets.projection("x", "a", nets.dense(70, 50, rng), weight_exp=weight_exp, message_bits=8),
        nets.projection("x", "a", nets.sparse(70, 50, rng, 0.02), delay=2, message_bits=8, name="sparse"),
        nets.projection("x", "b", conv, weight_exp=weight_exp, message_bits=8),
        nets.projection("a", "b", nets.dense(200, 70, rng)),
    ]
    net = nets.network({"x": (2, 5, 5)}, populations, edges, ("a", "b"), {"x": 8})
    messages = rng.integers(-128, 128, (2, 20, 50)).astype(np.int32) * (rng.random((2, 20, 50)) < 0.2)
    fired = check(name, net, {"x": messages.astype(np.int32)})
    assert all(0.01 < raster.mean() < 0.9 for raster in fired.values())


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("reset", get_args(ResetMode))
def test_lif_reset(name: str, reset: ResetMode) -> None:
    """Reset at steps of its own; the input of that step and the recurrent spikes stay."""
    rng = np.random.default_rng(5)
    populations = [nets.population(n, 70, rng, du=200, dv=50, vth=900) for n in ("a", "b")]
    edges = [
        nets.projection("x", "a", nets.dense(70, 30, rng), delay=1),
        nets.projection("a", "b", nets.dense(70, 70, rng), delay=1),
        nets.projection("b", "b", nets.dense(70, 70, rng), delay=1),
    ]
    net = with_reset(nets.network({"x": (30,)}, populations, edges, ("a", "b")), reset)
    inputs = {"x": nets.spikes(2, 40, 30, rng)}
    fired = check(name, net, inputs, {"a": (10, 2), "b": (10, 13)})
    without, _ = nets.reference(net, inputs)
    assert any(not np.array_equal(fired[p], without[p]) for p in fired)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("exponent", [7, 5])
def test_input_beyond_what_wrapping_once_brings_back(name: str, exponent: int) -> None:
    """One wrap leaves u far outside 2^24: float32 would round; every kernel must still be exact."""
    rng = np.random.default_rng(6)
    weight = np.where(rng.random((70, 300)) < 0.8, 2 * rng.integers(0, 127, (70, 300)), -256)
    populations = [nets.population("a", 70, rng, du=700, dv=100, vth=60000)]
    edges = [nets.projection("x", "a", nets.Dense(weight), weight_exp=exponent)]
    net = nets.network({"x": (300,)}, populations, edges)
    inputs = {"x": nets.spikes(2, 20, 300, rng, 0.5)}
    drive = inputs["x"].astype(np.int64) @ weight.T * 2**exponent * 64
    assert (np.abs(drive) > 1 << 24).any()
    assert check(name, net, inputs)["a"].any()


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("sign", [1, -1])
def test_u_that_wraps_takes_v_to_the_other_end(name: str, sign: int) -> None:
    """Weights of one sign alone: u wraps, so v saturates on the side where no weight pulls it."""
    rng = np.random.default_rng(7)
    weight = sign * 2 * rng.integers(40, 127, (70, 80))
    own = {"vth": UNREACHABLE_VTH, "bias_exp": np.zeros(70, dtype=np.int64)}
    populations = [nets.population("a", 70, rng, du=40, dv=30, **own)]
    net = nets.network({"x": (80,)}, populations, [nets.projection("x", "a", nets.Dense(weight))])
    inputs = {"x": nets.spikes(2, 40, 80, rng)}
    assert not check(name, net, inputs)["a"].any()
    _, voltage = nets.reference(net, inputs)
    assert (sign * voltage["a"]).min() == 1 - (1 << 23)
    assert len({trace.tobytes() for trace in voltage["a"].transpose(0, 2, 1).reshape(-1, 40)}) > 100


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("rate", [0.1, 0.97])
def test_runs_beyond_64_steps(name: str, rate: float) -> None:
    """Kernels count 64 steps in registers, and list few spikes of 64 neurons in another way than many."""
    rng = np.random.default_rng(8)
    populations = [nets.population(p, 140, rng, du=900, dv=300, vth=4000) for p in ("a", "b")]
    edges = [
        nets.projection("x", "a", nets.dense(140, 200, rng)),
        nets.projection("a", "b", nets.dense(140, 140, rng)),
    ]
    net = nets.network({"x": (200,)}, populations, edges, ("a", "b"))
    inputs = {"x": nets.spikes(2, 333, 200, rng, rate)}
    fired = check(name, net, inputs)
    words = inputs["x"][:, :, :64].sum(axis=2)
    assert words.max() > 48 if rate > 0.5 else words.max() <= 16
    for raster in fired.values():
        counts = raster.sum(axis=1)
        assert len(set(counts.ravel())) > 50
        assert np.median(counts) < 64
        assert counts.max() > 256


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("side", [150, 20])
def test_what_subtraction_leaves_above_the_threshold(name: str, recurrent: bool, side: int) -> None:
    """v climbs far above the threshold, fires in every step, and is clipped above while it does."""
    rng = np.random.default_rng(9)
    calm = {"bias_mant": rng.integers(-90, 99, side), "bias_exp": np.zeros(side, dtype=np.int64)}
    calm |= {"u0": np.zeros(side, dtype=np.int64), "v0": np.zeros(side, dtype=np.int64)}
    populations = [
        nets.population("a", side, rng, du=400, dv=3, vth=20000, **calm),
        nets.population("b", side, rng, du=4095, dv=60, vth=900, **calm),
    ]
    edges = [
        nets.projection("x", "a", nets.Dense(2 * rng.integers(-20, 99, (side, 99))), weight_exp=1),
        nets.projection("a", "b", nets.dense(side, side, rng)),
    ]
    if recurrent:
        edges += [nets.projection(p, p, nets.dense(side, side, rng), delay=1) for p in ("a", "b")]
    net = with_reset(nets.network({"x": (99,)}, populations, edges, ("a", "b")), "subtract")
    inputs = {"x": nets.spikes(2, 70, 99, rng, 0.5)}
    lost: dict[str, Counter[str]] = {}
    _, voltage = nets.reference(net, inputs, lost=lost)
    assert lost["a"]["saturations"] > 100
    assert voltage["a"].max() == (1 << 23) - 1 - (20000 << 6)
    fired = check(name, net, inputs)
    assert len(set(fired["b"].sum(axis=(0, 1)).tolist())) > 10
