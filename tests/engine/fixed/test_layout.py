"""How the compiled kernels store weights: each way against the equations, and proof that it was taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_exactness import check

from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.bounds import LARGEST_WEIGHT, bounds
from snn_deploy.engine.fixed.layout import Layout
from snn_deploy.engine.fixed.merging import merged
from snn_deploy.engine.fixed.patches import field, tables
from snn_deploy.engine.fixed.rows import plan
from snn_deploy.network.connections import Conv2d, Dense, Sparse
from snn_deploy.network.quantised import QuantisedNetwork
from tests import quantised_nets as nets

KERNELS = [name for name in kernel.names() if name != kernel.NUMPY]
Rng = np.random.Generator
#: Rates of the populations that hypothesis drew, so that the test can show that they fired.
_RATES: list[float] = []

pytestmark = pytest.mark.skipif(not KERNELS, reason="the package was built without a C compiler")


def groups(net: QuantisedNetwork) -> dict[str, list[Any]]:
    """The C groups of every population."""
    structure = Layout(net, bounds(net, 20), 4, {}).structure
    return {
        p.name: [structure.populations[i].groups[g] for g in range(structure.populations[i].group_count)]
        for i, p in enumerate(net.populations)
    }


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.lists(st.sampled_from([16, 32, 64, 128]), min_size=2, max_size=2),
    sources=st.integers(1, 3),
    rate=st.sampled_from([0.05, 0.3, 1.0]),
)
def _convolutions_by_tables(seed: int, channels: list[int], sources: int, rate: float) -> None:
    """Any geometry; the second one's channels stand side by side, and the first may feed back on itself."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, int, int] = (sources, int(rng.integers(3, 8)), int(rng.integers(3, 24)))
    edges, populations, source = [], [], "x"
    for target, wide in zip("ab", channels, strict=True):
        connection = nets.conv(
            shape,
            wide,
            rng,
            kernel=(int(rng.integers(1, 4)), int(rng.integers(1, 6))),
            stride=tuple(rng.integers(1, 4, 2).tolist()),
            padding=tuple(rng.integers(0, 4, 2).tolist()),
            dilation=(int(rng.integers(1, 3)), 1),
        )
        assume(min(connection.output_shape) > 0)
        exponent = int(rng.choice([0, 0, 3, -2]))
        delay = int(rng.integers(0, 3))
        edges.append(nets.projection(source, target, connection, delay, weight_exp=exponent))
        shape, source = connection.output_shape, target
        neurons = int(np.prod(shape))
        populations.append(nets.population(target, neurons, rng, vth=int(rng.integers(1, 3000))))
    if rng.random() < 0.3:
        again = nets.conv(edges[0].connection.output_shape, channels[0], rng, kernel=(1, 3), padding=(0, 1))
        edges.append(nets.projection("a", "a", again, 1))
    net = nets.network({"x": edges[0].connection.input_shape}, populations, edges)
    inputs = {"x": nets.spikes(2, 7, int(np.prod(net.inputs[0].shape)), rng, rate)}
    fired, voltage = nets.reference(net, inputs)
    _RATES.extend(float(raster.mean()) for raster in fired.values())
    for name in KERNELS:
        prepared = kernel.prepare(net, name)
        short, long = prepared.run(inputs, rasters=["a", "b"]), prepared.run(inputs, membranes=["a", "b"])
        for p in "ab":
            np.testing.assert_array_equal(short.rasters[p], fired[p], err_msg=f"{name}: {p}")
            np.testing.assert_array_equal(long.membranes[p], voltage[p], err_msg=f"{name}: v of {p}")


def test_convolutions_by_tables() -> None:
    _RATES.clear()
    _convolutions_by_tables()
    assert sum(0.01 < rate < 0.99 for rate in _RATES) >= len(_RATES) / 3
    assert len({round(rate, 3) for rate in _RATES}) > 3


def _by_tables(rng: Rng) -> QuantisedNetwork:
    """From an image and from pixels of sixteen channels; the ends of lines do not fall on ends of tiles."""
    first = nets.conv((2, 11, 37), 16, rng, stride=(2, 2), kernel=(5, 5), padding=(1, 2))
    second = nets.conv(first.output_shape, 32, rng, stride=(2, 2))
    third = nets.conv(second.output_shape, 64, rng, kernel=(1, 1), padding=(0, 0))
    sizes = {name: int(np.prod(c.output_shape)) for name, c in (("a", first), ("b", second), ("c", third))}
    populations = [nets.population(k, n, rng, du=2000, dv=300, vth=2000) for k, n in sizes.items()]
    edges = [nets.projection("x", "a", first), nets.projection("a", "b", second, weight_exp=1)]
    edges.append(nets.projection("b", "c", third, delay=2))
    return nets.network({"x": (2, 11, 37)}, populations, edges)


def _bytes(rng: Rng) -> QuantisedNetwork:
    """A recurrent layer whose rows do not fit a level-1 cache; one that reads it by rows of 16 bits."""
    populations = [nets.population(k, n, rng, du=900, dv=300, vth=900) for k, n in (("a", 150), ("b", 30))]
    edges = [
        nets.projection("x", "a", nets.dense(150, 99, rng)),
        nets.projection("a", "a", nets.dense(150, 150, rng), 1),
        nets.projection("a", "b", nets.dense(30, 150, rng)),
    ]
    return nets.network({"x": (99,)}, populations, edges)


def _segments(rng: Rng) -> QuantisedNetwork:
    """More sources than a part of the list names."""
    populations = [nets.population("a", 65, rng, du=3000, dv=900, vth=9000)]
    edges = [nets.projection("x", "a", nets.dense(65, 8100, rng))]
    edges.append(nets.projection("a", "a", nets.dense(65, 65, rng), 1))
    return nets.network({"x": (8100,)}, populations, edges)


def _planes(rng: Rng) -> QuantisedNetwork:
    """Sign-split planes of two sizes, dense and sparse, and one that is shifted to the right."""
    drawn = nets.dense(70, 65, rng).weight
    up, down = Dense(np.maximum(drawn, 0) // 2), Dense(np.minimum(drawn, 0) // 2)
    residual = nets.sparse(70, 65, rng, 0.1)
    edges = [
        nets.projection("x", "a", up, weight_exp=1, name="up"),
        nets.projection("x", "a", down, weight_exp=1, name="down"),
        nets.projection("x", "a", residual, weight_exp=0, name="residual"),
        nets.projection("a", "a", nets.dense(70, 70, rng), 1, weight_exp=2, name="again"),
    ]
    populations = [nets.population("a", 70, rng, du=900, dv=300, vth=2000)]
    return nets.network({"x": (65,)}, populations, edges)


TAKEN = {
    _by_tables: lambda of: (
        [(g.patch_count, g.narrow_count + g.wide_count) for (g,) in of.values()] == [(1, 0)] * 3
    ),
    _bytes: lambda of: of["a"][0].bytes and not of["b"][0].bytes and of["b"][0].unit == 1,
    _segments: lambda of: of["a"][0].dense_count == 4,
    _planes: lambda of: len(of["a"]) == 1 and of["a"][0].dense_count == 2,
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("case", TAKEN)
def test_storage(name: str, case: Any) -> None:
    rng = np.random.default_rng(8)
    net = case(rng)
    assert TAKEN[case](groups(net))
    inputs = {"x": nets.spikes(3, 40, int(np.prod(net.inputs[0].shape)), rng, 0.1)}
    fired = check(name, net, inputs)
    for raster in fired.values():
        assert 0.01 < raster.mean() < 0.9
        assert len(set(raster.sum(axis=(0, 1)).tolist())) > 1


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("rate", [0.02, 0.9])
def test_a_wrap_that_is_watched_for(name: str, rate: float) -> None:
    """u may wrap as far as the bounds tell; it does at a high rate only, and both are exact."""
    rng = np.random.default_rng(9)
    weight = 2 * rng.integers(0, 127, (100, 400))
    conv = Conv2d(2 * rng.integers(0, 60, (16, 4, 5, 5)), (4, 10, 10), (1, 1), (2, 2), (1, 1), 1)
    sizes = {"a": 100, "b": 1600}
    populations = [nets.population(k, n, rng, du=40, dv=400, vth=130000) for k, n in sizes.items()]
    edges = [nets.projection("x", "a", Dense(weight)), nets.projection("x", "b", conv, weight_exp=1)]
    net = nets.network({"x": (4, 10, 10)}, populations, edges, ("a", "b"))
    assert all(reach.wraps for reach in bounds(net, 30).values())
    inputs = {"x": nets.spikes(2, 30, 400, rng, rate)}
    current, wrapped = np.zeros((2, 100), dtype=np.int64), False
    for t in range(30):
        current = current * (4095 - 40) // 4096 + ((inputs["x"][:, t].astype(np.int64) @ weight.T) << 6)
        wrapped |= bool((current > 1 << 23).any())
    assert wrapped == (rate > 0.5)
    fired = check(name, net, inputs)
    for raster in fired.values():
        assert raster.any()
        assert len(set(raster.sum(axis=(0, 1)).tolist())) > 1


def test_tables_hold_every_combination() -> None:
    rng = np.random.default_rng(10)
    conv = nets.conv((3, 9, 9), 16, rng, kernel=(2, 5))
    cut = field(conv, side_by_side=True)
    assert cut is not None
    made = tables(cut, 1)
    runs = (conv.weight // 2).transpose(2, 3, 1, 0).reshape(2, 15, 16)
    for line in range(2):
        for chunk in range(cut.chunks):
            for index in range(1 << cut.chunk):
                cells = [chunk * cut.chunk + i for i in range(cut.chunk) if index >> i & 1]
                expected = sum((runs[line, cell] for cell in cells if cell < 15), np.zeros(16, dtype=int))
                np.testing.assert_array_equal(made[line * cut.chunks + chunk, index], expected)


@pytest.mark.parametrize(
    ("channels", "change"), [(12, {}), (64, {"kernel": (9, 9)}), (32, {"dilation": (1, 2)}), (256, {})]
)
def test_where_tables_do_not_pay_or_exist(channels: int, change: dict[str, Any]) -> None:
    assert field(nets.conv((8, 20, 20), channels, np.random.default_rng(11), **change), True) is None


def test_rows_that_surely_fit_16_bits() -> None:
    rng = np.random.default_rng(12)
    matrix = rng.integers(-255, 256, (300, 700))
    matrix[:, 5] = 254
    found = plan([matrix], 0, 0).safe
    largest = np.maximum(-np.sort(-matrix, axis=1), 0)[:, :found].sum(axis=1).max()
    signs = (-np.sort(-matrix, axis=1), np.sort(-matrix, axis=1)[:, ::-1])
    beyond = [np.maximum(part, 0).cumsum(axis=1) for part in signs]
    assert largest <= 32767
    assert max(sums[:, min(found + 4, 699)].max() for sums in beyond) > 32767
    assert plan([matrix // 100], 0, 0).safe > 700


def test_merged_planes_give_the_same_input() -> None:
    rng = np.random.default_rng(13)
    net = _planes(rng)
    spikes = nets.spikes(1, 50, 70, rng, 0.3)[0].astype(np.int64)

    def drive(projections: Any) -> Any:
        total = 0
        for p in projections:
            dense = p.connection.weight if isinstance(p.connection, Dense) else _matrix(p.connection)
            total = total + ((spikes[:, : dense.shape[1]] @ dense.T) << p.weight_exp)
        return total

    found = merged(net.projections)
    assert len(found) == 2
    assert {p.weight_exp for p in found} == {0}
    np.testing.assert_array_equal(drive(found), drive(net.projections))


def test_planes_too_large_together_stay_apart() -> None:
    rng = np.random.default_rng(14)
    edges = [nets.projection("x", "a", nets.dense(9, 9, rng), weight_exp=e, name=str(e)) for e in (0, 0, 7)]
    found = merged(edges)
    assert sorted(p.weight_exp for p in found) == [0, 7]
    assert all(np.abs(p.connection.weight).max() <= LARGEST_WEIGHT for p in found)


def _matrix(connection: Sparse) -> Any:
    from scipy.sparse import csr_matrix

    parts = (connection.data, connection.indices, connection.indptr)
    return csr_matrix(parts, shape=connection.shape).toarray()
