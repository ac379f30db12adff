"""Whatever time constants, rates and lengths: fixed keeps to float, or a warning says why it does not.

u has 24 bits and wraps, v has 24 bits and saturates; conversion sees generated spikes of another rate and
length than the run.
"""

from __future__ import annotations

from collections import Counter

import nir
import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from snn_deploy.deploy.overflows import violations
from snn_deploy.errors import ModelNotSupported

#: Spikes of the whole layer by which rounding may move a count error that few spikes give.
FEW = 3
#: A membrane that should not move may be off by this much of the largest weight.
STILL = 0.02


def drawn(seed: int) -> tuple[nir.NIRGraph, np.ndarray, bool]:
    """A layer with time constants from one step to 10 s, its input, and whether it is a read-out."""
    rng = np.random.default_rng(seed)
    dt, neurons, inputs = 1e-3, int(rng.integers(4, 24)), int(rng.integers(3, 24))
    constants = np.minimum(dt * 10.0 ** rng.uniform(0, 4, 2), 8.0)  # tau_syn beyond 8192 dt is refused
    tau_syn, tau_mem = constants[0], 10.0 if rng.random() < 0.1 else constants[1]
    read = bool(rng.random() < 0.3)
    steps = int(10 ** rng.uniform(1.3, np.log10(5000)))
    rate = float(rng.choice([0.0, rng.uniform(0, 0.1), rng.uniform(0, 1), 1.0], p=[0.05, 0.4, 0.45, 0.1]))
    spikes = (rng.random((2, steps, inputs)) < rate).astype(np.uint8)
    sign = rng.uniform(-1, 1)
    weight = rng.normal(sign, 1.0, (neurons, inputs)) / np.sqrt(inputs)
    # the drive that a rate of 10 % settles at is of the order of the threshold, over ten fold both ways
    ones, unit = np.ones(neurons), 10.0 ** rng.uniform(-1, 1) / 0.1
    fields = {"r": unit * ones, "v_leak": 0 * ones}
    spiking = {} if read else {"v_threshold": ones, "v_reset": 0 * ones}
    if rng.random() < 0.5:
        kind = nir.CubaLI if read else nir.CubaLIF
        node = kind(tau_syn=tau_syn * ones, tau_mem=tau_mem * ones, w_in=ones, **fields, **spiking)
    else:
        node = (nir.LI if read else nir.LIF)(tau=tau_mem * ones, **fields, **spiking)
    graph = nir.NIRGraph(
        {
            "in": nir.Input(np.array([inputs])),
            "w": nir.Linear(weight),
            "n": node,
            "out": nir.Output(np.array([neurons])),
        },
        [("in", "w"), ("w", "n"), ("n", "out")],
        metadata={"dt": dt, "reset": "zero"},
    )
    return graph, spikes, read


def judge(seed: int) -> tuple[str, float]:
    """How a drawn network fared: "equal", "warned ..." or "silent", and its error."""
    graph, spikes, read = drawn(seed)
    artifact = convert_graph(graph, Options(seed=seed))
    exact, integer = (backends.get(name).run(artifact, {"in": spikes}) for name in ("float", "fixed"))
    if read:
        wanted, found = exact.membranes["out"], integer.membranes["out"]
        error = float(
            np.abs(wanted - found).mean() / max(np.abs(wanted).mean(), STILL * largest_step(artifact))
        )
        allowed = 0.05
    else:
        wanted, found = exact.counts["out"].astype(float), integer.counts["out"].astype(float)
        error = float(np.abs(wanted - found).mean() / max(wanted.mean(), FEW / wanted.size))
        reported = max(artifact.network.report["gate"]["count_errors"].values())
        allowed = 0.05 + 2 * reported + FEW / max(wanted.sum(), 1)
    if error <= allowed:
        return "equal", error
    said = [*artifact.network.report["warnings"], *map(str, violations(integer))]
    for word in ("wrap", "saturate", "decay", "gate"):
        if any(word in line for line in said):
            return f"warned of {word}", error
    return "silent", error


def largest_step(artifact: Artifact) -> float:
    """What the largest weight moves a read-out by, in the model's units."""
    return max(float(p.gap.max()) for p in artifact.discrete.populations)


def outcomes(seeds: range) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in seeds:
        try:
            found[judge(seed)[0]] += 1
        except ModelNotSupported as error:
            assert "would overflow" in str(error), (seed, error)
            found["refused"] += 1
    return found


def test_fixed_keeps_to_float_or_says_why_not():
    found = outcomes(range(14))
    assert found["silent"] == 0, found
    assert found["equal"] >= 9 and found["warned of saturate"] + found["warned of wrap"] >= 1, found


@pytest.mark.slow
def test_fixed_keeps_to_float_or_says_why_not_many():
    found = outcomes(range(14, 500))
    assert found["silent"] == 0, found
    assert found["equal"] >= 300 and found["refused"] < 60, found
