"""The engine against stock Lava 0.10.0 fixed_pt itself: every spike and every v, on random networks.

hypothesis draws the networks (tests/random_networks.py) from fixed seeds. Both timings: ``network``
through the Lava backend, and ``pipelined`` against Lava's raw time line. The default sample covers at
least 10^7 neuron-steps, the slow one 10^8, and each shows which features carried spikes in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from lava_sample import Coverage, affordable, timeline

from snn_deploy.deploy.lava.graph import process_graph
from snn_deploy.deploy.lava.guard import Limits
from snn_deploy.deploy.lava.interpreter import find_interpreter
from snn_deploy.deploy.lava.plan import Strategy, make_plan
from snn_deploy.deploy.lava.run import run_network
from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.pipelined import lava_network, lif_resets, stream
from snn_deploy.engine.fixed.prepared import Reset
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.network.schedule import depths
from tests import quantised_nets as nets
from tests.random_networks import Description, build, networks, rates, signals

pytestmark = pytest.mark.skipif(bool(find_interpreter().problem), reason=find_interpreter().problem or "lava")

#: Runs of any sample, however much the first ones show.
LEAST_RUNS = 10
#: Steps of one sample that the equations are run over as well, to count what happened inside.
REFERENCE_STEPS = 150


@dataclass(frozen=True)
class NetworkRun:
    """A run in the network's own time. copies: samples side by side in Lava."""

    network: Description
    rate: float
    strategy: Strategy
    copies: int


@dataclass(frozen=True)
class PipelinedRun:
    """A run on Lava's time line: ``samples`` in succession, ``gap`` silent steps between them.

    resets: no LIFReset, one when each sample arrives, or one at any interval and offset a population.
    """

    network: Description
    rate: float
    copies: int
    samples: int
    gap: int
    resets: Literal["none", "aligned", "own"]


@st.composite
def network_runs(draw: st.DrawFn) -> NetworkRun:
    strategy: Strategy = draw(st.sampled_from(["block", "block", "stream", "auto"]))
    copies = draw(st.sampled_from([256, 1, 32, 256]))
    return NetworkRun(draw(networks(streamable=strategy != "block")), draw(rates()), strategy, copies)


@st.composite
def pipelined_runs(draw: st.DrawFn) -> PipelinedRun:
    return PipelinedRun(
        draw(networks()),
        draw(rates()),
        copies=draw(st.sampled_from([256, 1, 8, 256])),
        samples=draw(st.integers(1, 4)),
        gap=draw(st.integers(0, 3)),
        resets=draw(st.sampled_from(["none", "aligned", "own"])),
    )


def check_network(run: NetworkRun, coverage: Coverage, seconds: float) -> None:
    """All kernels give Lava's spikes, and its v of read-outs, in the network's own time."""
    net = build(run.network)
    strategy, groups = run.strategy, 1 if run.strategy == "block" else 3
    copies, steps = affordable(net, 1 if strategy == "stream" else run.copies, seconds)
    inputs = signals(run.network, copies * groups, steps // groups, run.rate)
    record = [p.name for p in net.populations]
    batch = None if strategy == "stream" else copies
    theirs = run_network("lava", net, inputs, record=record, limits=Limits(), strategy=strategy, batch=batch)
    read = [p.name for p in net.populations if not p.spiking]
    for name in kernel.names():
        ours = kernel.prepare(net, name).run(inputs, rasters=record, membranes=read)
        for p in record:
            _same(f"{name}: spikes of {p}", ours.rasters[p], theirs.spikes[p])
        for p in read:
            _same(f"{name}: v of {p}", ours.membranes[p], theirs.membranes[p])
    few = {name: raster[:1, :REFERENCE_STEPS] for name, raster in inputs.items()}
    events: Counter[str] = Counter()
    fired, _ = nets.reference(net, few, events=events)
    for p in record:
        _same(f"equations: spikes of {p}", fired[p], theirs.spikes[p][:1, :REFERENCE_STEPS])
    events.update({f"strategy {theirs.notes['strategy']}": 1, "read-out": len(read)})
    plan = make_plan(net, copies * groups, steps // groups, strategy, batch)
    coverage.add(net, inputs, theirs.spikes, process_graph(net, plan), events)


def check_pipelined(run: PipelinedRun, coverage: Coverage, seconds: float) -> None:
    """All kernels give Lava's spikes and v at every Lava step, from its first."""
    net = build(run.network)
    copies, steps = affordable(net, run.copies, seconds)
    steps = max(10, steps // run.samples)
    inputs = signals(run.network, copies * run.samples, steps, run.rate)
    resets = _resets(run, net, steps + run.gap)
    rows = {name: _in_succession(net, raster, run, copies) for name, raster in inputs.items()}
    spikes, voltages, graph = timeline(net, rows, resets)
    timed = {name: (reset.interval, reset.offset) for name, reset in resets.items()}
    for name in kernel.names():
        for copy in range(min(copies, 2)):
            own = slice(copy * run.samples, (copy + 1) * run.samples)
            given_one = {key: raster[own] for key, raster in inputs.items()}
            ours = stream(net, given_one, gap=run.gap, resets=resets, kernel_name=name)
            for p in spikes:
                _same(f"{name}: spikes of {p}", ours.spikes[p], spikes[p][copy])
                _same(f"{name}: v of {p}", ours.membranes[p], voltages[p][copy])
        chunk = kernel.prepare(lava_network(net), name, resets).run(rows, rasters=list(spikes))
        for p in spikes:
            _same(f"{name}: spikes of {p}, all copies", chunk.rasters[p], spikes[p])
    few = {name: raster[:1, :REFERENCE_STEPS] for name, raster in rows.items()}
    events: Counter[str] = Counter()
    fired, membranes = nets.reference(lava_network(net), few, timed, events)
    for p in spikes:
        _same(f"equations: spikes of {p}", fired[p], spikes[p][:1, :REFERENCE_STEPS])
        _same(f"equations: v of {p}", membranes[p], voltages[p][:1, :REFERENCE_STEPS])
    events.update({f"resets {run.resets}": 1, "several samples": run.samples > 1})
    coverage.add(net, rows, spikes, graph, events)


def _resets(run: PipelinedRun, net: QuantisedNetwork, interval: int) -> Mapping[str, Reset]:
    if run.resets == "aligned":
        return lif_resets(net, interval)
    if run.resets == "none":
        return {}
    rng = np.random.default_rng(run.network.seed + 2)
    return {p.name: Reset(int(rng.integers(1, 40)), int(rng.integers(0, 80))) for p in net.populations}


def _in_succession(net: QuantisedNetwork, raster: Any, run: PipelinedRun, copies: int) -> Any:
    """(copies x samples, steps, neurons) -> (copies, Lava steps, neurons)."""
    _, steps, neurons = raster.shape
    spaced = np.zeros((copies, run.samples, steps + run.gap, neurons), dtype=raster.dtype)
    spaced[:, :, :steps] = raster.reshape(copies, run.samples, steps, neurons)
    rows = spaced.reshape(copies, -1, neurons)[:, : run.samples * (steps + run.gap) - run.gap]
    return np.pad(rows, ((0, 0), (0, max(depths(net).values())), (0, 0)))


def _same(what: str, ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    differ = np.argwhere(ours != theirs)
    assert not differ.size, f"{what} differ first at {differ[0].tolist()}, {len(differ)} in all"


def sample(
    timing: Literal["network", "pipelined"], neuron_steps: int, most: int, seconds: float, exponents: int
) -> list[str]:
    """Compare random networks, each run for about that long on Lava, until the sample says enough.

    What hypothesis draws changes with the constants in all modules that the process has loaded, hence no
    fixed number of runs, and a ``most`` well above what a sample needs.
    Returns what the sample still lacks after ``most`` runs.
    """
    coverage, seen, failures = Coverage(), set(), []
    strategy: Any = {"network": network_runs, "pipelined": pipelined_runs}[timing]()
    check: Any = {"network": check_network, "pipelined": check_pipelined}[timing]

    def lacking() -> list[str]:
        return _lacking(coverage, neuron_steps, FEATURES | TIMINGS[timing], exponents)

    @settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(run=strategy)
    def compare(run: Any) -> None:
        if len(coverage.fractions) >= LEAST_RUNS and not lacking():
            return
        # hypothesis likes to vary an example a little: every run of Lava shall be of another network,
        # until one fails, which hypothesis runs again and makes smaller
        shapes = tuple(layer.shape for layer in run.network.layers)
        assume(failures or (shapes not in seen and sum(int(np.prod(shape)) for shape in shapes) >= 30))
        failures.append(shapes)
        check(run, coverage, seconds)
        failures.pop()
        seen.add(shapes)

    compare()
    return lacking()


#: What every sample must have shown, in spikes that passed through it.
FEATURES = {
    *(
        "Dense",
        "Sparse",
        "Conv2d",
        "grouped Conv2d",
        "recurrent",
        "feedback",
        "delay",
        "delay of more than 8",
    ),
    *("mixed", "excitatory", "inhibitory", "no weight", "some weights", "every weight", "graded", "planes"),
    *("several projections into one population", "initial state", "no initial state"),
    *("bias exponent > 0", "bias exponent < 0", "du -1", "du 4095", "dv 0", "dv 4096"),
    *("u wraps up", "u wraps down", "v clips above", "v clips below"),
    *(
        f"Lava's {kind}"
        for kind in (
            "LIF",
            "LIFReset",
            "SubtractiveLIF",
            "Dense",
            "Sparse",
            "DelayDense",
            "DelaySparse",
            "Conv",
        )
    ),
}
TIMINGS: dict[str, set[str]] = {
    "network": {"read-out", *(f"strategy {name}" for name in ("block", "stream", "stream of blocks"))},
    "pipelined": {"several samples", *(f"resets {name}" for name in ("none", "aligned", "own"))},
}
EVERY = {f"weight exponent {e}" for e in range(-7, 8)} | {f"{bits} bits" for bits in range(1, 9)}


def _lacking(coverage: Coverage, neuron_steps: int, features: set[str], exponents: int) -> list[str]:
    """What keeps the sample from being large, broad, and of networks neither dead nor alike."""
    fractions = coverage.fractions
    found = sorted(features - set(coverage.features))
    if coverage.neuron_steps < neuron_steps:
        found.append(f"{coverage.neuron_steps} neuron-steps")
    if len(EVERY & set(coverage.features)) < exponents:
        found.append(f"exponents and bits: {sorted(EVERY - set(coverage.features))}")
    if sum(0.005 < fraction < 0.95 for fraction in fractions) < len(fractions) / 2:
        found.append("lively networks")
    if len({round(fraction, 3) for fraction in fractions}) < len(fractions) / 2:
        found.append("networks that differ")
    return found


@pytest.mark.parametrize("timing", TIMINGS)
def test_ten_million_neuron_steps(timing: Any) -> None:
    assert not sample(timing, 10**7, most=150, seconds=0.5, exponents=15)


@pytest.mark.slow
@pytest.mark.parametrize("timing", TIMINGS)
def test_a_hundred_million_neuron_steps(timing: Any) -> None:
    assert not sample(timing, 10**8, most=400, seconds=2.0, exponents=len(EVERY))
