"""The exact map in float64: the reference that quantisation is measured against."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine import chunks
from snn_deploy.engine.chunks import Chunk, Progress
from snn_deploy.engine.inputs import InputSpikes
from snn_deploy.engine.result import RunResult
from snn_deploy.engine.stepping import Spikes, State, simulate
from snn_deploy.engine.windows import convolved
from snn_deploy.network.connections import Conv2d, Dense, synapses
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection


class FloatNeurons:
    """One population; the equations are those of :class:`DiscretePopulation`, in the same order."""

    def __init__(self, population: DiscretePopulation, trace: NDArray[np.float64] | None = None) -> None:
        """trace: where given, takes v after every step, (samples, steps, neurons)."""
        self.size = int(population.v0.size)
        self._population = population
        self._trace = trace
        self._t = 0

    def start(self, samples: int) -> State:
        self._t = 0
        return [np.tile(self._population.u0, (samples, 1)), np.tile(self._population.v0, (samples, 1))]

    def step(self, state: State, drive: NDArray[np.float64]) -> NDArray[np.bool_]:
        u, v = state
        u *= 1 - self._population.du
        u += drive
        v *= 1 - self._population.dv
        v += u
        v += self._population.bias
        fired = v > (1.0 if self._population.spiking else np.inf)
        if self._population.reset == "subtract":
            v[fired] -= 1.0
        else:
            v[fired] = 0.0
        if self._trace is not None:
            self._trace[:, self._t] = v
        self._t += 1
        return fired


class FloatSynapses:
    """One projection: a = W s."""

    def __init__(self, projection: DiscreteProjection) -> None:
        self.source, self.target, self.delay = projection.source, projection.target, projection.delay
        self._connection = connection = projection.connection
        if not isinstance(connection, Conv2d):
            self._matrix = connection.weight if isinstance(connection, Dense) else synapses(connection)

    def apply(self, spikes: Spikes) -> NDArray[np.float64]:
        if isinstance(self._connection, Conv2d):
            return convolved(self._connection, spikes.astype(np.float64))
        return np.ascontiguousarray(np.asarray(self._matrix @ spikes.T.astype(np.float64)).T)


def run(network: DiscreteNetwork, inputs: Mapping[str, Spikes]) -> Chunk:
    """Run one chunk; the membranes of populations that never spike are kept."""
    samples, steps = next(iter(inputs.values())).shape[:2]
    traces = {p.name: np.empty((samples, steps, p.v0.size)) for p in network.populations if not p.spiking}
    rasters = simulate(
        network,
        {
            population.name: FloatNeurons(population, traces.get(population.name))
            for population in network.populations
        },
        [FloatSynapses(projection) for projection in network.projections],
        inputs,
    )
    return Chunk.of_rasters(network, rasters, traces)


class FloatEngine:
    """Runs a discretised float network."""

    def run(
        self,
        network: DiscreteNetwork,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Run all samples. record: nodes whose rasters to keep. batch: samples at a time, None chooses.

        Membranes of read-outs are float64 in units of the threshold.
        """
        return chunks.run(
            "float",
            network,
            inputs,
            lambda chunk: run(network, chunk),
            record=record,
            chunking=chunks.stepwise_chunking(network, batch),
            progress=progress,
            notes={"dtype": "float64"},
        )
