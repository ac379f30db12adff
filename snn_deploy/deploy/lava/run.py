"""One QuantisedNetwork through guarded Lava runs: lay out, write, run, read, gather."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.lava.graph import ProcessGraph, process_graph
from snn_deploy.deploy.lava.guard import Limits, run_guarded
from snn_deploy.deploy.lava.interpreter import Interpreter, find_interpreter
from snn_deploy.deploy.lava.job import Target, job_folder, lay_out, take_apart, write_job
from snn_deploy.deploy.lava.merging import Merged, merge
from snn_deploy.deploy.lava.plan import Plan, Strategy, make_plan, streamable
from snn_deploy.engine import chunks
from snn_deploy.engine.chunks import Progress
from snn_deploy.engine.inputs import InputSpikes
from snn_deploy.engine.result import RunResult
from snn_deploy.errors import BackendUnavailable
from snn_deploy.network.quantised import QuantisedNetwork

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

    seconds: "run" is Lava's stepping alone, "compile" its start. Raises BackendUnavailable when Lava is
    not there, does not answer or fails, and RunInterrupted with the Lava runs finished by a Ctrl-C.
    """
    interpreter = find_interpreter()
    if interpreter.problem:
        raise BackendUnavailable(
            interpreter.problem, where=interpreter.path or f"backend {backend}", remedy=interpreter.remedy
        )
    runs = _Runs(interpreter, network, limits, target, progress)

    def chunking(samples: int, steps: int) -> chunks.Chunking:
        return runs.prepare(make_plan(runs.merged.network, samples, steps, strategy, batch))

    result = chunks.run(
        backend,
        network,
        inputs,
        runs.run,
        record=record,
        chunking=chunking,
        progress=progress,
        notes=runs.notes,
    )
    seconds = {**runs.seconds, "total": result.seconds["total"]}
    return replace(
        result,
        seconds=MappingProxyType(seconds),
        versions=MappingProxyType({**result.versions, **runs.versions}),
    )


class _Runs:
    """The Lava runs that serve one request; each takes as many samples as the plan lays out."""

    def __init__(
        self,
        interpreter: Interpreter,
        network: QuantisedNetwork,
        limits: Limits,
        target: Target,
        progress: Progress | None,
    ) -> None:
        self._interpreter, self._network, self._limits = interpreter, network, limits
        # a board has no process with a decay for each neuron
        self.merged = merge(network) if target == "simulator" else Merged(network, {})
        self._target: Target = target
        self._progress = progress
        self._finished = 0
        self.seconds = {"run": 0.0, "compile": 0.0}
        self.versions: dict[str, str] = {}
        self.notes: dict[str, Any] = {}

    def prepare(self, plan: Plan) -> chunks.Chunking:
        """Take the plan, now that the number of samples and steps is known."""
        self._plan, self._graph = plan, process_graph(self.merged.network, plan)
        self.notes |= _notes(self._network, plan, self._graph, self._target)
        if self.merged.members:
            self.notes["one_process_for"] = {name: len(p) for name, p in self.merged.members.items()}
        return chunks.Chunking(batch=plan.chunks * plan.copies)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> chunks.Chunk:
        """Run some samples: input name -> (samples, steps, neurons)."""
        plan, samples = self._plan, len(next(iter(inputs.values())))
        with job_folder() as folder:
            laid = {f"source {name}": lay_out(raster, plan) for name, raster in inputs.items()}
            files = write_job(folder, self._graph, plan, laid, self._target)
            beat = _sample_progress(self._progress, plan, self._finished, samples)
            answer = run_guarded(self._interpreter, folder, self._limits, beat)
            recorded = {
                key: take_apart(np.load(file, mmap_mode="r", allow_pickle=False), plan)[:samples]
                for key, file in files.items()
            }
        self._finished += samples
        self.seconds = {key: value + answer["seconds"][key] for key, value in self.seconds.items()}
        self.versions = answer["versions"]
        rasters, membranes = (
            self.merged.apart({name: r for (name, read), r in recorded.items() if read == variable})
            for variable in ("s_out", "v")
        )
        return chunks.Chunk.of_rasters(self._network, {**inputs, **rasters}, membranes)


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


def _notes(network: QuantisedNetwork, plan: Plan, graph: ProcessGraph, target: Target) -> dict[str, Any]:
    notes = {
        "run_config": _RUN_CONFIGS[target],
        "strategy": plan.strategy,
        "copies": plan.copies,
        "groups_per_run": plan.chunks,
        "lava_runs": plan.runs,
        "lava_steps": plan.lava_steps,
        "lava_processes": len(graph.processes),
        "switched_on": [process.name for process in graph.processes if process.switch],
    }
    obstacle = streamable(network)
    return {**notes, "not_streamed": obstacle} if obstacle else notes
