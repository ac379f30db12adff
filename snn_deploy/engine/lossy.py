"""A network whose spikes get lost: every spike of every layer arrives nowhere with the same probability.

The neuron that sent it has fired and is reset. NumPy, for float networks and for integers alike; where both
have the same populations, the same places and steps lose their spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine import chunks
from snn_deploy.engine.chunks import Chunk, Chunking
from snn_deploy.engine.fixed.numpy_kernel import FixedNeurons, FixedSynapses
from snn_deploy.engine.float import FloatNeurons, FloatSynapses
from snn_deploy.engine.inputs import InputSpikes
from snn_deploy.engine.result import RunResult
from snn_deploy.engine.stepping import Neurons, State, simulate
from snn_deploy.errors import UsageError
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.quantised import QuantisedNetwork

_BATCH = 128
"""Samples at a time: the places of losses follow from it."""


class _Lossy:
    """A population of which each spike is lost with probability ``share``."""

    def __init__(self, neurons: Neurons, share: float, rng: np.random.Generator) -> None:
        self._neurons, self._share, self._rng = neurons, share, rng

    @property
    def size(self) -> int:
        return self._neurons.size

    def start(self, samples: int) -> State:
        return self._neurons.start(samples)

    def step(self, state: State, drive: NDArray[Any]) -> NDArray[np.bool_]:
        fired = self._neurons.step(state, drive)
        return fired & (self._rng.random(fired.shape, np.float32) >= self._share)


def run(
    network: QuantisedNetwork | DiscreteNetwork,
    inputs: InputSpikes,
    share: float,
    seed: int,
    record: Collection[str] = (),
) -> RunResult:
    """Run all samples, each spike of a population lost with probability ``share``; inputs arrive whole.

    seed: draws what is lost. Counts, rasters and activity are of the spikes that arrive.
    Raises UsageError for a share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise UsageError("a share of spikes to lose", where="share", found=share, allowed="0 <= share < 1")
    rng = np.random.default_rng(seed)
    make, synapses = _parts(network)

    def chunk(part: Mapping[str, NDArray[Any]]) -> Chunk:
        neurons = {p.name: _Lossy(make(p), share, rng) for p in network.populations}
        return Chunk.of_rasters(network, simulate(network, neurons, synapses, part), {})

    return chunks.run(
        "lossy",
        network,
        inputs,
        chunk,
        record=record,
        chunking=lambda samples, steps: Chunking(_BATCH),
        progress=None,
        notes={"lost": share, "seed": seed},
    )


def _parts(network: QuantisedNetwork | DiscreteNetwork) -> tuple[Callable[[Any], Neurons], list[Any]]:
    """What makes a population of this network, and its projections."""
    if isinstance(network, DiscreteNetwork):
        return FloatNeurons, [FloatSynapses(projection) for projection in network.projections]
    bits = {node.name: node.message_bits for node in network.inputs}
    return FixedNeurons, [FixedSynapses(p, bits.get(p.source, 0)) for p in network.projections]
