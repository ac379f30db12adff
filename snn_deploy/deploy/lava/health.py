"""Whether Lava works here: what ``snn-deploy doctor`` tells."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass

import numpy as np

from snn_deploy.deploy.lava import processes
from snn_deploy.deploy.lava.guard import Limits
from snn_deploy.deploy.lava.interpreter import VARIABLE, find_interpreter
from snn_deploy.deploy.lava.run import run_network
from snn_deploy.errors import SnnDeployError
from snn_deploy.network.connections import Dense
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

#: Spikes of the two neurons of :func:`two_neurons` in eight steps of constant input, worked out by hand:
#: the first gains 128 a step and fires above 128; the second gains 150 - 128 = 22 a step.
EXPECTED = ((0, 1, 0, 1, 0, 1, 0, 1), (0, 0, 0, 0, 0, 1, 0, 0))


@dataclass(frozen=True)
class LavaHealth:
    """What was found.

    interpreter, versions: the Python that runs Lava and what it holds. chosen_by: what named it.
    works: the two-neuron run gave the expected spikes. problem, remedy: why not, and what to do.
    seconds: of that run, start included. shared_memory_free: bytes. leftovers: shared memory and folders
    of killed runs, which the next run removes.
    """

    interpreter: str
    chosen_by: str
    versions: dict[str, str]
    works: bool
    problem: str
    remedy: str
    seconds: float
    shared_memory_free: int
    leftovers: tuple[str, ...]


def explain() -> LavaHealth:
    """Look for Lava and try it, in about two seconds."""
    import os

    interpreter = find_interpreter()
    leftovers = tuple(str(path) for path in (*processes.stale_segments(), *processes.stale_folders()))
    free = shutil.disk_usage(processes.SHARED_MEMORY).free
    problem, remedy, seconds = interpreter.problem, interpreter.remedy, 0.0
    if not problem:
        started = time.perf_counter()
        problem, remedy = _try()
        seconds = time.perf_counter() - started
    return LavaHealth(
        interpreter=interpreter.path,
        chosen_by=VARIABLE if os.environ.get(VARIABLE) else "this Python",
        versions=interpreter.versions,
        works=not problem,
        problem=problem,
        remedy=remedy,
        seconds=seconds,
        shared_memory_free=free,
        leftovers=leftovers,
    )


def _try() -> tuple[str, str]:
    """Run the two neurons; return (problem, remedy), empty where all is well."""
    ones = {"input": np.ones((1, len(EXPECTED[0]), 1), dtype=np.uint8)}
    limits = Limits(seconds=60, stall_seconds=30)
    try:
        result = run_network(
            "lava", two_neurons(), ones, record=("neurons",), limits=limits, strategy="block"
        )
    except SnnDeployError as error:
        return str(error), "Run 'snn-deploy --debug doctor' for the child's own traceback."
    found = result.spikes["neurons"][0].T
    if not np.array_equal(found, EXPECTED):
        return f"two neurons spiked {found.tolist()}, expected {EXPECTED}", "Reinstall lava-nc==0.10.0."
    return "", ""


def two_neurons() -> QuantisedNetwork:
    """One input line to two neurons without leak: weight 2, and weight -2 with bias 150; threshold 2."""
    zeros = np.zeros(2, dtype=np.int64)
    neurons = QuantisedPopulation(
        name="neurons",
        node="neurons",
        index=np.arange(2),
        du=4095,
        dv=0,
        vth=2,
        bias_mant=np.array([0, 150]),
        bias_exp=zeros,
        u0=zeros,
        v0=zeros,
    )
    weights = QuantisedProjection(
        name="weights",
        source="input",
        target="neurons",
        connection=Dense(np.array([[2], [-2]])),
        weight_exp=0,
        weight_bits=8,
        sign="mixed",
        delay=0,
    )
    return QuantisedNetwork(
        contract=Contract(dt=1e-3),
        profile="none",
        inputs=(Input("input", (1,)),),
        populations=(neurons,),
        projections=(weights,),
        outputs=(Output("output", "neurons"),),
        nodes={"neurons": (2,)},
    )
