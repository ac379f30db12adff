"""One QuantisedNetwork through guarded Lava runs: lay out, write, run, read, gather."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from snn_deploy import __version__
from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.backends.base import InputSpikes, Progress
from snn_deploy.deploy.backends.chunked import Gather
from snn_deploy.deploy.backends.lava.graph import ProcessGraph, process_graph
from snn_deploy.deploy.backends.lava.guard import Limits, run_guarded
from snn_deploy.deploy.backends.lava.interpreter import Interpreter, find_interpreter
from snn_deploy.deploy.backends.lava.job import job_folder, lay_out, take_apart, write_job
from snn_deploy.deploy.backends.lava.parts import connected_parts
from snn_deploy.deploy.backends.lava.plan import Plan, Strategy, make_plan
from snn_deploy.deploy.backends.stepping import Spikes
from snn_deploy.deploy.result import ActivityCounter, RunResult
from snn_deploy.deploy.spikes import checked_inputs
from snn_deploy.errors import BackendUnavailable


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
) -> RunResult:
    """Run all samples; ``backend`` is the name that the result carries.

    Raises BackendUnavailable when Lava is not there, does not answer or fails.
    """
    interpreter = find_interpreter()
    if interpreter.problem:
        raise BackendUnavailable(
            interpreter.problem, where=interpreter.path or f"backend {backend}", remedy=interpreter.remedy
        )
    started = time.perf_counter()
    spikes, samples, steps = checked_inputs(network, inputs)
    counter, gather = ActivityCounter(network), Gather(network, record)
    rasters: dict[str, Spikes] = dict(spikes)
    seconds = {"run": 0.0, "compile": 0.0}
    versions: dict[str, str] = {}
    notes: list[dict[str, Any]] = []
    parts = connected_parts(network)
    for position, part in enumerate(parts):
        plan = make_plan(part, samples, steps, strategy, batch)
        graph = process_graph(part, plan)
        share = _share(progress, position, len(parts), samples)
        for answer in _run_part(interpreter, part, graph, plan, spikes, limits=limits, progress=share):
            seconds = {key: value + answer["seconds"][key] for key, value in seconds.items()}
            versions = answer["versions"]
            for name, raster in answer["rasters"].items():
                rasters[name] = np.concatenate([rasters[name], raster]) if name in rasters else raster
        notes.append(_notes(plan, graph))
    for name, raster in rasters.items():
        counter.add(name, raster)
    gather.add(rasters)
    if progress is not None:
        progress(samples)
    seconds["total"] = time.perf_counter() - started
    return RunResult(
        backend=backend,
        samples=samples,
        steps=steps,
        counts=gather.counts(),
        spikes=gather.spikes(),
        layers=counter.layers(),
        seconds=MappingProxyType(seconds),
        versions=MappingProxyType({"snn-deploy": __version__, **versions}),
        notes=MappingProxyType(notes[0] if len(notes) == 1 else {"parts": notes}),
    )


def _run_part(
    interpreter: Interpreter,
    network: QuantisedNetwork,
    graph: ProcessGraph,
    plan: Plan,
    spikes: Mapping[str, Spikes],
    *,
    limits: Limits,
    progress: Progress | None,
) -> Iterator[dict[str, Any]]:
    """Run one connected part; yields each Lava run's seconds, versions and rasters by population."""
    samples = len(next(iter(spikes.values())))
    per_run = plan.chunks * plan.copies
    for first in range(0, samples, per_run):
        taken = min(per_run, samples - first)
        with job_folder() as folder:
            laid = {
                f"source {node.name}": lay_out(spikes[node.name][first : first + per_run], plan)
                for node in network.inputs
            }
            files = write_job(folder, graph, plan, laid)
            answer = run_guarded(interpreter, folder, limits, _sample_progress(progress, plan, first, taken))
            answer["rasters"] = {
                population.name: take_apart(
                    np.load(files[f"sink {population.name}"], mmap_mode="r", allow_pickle=False), plan
                )[:taken]
                for population in network.populations
            }
        yield answer


def _share(progress: Progress | None, position: int, parts: int, samples: int) -> Progress | None:
    """Progress of one of several parts, each of which runs all samples."""
    if progress is None:
        return None
    return lambda done: progress((position * samples + done) // parts)


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


def _notes(plan: Plan, graph: ProcessGraph) -> dict[str, Any]:
    return {
        "run_config": "Loihi2SimCfg(select_tag='fixed_pt')",
        "strategy": plan.strategy,
        "copies": plan.copies,
        "groups_per_run": plan.chunks,
        "lava_runs": plan.runs,
        "lava_steps": plan.lava_steps,
        "lava_processes": len(graph.processes),
        "switched_on": [process.name for process in graph.processes if process.switch],
    }
