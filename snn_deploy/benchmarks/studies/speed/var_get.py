"""What a Lava user does without this package: a stock stream, read by Var.get."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.lava.graph import Process, Wire, process_graph
from snn_deploy.deploy.lava.guard import Limits, run_guarded
from snn_deploy.deploy.lava.interpreter import find_interpreter
from snn_deploy.deploy.lava.job import job_folder, lay_out, take_apart, write_job
from snn_deploy.deploy.lava.plan import Plan, make_plan
from snn_deploy.errors import BackendUnavailable
from snn_deploy.network.quantised import QuantisedNetwork


def stream_by_var_get(
    network: QuantisedNetwork, inputs: Mapping[str, NDArray[np.uint8]], limits: Limits
) -> tuple[dict[str, NDArray[np.uint8]], float]:
    """Stream all samples and read the outputs' spikes from Lava's RingBuffer sinks by Var.get.

    Returns (population -> (samples, steps, neurons) for the populations of outputs, seconds from start to
    stop). Raises UsageError where streaming is not exact and BackendUnavailable as a run does.
    """
    interpreter = find_interpreter()
    if interpreter.problem:
        raise BackendUnavailable(interpreter.problem, where=interpreter.path, remedy=interpreter.remedy)
    samples, steps = next(iter(inputs.values())).shape[:2]
    plan = make_plan(network, samples, steps, "stream")
    started = time.perf_counter()
    with job_folder() as folder:
        laid = {f"source {name}": lay_out(raster, plan) for name, raster in inputs.items()}
        files = write_job(folder, process_graph(network, plan, _ring_buffers), plan, laid)
        run_guarded(interpreter, folder, limits)
        rasters = {name: take_apart(np.load(file), plan)[:samples] for (name, _), file in files.items()}
    return rasters, time.perf_counter() - started


def _ring_buffers(
    network: QuantisedNetwork,
    plan: Plan,
    processes: list[Process],
    wires: list[Wire],
    sizes: Mapping[str, int],
) -> None:
    """Add one of Lava's RingBuffer sinks for each population of an output."""
    outputs = {output.node for output in network.outputs}
    for population in (one for one in network.populations if one.node in outputs):
        name = f"buffer {population.name}"
        size, latency = sizes[population.name], plan.depth[population.name]
        scalars = {"neurons": [size], "latencies": [latency], "buffer": plan.lava_steps}
        processes.append(Process(name, "RingBuffer", scalars))
        wires.append(Wire((population.name, "s_out"), (name, "a_in")))
