"""Loihi's integers on this machine, bit-exact with Lava's fixed-point models."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from snn_deploy.engine import chunks
from snn_deploy.engine.chunks import Progress
from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.inputs import InputSpikes
from snn_deploy.engine.result import RunResult
from snn_deploy.network.quantised import QuantisedNetwork

#: Neuron-steps of one chunk of the compiled kernel: some tens of milliseconds, the time to an interrupt.
_CHUNK_NEURON_STEPS = 1 << 27


@dataclass(frozen=True)
class FixedEngine:
    """Runs a network's integers; results equal Lava 0.10.0's spike by spike.

    kernel: numpy, portable, avx2, avx512; None chooses (see :mod:`.kernel`).
    threads: chunks that the compiled kernel runs at a time; None takes one a core.
    max_memory: bytes that a run may use beside its input; raises UsageError where the results need more.
    """

    kernel: str | None = None
    threads: int | None = None
    max_memory: int | None = None

    def run(
        self,
        network: QuantisedNetwork,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Run all samples. record: nodes whose rasters to keep. batch: samples at a time, None chooses.

        Membranes of read-outs are int32. The network is one that :data:`QUANTISED` accepts.
        """
        choice = kernel.choose(self.kernel)
        prepared = kernel.prepare(network, choice.name)
        gather = chunks.Gather(network, record)
        populations = {population.name for population in network.populations}
        wanted = {
            "counts": [name for name in gather.counted if name in populations],
            "rasters": [name for name in gather.drawn if name in populations],
            "membranes": gather.read,
        }

        def run_chunk(spikes: Mapping[str, NDArray[Any]]) -> chunks.Chunk:
            chunk = prepared.run(spikes, **wanted)
            seen = {name: raster for name, raster in spikes.items() if name in gather.drawn}
            summed = {name: spikes[name].sum(axis=1) for name in gather.counted if name in spikes}
            return replace(chunk, rasters={**chunk.rasters, **seen}, counts={**chunk.counts, **summed})

        return chunks.run(
            "fixed",
            network,
            inputs,
            run_chunk,
            record=record,
            chunking=self._chunking(network, choice.name, record, batch),
            progress=progress,
            notes={"kernel": choice.name},
        )

    def _chunking(
        self, network: QuantisedNetwork, name: str, record: Collection[str], batch: int | None
    ) -> Any:
        stepwise = chunks.stepwise_chunking(network, batch, self.max_memory)
        neurons = sum(population.neurons for population in network.populations)
        threads = self.threads or len(os.sched_getaffinity(0))

        def chunking(samples: int, steps: int) -> chunks.Chunking:
            chunks.check_result_memory(network, record, samples, steps, self.max_memory)
            if name == kernel.NUMPY:
                return stepwise(samples, steps)
            most = max(1, _CHUNK_NEURON_STEPS // (steps * neurons))
            # at least four chunks a thread, unless they become so small that starting them costs
            even = max(-(-samples // (4 * threads)), most // 64, 1)
            return chunks.Chunking(batch or min(most, even), threads)

        return chunking
