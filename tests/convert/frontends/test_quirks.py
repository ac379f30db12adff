"""Quirks of exporters: each does what it says, and nothing behind the front ends names a framework."""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.convert.frontends import quirks
from snn_deploy.convert.frontends.nir_file import read_graph, write_graph
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract
from tests.equivalence.compare import check
from tests.equivalence.graphs import DT, Draw, chain

PACKAGE = Path(snn_deploy.__file__).parent
FRAMEWORKS = re.compile(r"norse|snntorch|sinabs|rockpool|spikingjelly|nengo", re.IGNORECASE)
#: What lies behind the front ends.
NEUTRAL = [
    *(PACKAGE / "network").rglob("*.py"),
    *(PACKAGE / "engine").rglob("*.py"),
    *(
        path
        for room in ("lowering", "passes", "quantise")
        for path in (PACKAGE / "convert" / room).rglob("*.py")
    ),
    *(
        PACKAGE / "convert" / f"{name}.py"
        for name in ("canonical", "compose", "discretise", "export", "pipeline", "calibration", "hashes")
    ),
]


def integrator(r: np.ndarray, kind: type = nir.IF) -> nir.NIRGraph:
    draw = Draw(1)
    threshold, reset = draw.threshold_and_reset((9,))
    node = nir.IF(r, threshold, reset) if kind is nir.IF else nir.I(r)
    layers = (
        [draw.affine(9, 6), node]
        if kind is nir.IF
        else [draw.affine(9, 6), draw.lif(9), draw.affine(9, 9), node]
    )
    return chain(*layers, shape=[6])


def gains(graph: nir.NIRGraph, dt: float = DT) -> np.ndarray:
    """What a unit of input adds to v of the integrator."""
    canonical = prepare(graph, Contract(dt)).graph
    (node,) = [n for n in canonical.nodes.values() if isinstance(n, nir.IF | nir.I)]
    return np.asarray(node.r)


def test_each_quirk_says_who_and_what() -> None:
    assert {q.outcome for q in quirks.QUIRKS} == {"warning", "repair", "refusal"}
    for one in quirks.QUIRKS:
        assert one.framework and re.match(r"\d+\.\d+", one.version) and len(one.what) > 20


@pytest.mark.parametrize("path", NEUTRAL, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_behind_the_front_ends_names_a_framework(path: Path) -> None:
    assert FRAMEWORKS.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("kind", [nir.IF, nir.I])
def test_r_of_one_over_dt_is_repaired_with_a_warning(kind: type, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(gains(integrator(np.full(9, 1 / DT), kind)), np.ones(9))
    assert "as SpikingJelly writes it" in caplog.text


@pytest.mark.parametrize("r", [1.0, 2.5, np.array([1000.0] + [1.0] * 8)])
def test_any_other_r_is_taken_as_it_is(r: float | np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    values = np.broadcast_to(r, 9).astype(float)
    np.testing.assert_array_equal(gains(integrator(values)), values)
    assert not caplog.text


@pytest.mark.parametrize("dt", [1e-2, 1e-4])
def test_an_r_that_looks_like_one_over_another_dt_is_worth_a_warning(
    dt: float, caplog: pytest.LogCaptureFixture
) -> None:
    """The file of a network of 1 ms steps, read with another time step."""
    values = np.full(9, 1000.0)
    np.testing.assert_array_equal(gains(integrator(values), dt), values)
    assert f"is not 1 / dt = {1 / dt:g}" in caplog.text
    assert "its time step was 0.001 s" in caplog.text


def test_the_repair_gives_the_spikes_that_are_meant() -> None:
    """The same net with r = 1 / dt, and with r = 1: equal spikes."""
    nets = [integrator(np.full(9, r)) for r in (1.0, 1 / DT)]
    spikes = {"input": Draw(2).spikes(2, 200, (6,))}
    expected = check(nets[0], spikes, DT)
    runs = [float_engine.run(prepare(net, Contract(DT)).network, spikes).rasters["n1"] for net in nets]
    np.testing.assert_array_equal(*runs)
    assert expected.rates["n1"] > 0


def test_a_default_w_in_is_warned_of_where_no_time_step_is_stated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw = Draw(3)
    net = chain(draw.affine(5, 4), draw.cuba_lif(5), shape=[4])
    net.nodes["n1"].w_in = np.ones(5)
    for metadata, warned in (({}, True), ({"dt": DT}, False)):
        net.metadata = metadata
        caplog.clear()
        write_graph(tmp_path / "graph.nir", net)
        read_graph(tmp_path / "graph.nir")
        assert ("w_in = 1 in n1" in caplog.text) == warned


def test_a_node_of_none_says_whose_it_may_be() -> None:
    net = chain(Draw(4).affine(5, 4), Draw(4).lif(5), shape=[4])
    net.nodes["n0"] = None
    with pytest.raises(ModelNotSupported) as refused:
        prepare(net, Contract(DT))
    (violation,) = [v for v in refused.value.violations if v.where == "n0" and "no NIR node" in v.what]
    assert "leave None for modules that they do not know" in violation.remedy


def test_time_constants_below_dt_say_what_spoils_them() -> None:
    net = chain(Draw(5).affine(5, 4), Draw(5).lif(5), shape=[4])
    net.nodes["n1"].tau = np.full(5, DT * DT)
    with pytest.raises(ModelNotSupported) as refused:
        prepare(net, Contract(DT))
    (violation,) = refused.value.violations
    assert violation.where == "n1" and "shorter than one time step" in violation.what
    assert violation.remedy.startswith("Lower --dt") and "call it with dt=1.0" in violation.remedy


def _behind_an_input(shape: tuple[int, ...], taken: tuple[int, ...]) -> nir.NIRGraph:
    """An Input of ``shape``, a layer that takes ``taken``, and a Flatten that counts the batch."""
    rng = np.random.default_rng(0)
    if len(taken) == 3:
        layer: nir.NIRNode = nir.Conv2d(
            taken[1:], rng.normal(0.2, 0.4, (3, taken[0], 3, 3)), 1, 1, 1, 1, np.zeros(3)
        )
        sent: tuple[int, ...] = (3, *taken[1:])
    elif len(taken) == 2:
        layer = nir.Conv1d(taken[1], rng.normal(0.2, 0.4, (3, taken[0], 3)), 1, 1, 1, 1, np.zeros(3))
        sent = (3, taken[1])
    else:
        layer, sent = nir.Linear(rng.normal(0.2, 0.5, (8, taken[0]))), (8,)
    neurons = nir.IF(np.ones(sent), np.ones(sent), np.zeros(sent))
    batched = (1, *sent) if len(shape) > len(taken) else sent
    flat = nir.Flatten({"input": np.array(batched)}, len(batched) - len(sent), -1)
    size = int(np.prod(sent))
    last = nir.IF(np.ones(5), np.ones(5), np.zeros(5))
    nodes = {
        "input": nir.Input(np.array(shape)), "layer": layer, "neurons": neurons, "flat": flat,
        "out": nir.Linear(rng.normal(0.0, 0.5, (5, size))), "last": last, "output": nir.Output(np.array([5])),
    }  # fmt: skip
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


@pytest.mark.parametrize("taken", [(2, 5, 6), (1, 5, 6), (2, 7), (6,), (1,)])
def test_a_batch_axis_that_was_left_over_is_named_and_taken_off(
    taken: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    raster = Draw(3).spikes(2, 60, (int(np.prod(taken)),), 0.4)
    with caplog.at_level(logging.WARNING):
        plain = prepare(_behind_an_input(taken, taken), Contract(DT)).network
    assert "batch axis" not in caplog.text
    found = prepare(_behind_an_input((1, *taken), taken), Contract(DT)).network
    assert f"{(1, *taken)} begins with a batch axis of size 1" in caplog.text
    assert found.inputs[0].shape == taken
    one, two = (float_engine.run(net, {"input": raster}).rasters["last"] for net in (plain, found))
    assert 0.01 < one.mean() < 0.99
    np.testing.assert_array_equal(one, two)
