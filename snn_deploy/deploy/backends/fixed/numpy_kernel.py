"""The golden model: Lava's fixed-point LIF and Dense in NumPy, to be read beside the equations.

State is float64 and every value in it an integer below 2^53, so sums and the truncated products
``trunc(x k / 4096)`` (24 + 13 bits) are exact; float is used because it is faster than int64 here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.connections import Connection, Dense, synapses
from snn_deploy.convert.quantised import (
    STATE_SHIFT,
    QuantisedNetwork,
    QuantisedPopulation,
    QuantisedProjection,
)
from snn_deploy.deploy.backends.stepping import Spikes, State, simulate

_DECAY_UNITY = 4096
_STATE_LIMIT = float(1 << 23)
#: Sums of integers below this stay exact in a float32 matrix product.
_FLOAT32_EXACT = 1 << 24


class FixedNeurons:
    """One population; the equations are those of :class:`QuantisedPopulation`, in the same order."""

    def __init__(self, population: QuantisedPopulation) -> None:
        self.size = population.neurons
        self._keep_u = (_DECAY_UNITY - (population.du + 1)) / _DECAY_UNITY
        self._keep_v = (_DECAY_UNITY - population.dv) / _DECAY_UNITY
        self._bias = population.bias.astype(np.float64)
        self._threshold = float(population.vth << STATE_SHIFT)
        self._u0, self._v0 = population.u0.astype(np.float64), population.v0.astype(np.float64)

    def start(self, samples: int) -> State:
        return [np.tile(self._u0, (samples, 1)), np.tile(self._v0, (samples, 1))]

    def step(self, state: State, drive: NDArray[Any]) -> NDArray[np.bool_]:
        u, v = state
        u *= self._keep_u
        np.trunc(u, out=u)
        u += drive * (1 << STATE_SHIFT)
        # Lava wraps once, silently: 2^23 + k becomes k - 2^23
        np.subtract(u, 2 * _STATE_LIMIT, out=u, where=u > _STATE_LIMIT)
        np.add(u, 2 * _STATE_LIMIT, out=u, where=u <= -_STATE_LIMIT)
        v *= self._keep_v
        np.trunc(v, out=v)
        v += u
        v += self._bias
        np.clip(v, 1 - _STATE_LIMIT, _STATE_LIMIT - 1, out=v)
        fired = v > self._threshold
        v[fired] = 0
        return fired


class FixedSynapses:
    """One projection: a = (W s) << weight_exp, the sum shifted, not the weights."""

    def __init__(self, projection: QuantisedProjection) -> None:
        self.source, self.target, self.delay = projection.source, projection.target, projection.delay
        self._shift = projection.weight_exp
        self._matrix = _exact_matrix(projection.connection)

    def apply(self, spikes: Spikes) -> NDArray[np.float64]:
        if isinstance(self._matrix, np.ndarray):
            total = (spikes.astype(self._matrix.dtype) @ self._matrix).astype(np.float64)
        else:
            total = np.asarray((self._matrix @ spikes.T.astype(np.float64)).T)
        if self._shift >= 0:
            return np.asarray(total * (1 << self._shift))
        return np.asarray(np.floor(total / (1 << -self._shift)))


def run(network: QuantisedNetwork, inputs: Mapping[str, Spikes]) -> dict[str, Spikes]:
    """Run one chunk: rasters uint8 (samples, steps, neurons) of all inputs and populations, by name."""
    return simulate(
        network,
        {population.name: FixedNeurons(population) for population in network.populations},
        [FixedSynapses(projection) for projection in network.projections],
        inputs,
    )


def _exact_matrix(connection: Connection) -> Any:
    """W transposed for a row of spikes, in the narrowest float whose sums are exact; or W as CSR."""
    if not isinstance(connection, Dense):
        return synapses(connection).astype(np.float64)
    weight = np.asarray(connection.weight)
    largest_sum = int(np.abs(weight).sum(axis=1).max(initial=0))
    dtype = np.float32 if largest_sum < _FLOAT32_EXACT else np.float64
    return np.ascontiguousarray(weight.T.astype(dtype))
