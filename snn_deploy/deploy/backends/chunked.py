"""Running many samples in bounded memory: check the input, cut it into chunks, gather the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from snn_deploy import __version__
from snn_deploy.convert.discrete import DiscreteNetwork
from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.backends.base import InputSpikes, Progress
from snn_deploy.deploy.backends.stepping import Spikes
from snn_deploy.deploy.result import ActivityCounter, RunResult
from snn_deploy.deploy.spikes import checked_inputs

#: Floats held a sample and time step are bounded so that one chunk stays near this many bytes.
_CHUNK_BYTES = 256 << 20


def run(
    backend: str,
    network: QuantisedNetwork | DiscreteNetwork,
    inputs: InputSpikes,
    run_chunk: Callable[[Mapping[str, Spikes]], dict[str, Spikes]],
    *,
    record: Collection[str],
    batch: int | None,
    progress: Progress | None,
    notes: Mapping[str, Any],
) -> RunResult:
    """Run ``run_chunk`` over chunks of ``batch`` samples and assemble the RunResult."""
    started = time.perf_counter()
    spikes, samples, steps = checked_inputs(network, inputs)
    batch = batch or chunk_size(network, steps)
    counter = ActivityCounter(network)
    gather = Gather(network, record)
    stepping = 0.0
    for first in range(0, samples, batch):
        chunk = {name: raster[first : first + batch] for name, raster in spikes.items()}
        before = time.perf_counter()
        rasters = run_chunk(chunk)
        stepping += time.perf_counter() - before
        for name, raster in rasters.items():
            counter.add(name, raster)
        gather.add(rasters)
        if progress is not None:
            progress(min(first + batch, samples))
    return RunResult(
        backend=backend,
        samples=samples,
        steps=steps,
        counts=gather.counts(),
        spikes=gather.spikes(),
        layers=counter.layers(),
        seconds=MappingProxyType({"run": stepping, "total": time.perf_counter() - started}),
        versions=MappingProxyType({"snn-deploy": __version__, "numpy": np.__version__}),
        notes=MappingProxyType(dict(notes)),
    )


def chunk_size(network: QuantisedNetwork | DiscreteNetwork, steps: int) -> int:
    """Samples a chunk, so that float64 drives and rasters of all layers stay near 256 MiB."""
    widths = sum(int(p.v0.size) for p in network.populations) + sum(
        int(np.prod(i.shape)) for i in network.inputs
    )
    return int(np.clip(_CHUNK_BYTES // max(1, steps * widths * 12), 1, 1024))


class Gather:
    """Puts populations back into the graph nodes they came from: counts of outputs, recorded rasters."""

    def __init__(self, network: QuantisedNetwork | DiscreteNetwork, record: Collection[str]) -> None:
        self._outputs = network.outputs
        self._record = set(record)
        self._parts: dict[str, list[tuple[str, Any]]] = {}
        for population in network.populations:
            node = getattr(population, "node", population.name)
            index = getattr(population, "index", np.arange(population.v0.size))
            self._parts.setdefault(node, []).append((population.name, index))
        self._counts: dict[str, list[Any]] = {output.name: [] for output in self._outputs}
        self._spikes: dict[str, list[Any]] = {name: [] for name in self._record}

    def add(self, rasters: Mapping[str, Spikes]) -> None:
        """Take one chunk of population rasters, uint8 (samples, steps, neurons)."""
        for output in self._outputs:
            self._counts[output.name].append(self._node(output.node, rasters).sum(axis=1, dtype=np.int32))
        for name in self._record:
            self._spikes[name].append(self._node(name, rasters))

    def counts(self) -> Mapping[str, Any]:
        return MappingProxyType({name: np.concatenate(parts) for name, parts in self._counts.items()})

    def spikes(self) -> Mapping[str, Any]:
        return MappingProxyType({name: np.concatenate(parts) for name, parts in self._spikes.items()})

    def _node(self, node: str, rasters: Mapping[str, Spikes]) -> Spikes:
        if node not in self._parts:
            return rasters[node]
        parts = self._parts[node]
        samples, steps = rasters[parts[0][0]].shape[:2]
        whole = np.empty((samples, steps, sum(index.size for _, index in parts)), dtype=np.uint8)
        for name, index in parts:
            whole[:, :, index] = rasters[name]
        return whole
