"""Running many samples in bounded memory: check the input, cut it into chunks, gather the result."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy import __version__
from snn_deploy.engine.inputs import InputSpikes, checked_inputs
from snn_deploy.engine.result import ActivityCounter, Overflows, RunInterrupted, RunResult, events
from snn_deploy.engine.stepping import Spikes
from snn_deploy.errors import UsageError
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.quantised import QuantisedNetwork

#: Called with the number of finished samples.
Progress = Callable[[int], None]

#: Memory that a run may use beside its input, in bytes, where the caller names no other limit.
MAX_MEMORY = 256 << 20


@dataclass(frozen=True, eq=False)
class Chunk:
    """What an engine returns of a run of some samples.

    counts: population -> int32 (samples, neurons). rasters: population -> uint8 (samples, steps,
    neurons). membranes: population -> v after each step, (samples, steps, neurons); each only where asked
    for. spikes: input or population -> int64 (neurons,), over all samples and steps.
    late: (name, delay) -> the same over the last ``delay`` steps, which arrive nowhere.
    overflows: population -> how often u wrapped and v was clipped; None where the engine does not count it.
    """

    counts: Mapping[str, NDArray[np.int32]]
    rasters: Mapping[str, Spikes]
    membranes: Mapping[str, NDArray[Any]]
    spikes: Mapping[str, NDArray[np.int64]]
    late: Mapping[tuple[str, int], NDArray[np.int64]] = field(default_factory=dict)
    overflows: Mapping[str, Overflows] | None = None

    @staticmethod
    def of_rasters(
        network: QuantisedNetwork | DiscreteNetwork,
        rasters: Mapping[str, Spikes],
        membranes: Mapping[str, NDArray[Any]],
        overflows: Mapping[str, Overflows] | None = None,
    ) -> Chunk:
        """The chunk of an engine that keeps all rasters, inputs included."""
        steps = next(iter(rasters.values())).shape[1]
        tails = {(edge.source, edge.delay) for edge in network.projections if edge.delay}
        return Chunk(
            counts={p.name: rasters[p.name].sum(axis=1, dtype=np.int32) for p in network.populations},
            rasters=rasters,
            membranes=membranes,
            spikes={name: events(raster) for name, raster in rasters.items()},
            late={(name, delay): events(rasters[name][:, max(steps - delay, 0) :]) for name, delay in tails},
            overflows=overflows,
        )


@dataclass(frozen=True)
class Chunking:
    """How to cut a run. batch: samples a chunk. threads: chunks at a time."""

    batch: int
    threads: int = 1


def run(
    backend: str,
    network: QuantisedNetwork | DiscreteNetwork,
    inputs: InputSpikes,
    run_chunk: Callable[[Mapping[str, NDArray[Any]]], Chunk],
    *,
    record: Collection[str],
    chunking: Callable[[int, int], Chunking],
    progress: Progress | None,
    notes: Mapping[str, Any],
) -> RunResult:
    """Run ``run_chunk`` over all samples, cut as ``chunking(samples, steps)`` says, into a RunResult.

    Raises RunInterrupted, with the result of the samples finished by then, on a KeyboardInterrupt.
    """
    started = time.perf_counter()
    spikes, samples, steps = checked_inputs(network, inputs)
    cut = chunking(samples, steps)
    counter = ActivityCounter(network)
    gather = Gather(network, record)
    finished = 0
    stepping = 0.0

    def result() -> RunResult:
        return RunResult(
            backend=backend,
            samples=finished,
            steps=steps,
            counts=gather.counts(),
            spikes=gather.spikes(),
            layers=counter.layers(),
            seconds=MappingProxyType({"run": stepping, "total": time.perf_counter() - started}),
            versions=MappingProxyType({"snn-deploy": __version__, "numpy": np.__version__}),
            notes=MappingProxyType(dict(notes)),
            membranes=gather.membranes(),
            overflows=gather.overflows(),
        )

    before = time.perf_counter()
    try:
        for here, chunk in _chunks(spikes, samples, run_chunk, cut):
            for name, total in chunk.spikes.items():
                late = {delay: array for (source, delay), array in chunk.late.items() if source == name}
                counter.add_counts(name, here * steps, total, late)
            gather.add_chunk(chunk)
            finished += here
            stepping = time.perf_counter() - before
            if progress is not None:
                progress(finished)
    except KeyboardInterrupt as stop:
        raise RunInterrupted(result() if finished else None) from stop
    return result()


def _chunks(
    inputs: Mapping[str, NDArray[Any]],
    samples: int,
    run_chunk: Callable[[Mapping[str, NDArray[Any]]], Chunk],
    chunking: Chunking,
) -> Iterator[tuple[int, Chunk]]:
    """Yield (samples, chunk) in order."""
    starts = range(0, samples, chunking.batch)

    def part(first: int) -> Mapping[str, NDArray[Any]]:
        return {name: raster[first : first + chunking.batch] for name, raster in inputs.items()}

    def extent(first: int) -> int:
        return min(chunking.batch, samples - first)

    if chunking.threads == 1 or len(starts) == 1:
        for first in starts:
            yield extent(first), run_chunk(part(first))
        return
    waiting: deque[tuple[int, Future[Chunk]]] = deque()
    pool = ThreadPoolExecutor(chunking.threads)
    try:
        for first in starts:
            waiting.append((first, pool.submit(run_chunk, part(first))))
            if len(waiting) > chunking.threads:
                done, future = waiting.popleft()
                yield extent(done), future.result()
        while waiting:
            done, future = waiting.popleft()
            yield extent(done), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def stepwise_chunking(
    network: QuantisedNetwork | DiscreteNetwork, batch: int | None, max_memory: int | None = None
) -> Callable[[int, int], Chunking]:
    """The chunking of an engine that keeps float64 drives and rasters of all layers."""
    widths = sum(int(p.v0.size) for p in network.populations) + sum(
        int(np.prod(i.shape)) for i in network.inputs
    )

    def chunking(samples: int, steps: int) -> Chunking:
        each = max(1, steps * widths * 12)
        return Chunking(batch or int(np.clip((max_memory or MAX_MEMORY) // each, 1, 1024)))

    return chunking


def check_result_memory(
    network: QuantisedNetwork | DiscreteNetwork,
    record: Collection[str],
    samples: int,
    steps: int,
    max_memory: int | None,
) -> None:
    """Raise UsageError where counts, recorded rasters and membranes alone would pass ``max_memory``."""
    if max_memory is None:
        return
    read = {output.node for output in network.outputs}
    needed = 0
    for population in network.populations:
        node, neurons = getattr(population, "node", population.name), int(population.v0.size)
        needed += samples * neurons * (4 * (node in read) + steps * (node in record))
        needed += samples * steps * neurons * 4 * (node in read and not population.spiking)
    if needed > max_memory:
        raise UsageError(
            "the results alone need more memory than is allowed",
            where="--max-memory",
            found=f"{needed / 2**20:.0f} MiB",
            allowed=f"{max_memory / 2**20:.0f} MiB",
            remedy="Record fewer rasters, run fewer samples, or allow more.",
        )


class Gather:
    """Puts populations back into the graph nodes they came from: counts of outputs, rasters, membranes."""

    def __init__(self, network: QuantisedNetwork | DiscreteNetwork, record: Collection[str]) -> None:
        self._outputs = network.outputs
        self._record = set(record)
        self._parts: dict[str, list[tuple[str, Any]]] = {}
        silent = set()
        for population in network.populations:
            node = getattr(population, "node", population.name)
            index = getattr(population, "index", np.arange(population.v0.size))
            self._parts.setdefault(node, []).append((population.name, index))
            if not population.spiking:
                silent.add(node)
        self._read = [output for output in self._outputs if output.node in silent]
        self._counts: dict[str, list[Any]] = {output.name: [] for output in self._outputs}
        self._spikes: dict[str, list[Any]] = {name: [] for name in self._record}
        self._membranes: dict[str, list[Any]] = {output.name: [] for output in self._read}
        self._overflows: dict[str, Overflows] | None = dict.fromkeys(self._parts, Overflows())

    @property
    def counted(self) -> tuple[str, ...]:
        """Populations (or inputs) whose counts are needed."""
        return self._names(output.node for output in self._outputs)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Populations whose rasters are needed."""
        return self._names(self._record)

    @property
    def read(self) -> tuple[str, ...]:
        """Populations whose membranes are needed."""
        return self._names(output.node for output in self._read)

    def _names(self, nodes: Any) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(name for node in nodes for name, _ in self._parts.get(node, [(node, None)]))
        )

    def add_chunk(self, chunk: Chunk) -> None:
        """Take one chunk that holds what :attr:`counted`, :attr:`drawn` and :attr:`read` name."""
        for output in self._outputs:
            self._counts[output.name].append(self._node(output.node, chunk.counts))
        for name in self._record:
            self._spikes[name].append(self._node(name, chunk.rasters))
        for output in self._read:
            self._membranes[output.name].append(self._node(output.node, chunk.membranes))
        if chunk.overflows is None or self._overflows is None:
            self._overflows = None
            return
        for node, parts in self._parts.items():
            self._overflows[node] = sum((chunk.overflows[name] for name, _ in parts), self._overflows[node])

    def counts(self) -> Mapping[str, Any]:
        return _joined(self._counts)

    def spikes(self) -> Mapping[str, Any]:
        return _joined(self._spikes)

    def membranes(self) -> Mapping[str, Any]:
        return _joined(self._membranes)

    def overflows(self) -> Mapping[str, Overflows] | None:
        return None if self._overflows is None else MappingProxyType(self._overflows)

    def _node(self, node: str, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The node's neurons in their order, from arrays (..., neurons) of its populations."""
        parts = self._parts.get(node)
        if parts is None or (len(parts) == 1 and np.array_equal(parts[0][1], np.arange(parts[0][1].size))):
            return arrays[node if parts is None else parts[0][0]]
        first = arrays[parts[0][0]]
        whole = np.empty((*first.shape[:-1], sum(index.size for _, index in parts)), dtype=first.dtype)
        for name, index in parts:
            whole[..., index] = arrays[name]
        return whole


def _joined(parts: Mapping[str, list[Any]]) -> Mapping[str, Any]:
    return MappingProxyType({name: np.concatenate(chunks) for name, chunks in parts.items()})
