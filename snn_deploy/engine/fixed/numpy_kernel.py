"""The golden model: Lava's fixed-point LIF and Dense in NumPy, to be read beside the equations.

State is float64 and every value in it an integer below 2^53, so sums and the truncated products
``trunc(x k / 4096)`` (at most 32 + 13 bits) are exact; float is used because it is faster than int64 here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.chunks import Chunk
from snn_deploy.engine.fixed.bounds import bounds, graded_sum_leaves_int32
from snn_deploy.engine.fixed.prepared import NO_RESETS, Reset, Resets
from snn_deploy.engine.result import Overflows, events
from snn_deploy.engine.stepping import State, simulate
from snn_deploy.engine.windows import convolved
from snn_deploy.network.connections import Connection, Conv2d, Dense, synapses
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

# Lava's numbers and laws once more, apart from network/integers.py, so that each is checked by the other
_DECAY_UNITY = 4096
_STATE_SHIFT = 6
_STATE_LIMIT = float(1 << 23)
_INT32_TURN = float(1 << 32)
#: Sums of integers below this stay exact in a float32 matrix product.
FLOAT32_EXACT = 1 << 24


class FixedNeurons:
    """One population; the equations are those of :class:`QuantisedPopulation`, in the same order.

    reset: LIFReset, before the dynamics of a step; it clears u and v, not the input of that step.
    trace: where given, takes v after every step, (samples, steps, neurons).
    far: u can pass 2^24, so that u's or v's sum can leave int32, which Lava holds them in.
    ``overflows`` counts the steps since :meth:`start`.
    """

    def __init__(
        self,
        population: QuantisedPopulation,
        reset: Reset | None = None,
        trace: NDArray[np.int32] | None = None,
        far: bool = True,
    ) -> None:
        self.size = population.neurons
        self._keep_u = (_DECAY_UNITY - (population.du + 1)) / _DECAY_UNITY
        self._keep_v = (_DECAY_UNITY - population.dv) / _DECAY_UNITY
        self._bias = population.bias.astype(np.float64)
        self._threshold = float(population.vth << _STATE_SHIFT)
        self._u0, self._v0 = population.u0.astype(np.float64), population.v0.astype(np.float64)
        self._subtracts = population.spiking and population.reset == "subtract"
        self._reset = reset
        self._trace = trace
        self._far = far
        self._t = 0
        self._highest = math.inf if population.clip_is_lossless else _STATE_LIMIT - 1
        self.overflows = Overflows()

    def start(self, samples: int) -> State:
        self._t, self.overflows = 0, Overflows()
        return [np.tile(self._u0, (samples, 1)), np.tile(self._v0, (samples, 1))]

    def step(self, state: State, drive: NDArray[Any]) -> NDArray[np.bool_]:
        u, v = state
        t, self._t = self._t, self._t + 1
        if self._reset and (t + 1) % self._reset.interval == self._reset.offset % self._reset.interval:
            u[:] = v[:] = 0
        u *= self._keep_u
        np.trunc(u, out=u)
        u += drive * (1 << _STATE_SHIFT)
        turned = _turn(u) if self._far else False
        # Lava wraps once, silently: 2^23 + k becomes k - 2^23
        above, below = u > _STATE_LIMIT, u <= -_STATE_LIMIT
        wraps = int(np.count_nonzero(above | below | turned))
        u[above] -= 2 * _STATE_LIMIT
        u[below] += 2 * _STATE_LIMIT
        v *= self._keep_v
        np.trunc(v, out=v)
        v += u
        v += self._bias
        turned = _turn(v) if self._far else False
        saturations = int(np.count_nonzero(turned))
        # clipping takes thrice the time of asking whether it is needed
        if v.max(initial=0) >= _STATE_LIMIT or v.min(initial=0) <= -_STATE_LIMIT:
            lost = (v < 1 - _STATE_LIMIT) | (v > self._highest) | turned
            saturations = int(np.count_nonzero(lost))
            np.clip(v, 1 - _STATE_LIMIT, _STATE_LIMIT - 1, out=v)
        self.overflows += Overflows(wraps, saturations)
        fired = v > self._threshold
        if self._subtracts:
            v[fired] -= self._threshold
        else:
            np.putmask(v, fired, 0)
        if self._trace is not None:
            self._trace[:, t] = v
        return fired


def _turn(x: NDArray[Any]) -> Any:
    """Make of a sum what int32 does: modulo 2^32, into [-2^31, 2^31); returns where that changed it."""
    turns = np.floor(x / _INT32_TURN + 0.5)
    x -= _INT32_TURN * turns
    return turns != 0


class FixedSynapses:
    """One projection: a = (W s) << weight_exp, the sum shifted, not the weights.

    A sum of graded messages can leave int32. Lava's Dense and Sparse turn it around at 2^32 before they
    shift, and so does this; its DelayDense shifts first, which differs for exponents below -6.
    """

    def __init__(self, projection: QuantisedProjection, message_bits: int = 0) -> None:
        self.source, self.target, self.delay = projection.source, projection.target, projection.delay
        self._shift = projection.weight_exp
        self._matrix = _exact_matrix(projection.connection, message_bits)
        self._far = graded_sum_leaves_int32(projection.connection, message_bits)

    def apply(self, spikes: NDArray[Any]) -> NDArray[np.float64]:
        total: NDArray[np.float64]
        if isinstance(self._matrix, Conv2d):
            total = convolved(self._matrix, spikes.astype(np.float64))
        elif isinstance(self._matrix, np.ndarray):
            total = (spikes.astype(self._matrix.dtype) @ self._matrix).astype(np.float64)
        else:
            total = np.asarray((self._matrix @ spikes.T.astype(np.float64)).T)
        if self._far:
            _turn(total)
        if self._shift > 0:
            total *= 1 << self._shift
        elif self._shift < 0:
            np.floor(total / (1 << -self._shift), out=total)
        return total


class Golden:
    """A network made ready for the NumPy kernel."""

    def __init__(self, network: QuantisedNetwork, resets: Resets = NO_RESETS) -> None:
        self._network = network
        self._resets = resets
        bits = {node.name: node.message_bits for node in network.inputs}
        self._synapses = [FixedSynapses(p, bits.get(p.source, 0)) for p in network.projections]
        # one wrap brings back what stays within 2^24; only a larger input leaves u further out
        self._far = {name: reach.drive > _STATE_LIMIT * 2 for name, reach in bounds(network, 1).items()}
        self._tails = sorted({(p.source, p.delay) for p in network.projections if p.delay})

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        counts: Collection[str] = (),
        rasters: Collection[str] = (),
        membranes: Collection[str] = (),
    ) -> Chunk:
        samples, steps = next(iter(inputs.values())).shape[:2]
        size = {population.name: population.neurons for population in self._network.populations}
        traces = {name: np.empty((samples, steps, size[name]), dtype=np.int32) for name in membranes}
        neurons = {
            p.name: FixedNeurons(p, self._resets.get(p.name), traces.get(p.name), self._far[p.name])
            for p in self._network.populations
        }
        spikes = simulate(self._network, neurons, self._synapses, inputs)
        return Chunk(
            counts={name: spikes[name].sum(axis=1, dtype=np.int32) for name in counts},
            rasters={name: spikes[name] for name in rasters},
            membranes=traces,
            spikes={name: events(raster) for name, raster in spikes.items()},
            late={
                (name, delay): events(spikes[name][:, max(steps - delay, 0) :]) for name, delay in self._tails
            },
            overflows={name: population.overflows for name, population in neurons.items()},
        )


def _exact_matrix(connection: Connection, message_bits: int) -> Any:
    """W transposed for a row of spikes, in the narrowest float whose sums are exact; or W as CSR; or the
    convolution itself."""
    if isinstance(connection, Conv2d):
        return connection
    if not isinstance(connection, Dense):
        return synapses(connection).astype(np.float64)
    weight = np.asarray(connection.weight)
    largest_sum = int(np.abs(weight).sum(axis=1).max(initial=0)) << message_bits
    dtype = np.float32 if largest_sum < FLOAT32_EXACT else np.float64
    return np.ascontiguousarray(weight.T.astype(dtype))
