"""Wraps of u and saturations of v, as a run counts them, against int64: chunks, threads and timing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from snn_deploy.engine.fixed import kernel, pipelined
from snn_deploy.engine.fixed.bounds import bounds
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.float import FloatEngine
from snn_deploy.network.integers import UNREACHABLE_VTH
from snn_deploy.network.quantised import QuantisedNetwork
from tests import quantised_nets as nets

KERNELS = kernel.names()
Rng = np.random.Generator


def _network(rng: Rng, exponent: int, recurrent: bool) -> QuantisedNetwork:
    """Two parts of one node, a layer behind them, and a read-out that keeps what it gets."""
    calm = {"bias_exp": np.zeros(70, dtype=np.int64), "u0": np.zeros(70, dtype=np.int64)}
    calm["v0"], index = calm["u0"], rng.permutation(140)
    read = {key: values[:9] for key, values in calm.items()}
    populations = [
        nets.population("h#0", 70, rng, du=20, dv=90, vth=9000, node="h", index=index[:70], **calm),
        nets.population("h#1", 70, rng, du=90, dv=9, vth=70000, node="h", index=index[70:], **calm),
        nets.population("b", 70, rng, du=40, dv=60, vth=20000, **calm),
        nets.population("out", 9, rng, du=600, dv=1, vth=UNREACHABLE_VTH, spiking=False, **read),
    ]
    edges = [
        nets.projection("x", "h#0", nets.dense(70, 60, rng), weight_exp=exponent),
        nets.projection("x", "h#1", nets.dense(70, 60, rng), weight_exp=exponent, delay=2),
        nets.projection("h#0", "b", nets.dense(70, 70, rng), weight_exp=exponent),
        nets.projection("b", "out", nets.dense(9, 70, rng), weight_exp=exponent),
    ]
    if recurrent:
        edges.append(nets.projection("b", "b", nets.dense(70, 70, rng), weight_exp=exponent, delay=1))
    return nets.network({"x": (60,)}, populations, edges, ("h", "b", "out"))


def _of_nodes(net: QuantisedNetwork, lost: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    summed: dict[str, Counter[str]] = {}
    for p in net.populations:
        summed.setdefault(p.node, Counter()).update(lost[p.name])
    return {
        kind: {node: counts[kind] for node, counts in summed.items()} for kind in ("wraps", "saturations")
    }


def _counted(result: Any) -> dict[str, dict[str, int]]:
    return {"wraps": dict(result.wraps), "saturations": dict(result.saturations)}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize(("batch", "threads"), [(None, 1), (2, 2)])
def test_a_run_sums_them_over_samples_and_parts(
    name: str, recurrent: bool, batch: int | None, threads: int
) -> None:
    rng = np.random.default_rng(21)
    net = _network(rng, 4, recurrent)
    inputs = {"x": nets.spikes(5, 60, 60, rng, 0.4)}
    lost: dict[str, Counter[str]] = {}
    nets.reference(net, inputs, lost=lost)
    expected = _of_nodes(net, lost)
    assert expected["wraps"]["h"] > 50 and expected["wraps"]["b"] > 50
    assert expected["saturations"]["h"] > 50 and expected["saturations"]["out"] > 50
    assert _counted(FixedEngine(name, threads).run(net, inputs, batch=batch)) == expected


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("lif_reset", [False, True])
def test_pipelined_counts_all_lava_steps(name: str, lif_reset: bool) -> None:
    rng = np.random.default_rng(22)
    net = _network(rng, 4, True)
    inputs, gap = {"x": nets.spikes(3, 40, 60, rng, 0.4)}, 5
    row = np.zeros((1, 2 * 45 + 40 + 4, 60), dtype=np.uint8)
    for i in range(3):
        row[0, 45 * i : 45 * i + 40] = inputs["x"][i]
    # one connection costs a step, and one delay is 2
    depth = {"h#0": 1, "h#1": 1, "b": 2, "out": 3}
    resets = {p: (45, d + 1) for p, d in depth.items()} if lif_reset else {}
    laid = pipelined.lava_network(net)
    assert max(depth.values()) == 3
    lost: dict[str, Counter[str]] = {}
    nets.reference(laid, {"x": row[:, : 2 * 45 + 40 + 3]}, resets, lost=lost)
    result = pipelined.run(net, inputs, gap=gap, lif_reset=lif_reset, kernel_name=name)
    assert _counted(result) == _of_nodes(net, lost)
    assert min(sum(found.values()) for found in _counted(result).values()) > 100


@pytest.mark.parametrize("name", KERNELS)
def test_where_nothing_can_there_is_nothing(name: str) -> None:
    rng = np.random.default_rng(23)
    populations = [
        nets.population("a", 70, rng, du=2000, dv=900, vth=900, v0=np.arange(70), u0=np.arange(70))
    ]
    net = nets.network({"x": (60,)}, populations, [nets.projection("x", "a", nets.dense(70, 60, rng))])
    reach = bounds(net, 30)["a"]
    assert not reach.wraps and not reach.clips
    result = FixedEngine(name).run(net, {"x": nets.spikes(2, 30, 60, rng)})
    assert _counted(result) == {"wraps": {"a": 0}, "saturations": {"a": 0}}
    assert result.total_spikes > 100


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("vth", "saturates"), [(131071, False), (UNREACHABLE_VTH, True)])
def test_a_clip_that_fires_loses_nothing(name: str, vth: int, saturates: bool) -> None:
    """v above 2^23 - 1 fires and is 0 either way; behind a threshold that it cannot reach it is lost."""
    rng = np.random.default_rng(24)
    weight = nets.Dense(2 * rng.integers(60, 127, (70, 60)))
    still = {"bias_mant": np.zeros(70, dtype=np.int64), "u0": np.zeros(70, dtype=np.int64)}
    populations = [nets.population("a", 70, rng, du=4095, dv=0, vth=vth, v0=still["u0"], **still)]
    net = nets.network({"x": (60,)}, populations, [nets.projection("x", "a", weight, weight_exp=3)])
    events: Counter[str] = Counter()
    inputs = {"x": nets.spikes(2, 40, 60, rng)}
    nets.reference(net, inputs, events=events)
    assert events["v clips above"] > 100
    result = FixedEngine(name).run(net, inputs)
    assert (result.saturations["a"] > 100) == saturates
    assert result.wraps["a"] == 0


def test_an_engine_that_does_not_count_says_so() -> None:
    from snn_deploy.convert.conversion import Options, convert_graph
    from tests.nir_models import two_layers

    artifact = convert_graph(two_layers((5, 6, 4)), Options(dt=1e-3, reset="zero"))
    result = FloatEngine().run(artifact.discrete, {"in": np.ones((1, 9, 5), dtype=np.uint8)})
    assert result.overflows is result.wraps is result.saturations is None
