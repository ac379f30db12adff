"""LavaBackend against the integer equations, spike by spike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lava_nets as nets
import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.lava import LavaBackend
from snn_deploy.deploy.lava.graph import process_graph
from snn_deploy.deploy.lava.guard import Limits
from snn_deploy.deploy.lava.plan import Strategy, make_plan
from snn_deploy.deploy.lava.run import run_network
from snn_deploy.errors import UsageError
from snn_deploy.network.connections import Conv2d, Dense, Sparse, synapses
from snn_deploy.network.integers import UNREACHABLE_VTH
from tests import quantised_nets

Rng = np.random.Generator


def _feed_forward(rng: Rng) -> Artifact:
    populations = [nets.population("a", 12, rng), nets.population("b", 9, rng)]
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "b", nets.dense(9, 12, rng)),
    ]
    return nets.artifact({"x": (10,)}, populations, edges, ("b",))


def _recurrent(rng: Rng) -> Artifact:
    populations = [nets.population("a", 12, rng), nets.population("b", 9, rng)]
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "a", nets.dense(12, 12, rng), delay=1),
        nets.projection("a", "b", nets.dense(9, 12, rng)),
        nets.projection("b", "b", nets.dense(9, 9, rng), delay=1),
    ]
    return nets.artifact({"x": (10,)}, populations, edges, ("a", "b"))


def _initial_state(rng: Rng) -> Artifact:
    """Small initial states at depth 1 to 3, which the lead-in can be solved for."""
    names = ("a", "b", "c")
    populations = [
        nets.population(name, 8, rng, u0=rng.integers(-900, 900, 8), v0=rng.integers(-9000, 9000, 8), du=300)
        for name in names
    ]
    edges = [nets.projection(*pair, nets.dense(8, 8, rng)) for pair in (("x", "a"), ("a", "b"), ("b", "c"))]
    return nets.artifact({"x": (8,)}, populations, edges, ("c",))


def _switched(rng: Rng) -> Artifact:
    """States that no silent past leads to: large currents with fast decays, potentials above threshold."""
    populations = [
        nets.population(
            "a", 8, rng, du=900, u0=rng.integers(-(2**16), 2**16, 8), v0=rng.integers(0, 2**18, 8)
        ),
        nets.population("b", 8, rng, du=3000, u0=rng.integers(-(2**20), 2**20, 8), vth=200),
        nets.population("c", 8, rng, v0=rng.integers(-(2**20), 2**20, 8), vth=200),
    ]
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng)),
        nets.projection("a", "b", nets.dense(8, 8, rng)),
        nets.projection("b", "b", nets.dense(8, 8, rng), delay=1),
        nets.projection("b", "c", nets.dense(8, 8, rng)),
    ]
    return nets.artifact({"x": (8,)}, populations, edges, ("c",))


def _delayed(rng: Rng) -> Artifact:
    """Delays of 2 and 3 steps, from the input and between layers, and one around a cycle."""
    populations = [nets.population("a", 8, rng), nets.population("b", 8, rng), nets.population("c", 8, rng)]
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng), delay=3),
        nets.projection("a", "b", nets.dense(8, 8, rng)),
        nets.projection("b", "c", nets.dense(8, 8, rng), delay=2),
        nets.projection("c", "a", nets.dense(8, 8, rng), delay=4),
    ]
    return nets.artifact({"x": (8,)}, populations, edges, ("c",))


def _skips(rng: Rng) -> Artifact:
    """Several projections into one population: skips that wait in a delay, inputs of their own, planes."""
    populations = [nets.population("a", 8, rng), nets.population("b", 8, rng), nets.population("c", 8, rng)]
    excitatory = Dense(rng.integers(0, 200, (8, 8)))
    inhibitory = Dense(-rng.integers(0, 60, (8, 8)))
    coarse = Dense(16 * rng.integers(-7, 8, (8, 8)))
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng)),
        nets.projection("x", "a", coarse, weight_bits=5, weight_exp=-3, name="coarse"),
        nets.projection("a", "b", excitatory, sign="excitatory", weight_exp=-1),
        nets.projection("a", "b", inhibitory, sign="inhibitory", weight_exp=1, name="a-|b"),
        nets.projection("b", "c", nets.dense(8, 8, rng)),
        nets.projection("x", "c", nets.dense(8, 8, rng), name="skip"),
        nets.projection("y", "c", nets.dense(8, 6, rng), delay=1),
    ]
    return nets.artifact({"x": (8,), "y": (2, 3)}, populations, edges, ("c",))


def _sparse(rng: Rng) -> Artifact:
    """Stored zeros included, and a delayed sparse projection."""
    from scipy.sparse import random as random_sparse

    def sparse(rows: int, columns: int) -> Sparse:
        pattern = random_sparse(rows, columns, density=0.3, format="csr", random_state=int(rng.integers(99)))
        data = 2 * rng.integers(-90, 110, pattern.nnz)
        data[::9] = 0
        return Sparse(
            data, pattern.indices.astype(np.int64), pattern.indptr.astype(np.int64), (rows, columns)
        )

    populations = [nets.population("a", 16, rng), nets.population("b", 9, rng)]
    edges = [
        nets.projection("x", "a", sparse(16, 10), weight_exp=1),
        nets.projection("a", "b", sparse(9, 16), delay=2),
    ]
    return nets.artifact({"x": (10,)}, populations, edges, ("b",))


def _convolution(rng: Rng) -> Artifact:
    """Groups, stride, padding and dilation that differ by axis, and kernels that a flip would change."""
    first = Conv2d(2 * rng.integers(-60, 70, (3, 2, 3, 2)), (2, 7, 5), (2, 1), (1, 0), (1, 2), 1)
    second = Conv2d(2 * rng.integers(-60, 70, (6, 1, 2, 2)), first.output_shape, (1, 1), (0, 1), (1, 1), 3)
    sizes = [int(np.prod(conv.output_shape)) for conv in (first, second)]
    populations = [
        nets.population("a", sizes[0], rng),
        nets.population("b", sizes[1], rng),
        nets.population("c", 7, rng),
    ]
    edges = [
        nets.projection("x", "a", first),
        nets.projection("a", "b", second),
        nets.projection("a", "b", second, weight_exp=-2, name="scaled"),
        nets.projection("b", "c", nets.dense(7, sizes[1], rng)),
    ]
    return nets.artifact({"x": (2, 7, 5)}, populations, edges, ("c",))


def _wide_skip(rng: Rng) -> Artifact:
    """Skips from an input and from a layer, of so many synapses that relays carry their delays."""
    populations = [nets.population(name, 64, rng) for name in ("a", "b", "c", "d")]
    edges = [
        nets.projection(*pair, nets.dense(64, 64, rng), weight_exp=-2)
        for pair in (("x", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("x", "c"), ("a", "d"))
    ]
    return nets.artifact({"x": (64,)}, populations, edges, ("d",))


def _split_node(rng: Rng) -> Artifact:
    """One node of the graph in two populations, with the time constants of each; no decay in one."""
    index = rng.permutation(10)
    populations = [
        nets.population("a#0", 6, rng, node="a", index=index[:6], du=-1, dv=4096, vth=30),
        nets.population("a#1", 4, rng, node="a", index=index[6:], du=4095),
    ]
    edges = [
        nets.projection("x", "a#0", nets.dense(6, 10, rng), weight_exp=-4),
        nets.projection("x", "a#1", nets.dense(4, 10, rng)),
    ]
    return nets.artifact({"x": (10,)}, populations, edges, ("a",))


def _islands(rng: Rng) -> Artifact:
    """Parts that nothing connects, a population that only its bias drives, and an input that drives none."""
    bias = np.array([900, 1500, 2000, 700])
    populations = [
        nets.population("a", 8, rng),
        nets.population("b", 6, rng),
        nets.population("alone", 4, rng, bias_mant=bias, bias_exp=np.full(4, 1)),
    ]
    edges = [
        nets.projection("x", "a", nets.dense(8, 10, rng)),
        nets.projection("y", "b", nets.dense(6, 5, rng)),
    ]
    return nets.artifact({"x": (10,), "y": (5,), "unused": (3,)}, populations, edges, ("a", "b", "alone"))


#: The first six, one for each mechanism, run by default; 'make test-all' runs all.
NETWORKS: list[Callable[[Rng], Artifact]] = [
    _recurrent,
    _initial_state,
    _switched,
    _skips,
    _convolution,
    _islands,
    _feed_forward,
    _delayed,
    _sparse,
    _split_node,
    _wide_skip,
]
#: Populations whose initial state no silent past leads to.
SWITCHED = {_switched: ["a", "b", "c"], _split_node: ["a#0"]}

STREAMABLE = [_skips, _convolution, _feed_forward, _split_node]


def _quick_first(networks: list[Callable[[Rng], Artifact]], quick: int) -> list[Any]:
    """Parameters by name, those after the first ``quick`` marked slow."""
    return [
        pytest.param(make, id=make.__name__.strip("_"), marks=[pytest.mark.slow] if i >= quick else [])
        for i, make in enumerate(networks)
    ]


def _check(artifact: Artifact, strategy: Strategy, batch: int | None, samples: int = 4) -> dict[str, object]:
    """Run, compare every spike of every population, and prove that the comparison means something."""
    rng = np.random.default_rng(7)
    network = artifact.network
    inputs = {n.name: nets.spikes(samples, 24, int(np.prod(n.shape)), rng) for n in network.inputs}
    expected = nets.reference(network, inputs)
    result = LavaBackend(strategy=strategy).run(artifact, inputs, record=tuple(network.nodes), batch=batch)
    for population in network.populations:
        raster = result.spikes[population.node][:, :, population.index]
        np.testing.assert_array_equal(raster, expected[population.name])
        counts = raster.sum(axis=(0, 1))
        assert counts.any() and len(set(counts.tolist())) > 1, "neurons must fire, and differ"
        driven = any(edge.target == population.name for edge in network.projections)
        differs = any((raster[0] != other).any() for other in raster[1:])
        assert differs or not driven, "samples must differ"
    for output in network.outputs:
        np.testing.assert_array_equal(result.counts[output.name], result.spikes[output.node].sum(axis=1))
    assert sum(layer.spikes for layer in result.layers) == sum(int(r.sum()) for r in expected.values())
    return dict(result.notes)


@pytest.mark.parametrize("make", _quick_first(NETWORKS, 6))
def test_blocks_equal_the_integer_equations(make: Callable[[Rng], Artifact]) -> None:
    notes = _check(make(np.random.default_rng(12)), "block", 2)
    assert notes["switched_on"] == SWITCHED.get(make, [])


@pytest.mark.parametrize("make", _quick_first(STREAMABLE, 2))
def test_streams_equal_the_integer_equations(make: Callable[[Rng], Artifact]) -> None:
    notes = _check(make(np.random.default_rng(12)), "stream", None)
    assert notes["strategy"] == "stream" and notes["lava_runs"] == 1


def test_streams_of_blocks_equal_the_integer_equations() -> None:
    notes = _check(_feed_forward(np.random.default_rng(12)), "auto", 2, samples=5)
    assert (notes["copies"], notes["groups_per_run"], notes["lava_runs"]) == (2, 3, 1)


@pytest.mark.parametrize("make", [_recurrent, _sparse, _delayed], ids=lambda m: m.__name__.strip("_"))
def test_single_copies_use_dense_processes(make: Callable[[Rng], Artifact]) -> None:
    """One sample a run: the stock Dense and DelayDense, one Lava run after another."""
    notes = _check(make(np.random.default_rng(12)), "block", 1, samples=2)
    assert notes["lava_runs"] == 2


@pytest.mark.parametrize("make", [_recurrent, _initial_state], ids=lambda m: m.__name__.strip("_"))
def test_a_stream_that_would_leak_is_refused(make: Callable[[Rng], Artifact]) -> None:
    artifact = make(np.random.default_rng(12))
    inputs = {n.name: np.zeros((2, 3, *n.shape), dtype=np.uint8) for n in artifact.network.inputs}
    with pytest.raises(UsageError, match="cannot be streamed"):
        LavaBackend(strategy="stream").run(artifact, inputs)


@pytest.mark.parametrize(("strategy", "batch"), [("stream", None), ("block", 3)])
def test_read_outs_give_their_membranes(strategy: Strategy, batch: int | None) -> None:
    """v of populations that never fire, after each step of the network's own time."""
    rng = np.random.default_rng(16)
    never = {"spiking": False, "vth": UNREACHABLE_VTH}
    populations = [
        nets.population("a", 8, rng),
        nets.population("r", 5, rng, **never),
        nets.population("q", 3, rng, **never),
    ]
    edges = [
        nets.projection("x", "a", nets.dense(8, 6, rng)),
        nets.projection("a", "r", nets.dense(5, 8, rng)),
        nets.projection("x", "q", nets.dense(3, 6, rng)),
    ]
    artifact = nets.artifact({"x": (6,)}, populations, edges, ("r", "q", "a"))
    inputs = {"x": nets.spikes(3, 20, 6, rng)}
    spikes, voltages = quantised_nets.reference(artifact.network, inputs)
    network, limits = artifact.network, Limits()
    result = run_network(
        "lava", network, inputs, record=("a",), batch=batch, limits=limits, strategy=strategy
    )
    assert set(result.membranes) == {"r", "q"}
    for name, membranes in result.membranes.items():
        assert membranes.dtype == np.int32
        np.testing.assert_array_equal(membranes, voltages[name])
        assert np.ptp(membranes[0]) > 0 and (membranes[0] != membranes[1]).any()
    np.testing.assert_array_equal(result.spikes["a"], spikes["a"])


@pytest.mark.parametrize(
    ("make", "copies", "kinds", "relays"),
    [(_wide_skip, 2, set(), 4), (_skips, 2, {"DelaySparse"}, 0), (_skips, 1, {"DelayDense"}, 0)],
)
def test_delays_take_the_cheapest_process(
    make: Callable[[Rng], Artifact], copies: int, kinds: set[str], relays: int
) -> None:
    network = make(np.random.default_rng(12)).network
    graph = process_graph(network, make_plan(network, 4, 24, copies=copies))
    assert {process.kind for process in graph.processes} & {"DelaySparse", "DelayDense"} == kinds
    assert sum(process.name.endswith(" wire") for process in graph.processes) == relays


def test_synapses_of_the_sparse_network_hold_zeros() -> None:
    """The sparse case must cover stored zeros: they stay synapses on the chip."""
    artifact = _sparse(np.random.default_rng(12))
    stored = [synapses(edge.connection) for edge in artifact.network.projections]
    assert any((matrix.data == 0).any() for matrix in stored)
