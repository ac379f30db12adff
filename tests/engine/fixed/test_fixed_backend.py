"""FixedEngine: batches, threads, memory, interrupts, read-outs, kernels and their choice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.deploy import backends
from snn_deploy.deploy.backends.fixed import FixedBackend
from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.kernels import library
from snn_deploy.engine.result import RunInterrupted
from snn_deploy.errors import BackendUnavailable, UsageError
from snn_deploy.network.integers import UNREACHABLE_VTH
from snn_deploy.network.quantised import QuantisedNetwork
from tests import quantised_nets as nets

KERNELS = kernel.names()


def network() -> QuantisedNetwork:
    """Two hidden populations of one node, and a read-out that never spikes beside one that does."""
    rng = np.random.default_rng(11)
    index = rng.permutation(40)

    def population(name: str, neurons: int, **changes: Any) -> Any:
        calm = {"du": 500, "dv": 200, "vth": 900, "bias_mant": rng.integers(-90, 99, neurons)}
        fixed = {
            "bias_exp": np.zeros(neurons, dtype=np.int64),
            "u0": np.arange(neurons),
            "v0": np.arange(neurons),
        }
        return nets.population(name, neurons, rng, **{**calm, **fixed, **changes})

    populations = [
        population("hidden#0", 25, node="hidden", index=index[:25]),
        population("hidden#1", 15, node="hidden", index=index[25:], du=3000),
        population("out", 7),
        population("read", 5, spiking=False, vth=UNREACHABLE_VTH),
    ]
    edges = [
        nets.projection("x", "hidden#0", nets.dense(25, 30, rng)),
        nets.projection("x", "hidden#1", nets.dense(15, 30, rng), delay=3),
        nets.projection("hidden#0", "out", nets.dense(7, 25, rng)),
        nets.projection("out", "out", nets.dense(7, 7, rng), delay=1),
        nets.projection("hidden#1", "read", nets.dense(5, 15, rng)),
    ]
    return nets.network({"x": (5, 6)}, populations, edges, ("hidden", "out", "read"))


NETWORK = network()
INPUTS = {"x": nets.spikes(37, 20, 30, np.random.default_rng(12))}
FIRED, VOLTAGE = nets.reference(NETWORK, INPUTS)


def _hidden() -> Any:
    whole = np.empty((37, 20, 40), dtype=np.uint8)
    for p in NETWORK.populations[:2]:
        whole[..., p.index] = FIRED[p.name]
    return whole


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("batch", "threads"), [(None, None), (1, 2), (5, 3), (100, 1), (36, 1)])
def test_batches_and_threads_do_not_matter(name: str, batch: int | None, threads: int | None) -> None:
    seen: list[int] = []
    result = FixedEngine(name, threads).run(
        NETWORK, INPUTS, record=("hidden", "out", "x"), batch=batch, progress=seen.append
    )
    assert (result.backend, result.samples, result.steps) == ("fixed", 37, 20)
    assert result.notes["kernel"] == name
    np.testing.assert_array_equal(result.spikes["hidden"], _hidden())
    np.testing.assert_array_equal(result.spikes["out"], FIRED["out"])
    np.testing.assert_array_equal(result.spikes["x"], INPUTS["x"])
    np.testing.assert_array_equal(result.counts["hidden"], _hidden().sum(axis=1))
    np.testing.assert_array_equal(result.counts["out"], FIRED["out"].sum(axis=1))
    np.testing.assert_array_equal(result.membranes["read"], VOLTAGE["read"])
    assert list(result.membranes) == ["read"]
    assert seen == sorted(seen) and seen[-1] == 37
    counted = nets.activity(NETWORK, {**INPUTS, **FIRED})
    for key in ("spikes", "synops", "synops_stored", "input_events", "neuron_updates"):
        parts = counted["hidden#0"][key] + counted["hidden#1"][key]
        assert {x.name: getattr(x, key) for x in result.layers} == {
            "hidden": parts,
            "out": counted["out"][key],
            "read": counted["read"][key],
        }


def test_the_networks_runs_are_not_trivial() -> None:
    for name in ("hidden#0", "hidden#1", "out"):
        assert 0.02 < FIRED[name].mean() < 0.9
    assert not FIRED["read"].any() and len(np.unique(VOLTAGE["read"])) > 100


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_keeps_what_was_finished(threads: int) -> None:
    def stop(finished: int) -> None:
        if finished >= 15:
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted) as interrupted:
        FixedEngine(threads=threads).run(NETWORK, INPUTS, batch=5, progress=stop)
    kept = interrupted.value.finished
    assert kept is not None and kept.samples == 15
    np.testing.assert_array_equal(kept.counts["out"], FIRED["out"][:15].sum(axis=1))
    first = {name: array[:15] for name, array in {**INPUTS, **FIRED}.items()}
    assert kept.total_spikes == sum(int(first[p.name].sum()) for p in NETWORK.populations)


def test_results_that_need_more_memory_than_allowed_are_refused() -> None:
    engine = FixedEngine(max_memory=1000)
    with pytest.raises(UsageError, match="--max-memory"):
        engine.run(NETWORK, INPUTS, record=("out",))


def test_the_fastest_kernel_that_can_run_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernel.VARIABLE, raising=False)
    assert kernel.choose().name == KERNELS[-1]
    monkeypatch.setenv(kernel.VARIABLE, "numpy")
    assert kernel.choose().name == "numpy"
    assert kernel.VARIABLE in kernel.choose().reason
    assert kernel.choose(KERNELS[-1]).name == KERNELS[-1]
    monkeypatch.setenv(kernel.VARIABLE, "cuda")
    with pytest.raises(UsageError, match="unknown kernel"):
        kernel.choose()


def test_without_a_compiler_numpy_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernel.VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "snn_deploy.engine.kernels._engine", None)
    library.library.cache_clear()
    try:
        assert kernel.names() == ("numpy",)
        assert (
            backends.get("fixed").availability().reason
            == "numpy kernel: the package was built without a C compiler"
        )
        result = FixedEngine().run(NETWORK, INPUTS)
        np.testing.assert_array_equal(result.counts["out"], FIRED["out"].sum(axis=1))
        with pytest.raises(BackendUnavailable, match="without a C compiler"):
            kernel.choose("avx512")
    finally:
        library.library.cache_clear()


def test_timing_is_an_option_of_fixed_alone() -> None:
    assert backends.get("fixed", timing="pipelined", gap=3) == FixedBackend(timing="pipelined", gap=3)
    for options in ({"timing": "lava"}, {"gap": 3}, {"lif_reset": True}, {"timing": "pipelined", "gap": -1}):
        with pytest.raises(UsageError):
            backends.get("fixed", **options)
    with pytest.raises(UsageError, match="no such option"):
        backends.get("float", timing="pipelined")


def test_options_reach_the_backend_that_has_them() -> None:
    assert backends.get("fixed", kernel="numpy", threads=None) == FixedBackend("numpy")
    with pytest.raises(UsageError, match="no such option"):
        backends.get("float", kernel="numpy")


@pytest.mark.skipif(len(KERNELS) == 1, reason="no compiled kernel here")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's peak so")
def test_many_samples_fit_into_a_gibibyte(root: Path) -> None:
    """10,000 samples x 60 steps x 896 neurons without rasters; the input alone takes 147 MiB."""
    code = """
import re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from tests import quantised_nets as nets
from snn_deploy.engine.fixed.engine import FixedEngine
rng = np.random.default_rng(0)
names, sizes = ["a", "b", "c"], [256, 256, 128, 512]
pops = [nets.population(n, k, rng, du=800, dv=400, vth=5000, bias_exp=np.zeros(k, dtype=np.int64))
        for n, k in zip(names, sizes[1:])]
edges = [nets.projection(s, t, nets.dense(n, m, rng))
         for s, t, m, n in zip(["x", *names], names, sizes, sizes[1:])]
x = np.zeros((10_000, 60, 256), dtype=np.uint8)
x[:, ::7, ::3] = 1
result = FixedEngine().run(nets.network({"x": (256,)}, pops, edges), {"x": x})
assert result.total_spikes > 0
# getrusage would tell the peak of the process that started this one, where that was larger
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, timeout=120, check=True
    )
    assert int(done.stdout) < 1024
