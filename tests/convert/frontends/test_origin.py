"""Exporters are known by the marks in their time constants; ordinary networks are not taken for theirs."""

from __future__ import annotations

import logging
from itertools import pairwise

import nir
import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.frontends.nir_file import read_graph
from snn_deploy.convert.frontends.origin import doubt, origin
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract
from tests.conformance.test_frameworks import FIXTURES

SEEDS = range(60)


def net(*neurons: nir.NIRNode, metadata: dict[str, object] | None = None) -> nir.NIRGraph:
    """A chain of one Linear and one population for each node given."""
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([4]))}
    width = 4
    for i, node in enumerate(neurons):
        nodes[f"fc{i}"] = nir.Linear(np.full((np.size(node.r), width), 0.3))
        nodes[f"n{i}"] = node
        width = np.size(node.r)
    nodes["output"] = nir.Output(np.array([width]))
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), metadata=metadata or {}, type_check=False)


def lif(tau: np.ndarray, r: np.ndarray | float = 1.0) -> nir.LIF:
    tau = np.atleast_1d(tau).astype(np.float32)
    ones = np.ones(tau.shape, np.float32)
    return nir.LIF(tau=tau, r=ones * np.float32(r), v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)


def cuba(
    tau_syn: np.ndarray, tau_mem: np.ndarray, r: np.ndarray | float, w_in: np.ndarray | float
) -> nir.CubaLIF:
    ones = np.ones(np.shape(tau_mem), np.float32)
    return nir.CubaLIF(
        tau_syn=np.float32(tau_syn) * ones, tau_mem=np.float32(tau_mem) * ones, r=np.float32(r) * ones,
        w_in=np.float32(w_in) * ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones,
    )  # fmt: skip


def integrators(r: float) -> nir.IF:
    return nir.IF(r=np.full(5, r, np.float32), v_threshold=np.ones(5), v_reset=np.zeros(5))


def betas(rng: np.random.Generator, count: int) -> np.ndarray:
    """Decays as people choose them: 0.50 .. 0.99."""
    return rng.choice(np.arange(50, 100), count, replace=False) / 100


def drawn_dt(rng: np.random.Generator) -> float:
    return float(rng.choice([1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2]))


@pytest.mark.parametrize("seed", SEEDS)
def test_gains_of_tau_over_dt_say_dt(seed):
    """snnTorch's form, tau = dt / (1 - beta) and r = tau / dt, in float32."""
    rng = np.random.default_rng(seed)
    dt, (alpha, beta, gamma) = drawn_dt(rng), betas(rng, 3)
    tau, syn, mem = (dt / (1 - one) for one in (beta, alpha, gamma))
    one = lif(np.full(6, tau), tau / dt)
    two = cuba(np.full(5, syn), np.full(5, mem), mem / dt, syn / dt)
    for graph in (net(one, two), net(one), net(two), net(lif(dt / (1 - betas(rng, 7)), 1), one)):
        found = origin(graph)
        assert found is not None and found.dt == pytest.approx(dt, rel=1e-4)
        assert "snnTorch" in found.whose and found.decay == "euler"


@pytest.mark.parametrize("seed", SEEDS)
def test_logarithms_of_round_decays_say_dt(seed):
    rng = np.random.default_rng(seed)
    dt = drawn_dt(rng)
    found = origin(net(lif(-dt / np.log(betas(rng, 5))), lif(-dt / np.log(betas(rng, 2)))))
    assert found is not None and found.dt == pytest.approx(dt) and found.decay == "exponential"


@pytest.mark.parametrize("seed", SEEDS)
def test_integrators_steps_and_products_with_dt(seed):
    rng = np.random.default_rng(seed)
    dt = drawn_dt(rng)
    found = origin(net(integrators(1 / dt)))
    assert found is not None and found.dt == pytest.approx(dt, rel=1e-4) and "SpikingJelly" in found.whose
    found = origin(net(lif(rng.uniform(1.5, 80, 6))))
    assert found is not None and found.dt == 1 and "Sinabs" in found.whose
    found = origin(net(lif(rng.uniform(4e-3, 5e-2, 6) * 1e-3)))
    assert found is not None and "Norse 1.1.0" in str(found) and "call it with dt=1.0" in str(found)


@pytest.mark.parametrize("seed", range(300))
def test_ordinary_time_constants_are_not_mistaken(seed):
    """Round milliseconds or any, one or many, with gains of 1 or of any size: nobody's mark."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    some = rng.choice(np.arange(2, 101), count) * 0.5e-3 if seed % 2 else rng.uniform(1e-3, 0.1, count)
    more = rng.choice([2e-3, 5e-3, 1e-2, 2e-2], 5)
    gains = [1.0, float(rng.uniform(0.2, 20)), rng.uniform(0.2, 20, count)][seed % 3]
    graphs = [net(lif(some, gains)), net(lif(some)), net(lif(more), integrators(1.0))]
    graphs.append(net(cuba(more, 2 * more, 1.0, 1.0), lif(some, gains)))
    for graph in graphs:
        found = origin(graph)
        assert found is None, (found, some, gains)


@pytest.mark.parametrize(
    ("name", "dt"),
    [
        ("snntorch-dense", 1e-4),
        ("snntorch-recurrent", 1e-4),
        ("snntorch-conv2d", 1e-4),
        ("spikingjelly-dense", 1e-3),
        ("spikingjelly-conv2d", 1e-3),
        ("spikingjelly-residual", 1e-3),
        ("sinabs-lif", 1.0),
        ("norse-default_dt", 1e-3),
        ("norse-box", None),
        ("norse-cuba", None),
        ("norse-iaf", None),
        ("rockpool-lif", None),
        ("sinabs-conv2d", None),
    ],
)
def test_the_exporters_own_files(name, dt):
    found = origin(read_graph(FIXTURES / f"{name}.nir"))
    assert (found and found.dt) == (dt if dt is None else pytest.approx(dt, rel=1e-4))


def test_the_refusal_names_who_and_which_step():
    beta = np.array([0.95, 0.9, 0.8, 0.7])
    tau = 1e-4 / (1 - beta)
    with pytest.raises(ModelNotSupported, match=r"snnTorch 1\.0\.0 .* pass --dt 0\.0001"):
        convert_graph(net(lif(tau, tau / 1e-4)), Options(reset="zero"))
    with pytest.raises(ModelNotSupported, match="what wrote it is not known: pass --dt") as caught:
        convert_graph(net(lif(np.array([0.013, 0.0271]))), Options(reset="zero"))
    assert "often 1e-3" not in str(caught.value)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_step_than_the_marks_say_is_warned_of(seed, caplog):
    rng = np.random.default_rng(seed)
    tau = 1e-4 / (1 - betas(rng, 4))
    graph = net(lif(tau, tau / 1e-4))
    with caplog.at_level(logging.WARNING):
        doubt(graph, Contract(1e-4))
        assert not caplog.text
        doubt(graph, Contract(float(rng.choice([1e-5, 5e-5, 1e-3]))))
    assert "snnTorch 1.0.0" in caplog.text and "--dt 0.0001" in caplog.text


@pytest.mark.parametrize("seed", SEEDS)
def test_decays_that_are_all_near_0_or_1_are_warned_of(seed, caplog):
    rng = np.random.default_rng(seed)
    tau = rng.uniform(5e-3, 5e-2, 6)
    for dt, said in ((1e-3, ""), (4.9e-3, ""), (4.9e-6, "keeps its membrane"), (0.1, "forgets its membrane")):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            doubt(net(lif(tau)), Contract(dt))
        assert (said in caplog.text) if said else not caplog.text
    caplog.clear()
    doubt(net(lif(tau), metadata={"dt": 0.1}), Contract(0.1))  # stated by who wrote it
    assert not caplog.text
