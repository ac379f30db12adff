"""Backend ``fixed``: Loihi's integers, bit-exact with Lava's fixed-point models."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.convert.ranges import check_ranges
from snn_deploy.deploy.backends import chunked
from snn_deploy.deploy.backends.base import Availability, InputSpikes, Progress
from snn_deploy.deploy.backends.fixed import kernel
from snn_deploy.deploy.result import RunResult

#: Neuron-steps of one chunk of the compiled kernel: some tens of milliseconds, the time to an interrupt.
_CHUNK_NEURON_STEPS = 1 << 27


@dataclass(frozen=True)
class FixedBackend:
    """Runs the artifact's integers; results equal Lava 0.10.0's spike by spike.

    kernel: numpy, portable, avx2, avx512; None chooses (see :mod:`.kernel`).
    threads: chunks that the compiled kernel runs at a time; None takes one a core.
    max_memory: bytes that a run may use beside its input; raises UsageError where the results need more.
    """

    kernel: str | None = None
    threads: int | None = None
    max_memory: int | None = None
    name = "fixed"

    def availability(self) -> Availability:
        choice = kernel.choose(self.kernel)
        return Availability(True, f"{choice.name} kernel: {choice.reason}")

    def run(
        self,
        artifact: Artifact,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        return self.run_network(artifact.network, inputs, record=record, batch=batch, progress=progress)

    def run_network(
        self,
        network: QuantisedNetwork,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Run a network that is not in an artifact; see :meth:`Backend.run`.

        Raises ModelNotSupported for integers that Loihi does not hold.
        """
        check_ranges(network)
        choice = kernel.choose(self.kernel)
        prepared = kernel.prepare(network, choice.name)
        gather = chunked.Gather(network, record)
        populations = {population.name for population in network.populations}
        wanted = {
            "counts": [name for name in gather.counted if name in populations],
            "rasters": [name for name in gather.drawn if name in populations],
            "membranes": gather.read,
        }

        def run_chunk(spikes: Mapping[str, NDArray[Any]]) -> chunked.Chunk:
            chunk = prepared.run(spikes, **wanted)
            seen = {name: raster for name, raster in spikes.items() if name in gather.drawn}
            summed = {name: spikes[name].sum(axis=1) for name in gather.counted if name in spikes}
            return replace(chunk, rasters={**chunk.rasters, **seen}, counts={**chunk.counts, **summed})

        return chunked.run(
            self.name,
            network,
            inputs,
            run_chunk,
            record=record,
            plan=self._planner(network, choice.name, record, batch),
            progress=progress,
            notes={"kernel": choice.name},
        )

    def _planner(
        self, network: QuantisedNetwork, name: str, record: Collection[str], batch: int | None
    ) -> Any:
        stepwise = chunked.stepwise_plan(network, batch, self.max_memory)
        neurons = sum(population.neurons for population in network.populations)
        threads = self.threads or len(os.sched_getaffinity(0))

        def plan(samples: int, steps: int) -> chunked.Plan:
            chunked.check_result_memory(network, record, samples, steps, self.max_memory)
            if name == kernel.NUMPY:
                return stepwise(samples, steps)
            most = max(1, _CHUNK_NEURON_STEPS // (steps * neurons))
            # at least four chunks a thread, unless they become so small that starting them costs
            even = max(-(-samples // (4 * threads)), most // 64, 1)
            return chunked.Plan(batch or min(most, even), threads)

        return plan
