"""One QuantisedNetwork through guarded Lava runs: lay out, write, run, read, gather."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy import __version__
from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.backends.base import InputSpikes, Progress
from snn_deploy.deploy.backends.chunked import Gather
from snn_deploy.deploy.backends.lava.graph import ProcessGraph, process_graph
from snn_deploy.deploy.backends.lava.guard import Limits, run_guarded
from snn_deploy.deploy.backends.lava.interpreter import find_interpreter
from snn_deploy.deploy.backends.lava.job import Target, job_folder, lay_out, take_apart, write_job
from snn_deploy.deploy.backends.lava.plan import Plan, Strategy, make_plan
from snn_deploy.deploy.result import ActivityCounter, RunResult
from snn_deploy.deploy.spikes import checked_inputs
from snn_deploy.errors import BackendUnavailable

_RUN_CONFIGS: dict[Target, str] = {
    "simulator": "Loihi2SimCfg(select_tag='fixed_pt')",
    "loihi2": "BoardConfiguration(Loihi2HwCfg)",
}


def run_network(
    backend: str,
    network: QuantisedNetwork,
    inputs: InputSpikes,
    *,
    record: Collection[str] = (),
    batch: int | None = None,
    progress: Progress | None = None,
    limits: Limits,
    strategy: Strategy,
    target: Target = "simulator",
) -> RunResult:
    """Run all samples; ``backend`` is the name that the result carries, ``target`` what runs the graph.

    Raises BackendUnavailable when Lava is not there, does not answer or fails.
    """
    interpreter = find_interpreter()
    if interpreter.problem:
        raise BackendUnavailable(
            interpreter.problem, where=interpreter.path or f"backend {backend}", remedy=interpreter.remedy
        )
    started = time.perf_counter()
    spikes, samples, steps = checked_inputs(network, inputs)
    plan = make_plan(network, samples, steps, strategy, batch)
    graph = process_graph(network, plan)
    counter, gather = ActivityCounter(network), Gather(network, record)
    seconds = {"run": 0.0, "compile": 0.0}
    versions: dict[str, str] = {}
    per_run = plan.chunks * plan.copies
    for first in range(0, samples, per_run):
        rasters = {name: raster[first : first + per_run] for name, raster in spikes.items()}
        share = _sample_progress(progress, plan, first, min(per_run, samples - first))
        with job_folder() as folder:
            laid = {f"source {name}": lay_out(raster, plan) for name, raster in rasters.items()}
            files = write_job(folder, graph, plan, laid, target)
            answer = run_guarded(interpreter, folder, limits, share)
            rasters |= _recorded(network, files, plan, min(per_run, samples - first))
        for name, raster in rasters.items():
            counter.add(name, raster)
        gather.add(rasters)
        seconds = {key: value + answer["seconds"][key] for key, value in seconds.items()}
        versions = answer["versions"]
    if progress is not None:
        progress(samples)
    return RunResult(
        backend=backend,
        samples=samples,
        steps=steps,
        counts=gather.counts(),
        spikes=gather.spikes(),
        layers=counter.layers(),
        seconds=MappingProxyType({**seconds, "total": time.perf_counter() - started}),
        versions=MappingProxyType({"snn-deploy": __version__, **versions}),
        notes=MappingProxyType(_notes(plan, graph, target)),
    )


def _recorded(
    network: QuantisedNetwork, files: list[Path], plan: Plan, samples: int
) -> dict[str, NDArray[np.uint8]]:
    """The rasters of all populations of one Lava run, uint8 (samples, steps, neurons)."""
    return {
        population.name: take_apart(np.load(file, mmap_mode="r", allow_pickle=False), plan)[:samples]
        for population, file in zip(network.populations, files, strict=True)
    }


def _sample_progress(
    progress: Progress | None, plan: Plan, first: int, taken: int
) -> Callable[[int], None] | None:
    """Translate finished Lava steps into finished samples."""
    if progress is None:
        return None
    latency = max(plan.depth.values())
    told = 0

    def beat(step: int) -> None:
        nonlocal told
        finished = min(taken, max(0, (step - latency - plan.steps) // plan.interval + 1) * plan.copies)
        if finished > told:
            told = finished
            progress(first + finished)

    return beat


def _notes(plan: Plan, graph: ProcessGraph, target: Target) -> dict[str, Any]:
    return {
        "run_config": _RUN_CONFIGS[target],
        "strategy": plan.strategy,
        "copies": plan.copies,
        "groups_per_run": plan.chunks,
        "lava_runs": plan.runs,
        "lava_steps": plan.lava_steps,
        "lava_processes": len(graph.processes),
        "switched_on": [process.name for process in graph.processes if process.switch],
    }
