"""Timing ``pipelined``: Lava's own time line, so that any stock Lava run can be reproduced step by step.

Every Lava connection costs one step, so a population ``depth`` connections behind the input answers
network step t at Lava step t + depth, counted from 0. Until then its neurons already decay and
integrate their biases: the lead-in. LIFReset sets u and v to zero at given steps, but leaves alone the
input of that step and the spikes on their way in a recurrent or delayed connection: the leak.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine import chunks
from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.prepared import NO_RESETS, Reset, Resets
from snn_deploy.engine.inputs import InputSpikes, checked_inputs
from snn_deploy.engine.result import Overflows, RunResult
from snn_deploy.engine.stepping import Spikes
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.network.schedule import depths, lava_delay


@dataclass(frozen=True, eq=False)
class Stream:
    """A run on Lava's time line.

    spikes, membranes: population -> uint8, int32 (Lava steps, neurons). overflows: of each population, in all
    Lava steps. depth: latency of each population. interval: Lava steps from one sample's start to the next.
    steps: network steps a sample.
    """

    spikes: Mapping[str, Spikes]
    membranes: Mapping[str, NDArray[np.int32]]
    overflows: Mapping[str, Overflows] | None
    depth: Mapping[str, int]
    samples: int
    steps: int
    interval: int

    def samples_of(self, values: Mapping[str, NDArray[Any]], population: str) -> NDArray[Any]:
        """All samples of ``spikes`` or ``membranes`` in the network's own time, (samples, steps, neurons)."""
        firsts = np.arange(self.samples) * self.interval + self.depth[population]
        return values[population][firsts[:, None] + np.arange(self.steps)]


def run(
    network: QuantisedNetwork,
    inputs: InputSpikes,
    *,
    record: Collection[str] = (),
    gap: int = 0,
    lif_reset: bool = False,
    kernel_name: str | None = None,
) -> RunResult:
    """Run all samples as one stream, and cut each neuron's samples out of it in the network's own time.

    gap: silent steps between two samples. lif_reset: LIFReset processes, else stock LIF, whose state runs on
    from sample to sample. The other arguments are those of :class:`FixedEngine`.
    """

    def all_samples(spikes: Mapping[str, NDArray[Any]]) -> chunks.Chunk:
        steps = next(iter(spikes.values())).shape[1]
        resets = lif_resets(network, steps + gap) if lif_reset else NO_RESETS
        found = stream(network, spikes, gap=gap, resets=resets, kernel_name=kernel_name)
        rasters = {name: found.samples_of(found.spikes, name) for name in found.spikes}
        silent = [p.name for p in network.populations if not p.spiking]
        membranes = {name: found.samples_of(found.membranes, name) for name in silent}
        return chunks.Chunk.of_rasters(network, {**spikes, **rasters}, membranes, found.overflows)

    notes = {"timing": "pipelined", "gap": gap, "lif_reset": lif_reset}
    return chunks.run(
        "fixed",
        network,
        inputs,
        all_samples,
        record=record,
        chunking=lambda samples, steps: chunks.Chunking(samples),
        progress=None,
        notes=notes,
    )


def lava_network(network: QuantisedNetwork) -> QuantisedNetwork:
    """The network whose delays are Lava's: every connection takes at least one step."""
    depth = depths(network)
    return replace(
        network,
        projections=tuple(replace(e, delay=lava_delay(e, depth) + 1) for e in network.projections),
    )


def lif_resets(network: QuantisedNetwork, interval: int) -> dict[str, Reset]:
    """LIFReset of every population at the step in which a sample's first input reaches it."""
    return {
        name: Reset(interval, depth + 1)
        for name, depth in depths(network).items()
        if name in {population.name for population in network.populations}
    }


def stream(
    network: QuantisedNetwork,
    inputs: Mapping[str, NDArray[Any]],
    *,
    gap: int = 0,
    resets: Resets = NO_RESETS,
    kernel_name: str | None = None,
) -> Stream:
    """Run all samples one after another on Lava's time line, ``gap`` silent steps between them.

    inputs: as for a run, (samples, steps, neurons). resets: population -> LIFReset, see
    :func:`lif_resets`; none leaves a stock LIF, whose state runs on from sample to sample.
    """
    spikes, samples, steps = checked_inputs(network, inputs)
    depth = depths(network)
    interval = steps + gap
    lava_steps = (samples - 1) * interval + steps + max(depth.values())
    laid = {}
    for name, raster in spikes.items():
        row = np.zeros((1, lava_steps, raster.shape[-1]), dtype=raster.dtype)
        for i in range(samples):
            row[0, i * interval : i * interval + steps] = raster[i]
        laid[name] = row
    names = [population.name for population in network.populations]
    prepared = kernel.prepare(lava_network(network), kernel.choose(kernel_name).name, resets)
    chunk = prepared.run(laid, rasters=names, membranes=names)
    return Stream(
        spikes={name: chunk.rasters[name][0] for name in names},
        membranes={name: chunk.membranes[name][0] for name in names},
        overflows=chunk.overflows,
        depth=depth,
        samples=samples,
        steps=steps,
        interval=interval,
    )
