"""Static bounds: how far u, v and the summed input of a population can go, whatever the spikes.

They tell the compiled kernel which checks it can leave out, and whether it can run a network at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.network.connections import Connection, Dense, synapses, weights
from snn_deploy.network.integers import DECAY_UNITY, STATE_LIMIT, STATE_SHIFT, kept_u, kept_v, shift
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

#: The largest |w| whose sum over four rows fits 16 bits, as the compiled kernel adds them.
LARGEST_WEIGHT = 8191
_Bound = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """What can happen to one population.

    wraps: u may leave (-2^23, 2^23]. clips_low, clips_high: v may be clipped to -(2^23 - 1), to 2^23 - 1, and
    what follows is changed by it: a neuron that fires is reset to 0 either way. drive: largest |a << 6|.
    """

    wraps: bool
    clips_low: bool
    clips_high: bool
    drive: float

    @property
    def clips(self) -> bool:
        """Whether v may be clipped at all."""
        return self.clips_low or self.clips_high


def bounds(network: QuantisedNetwork, steps: int) -> dict[str, Bounds]:
    """Return the bounds of every population over runs of ``steps`` steps."""
    bits = {node.name: node.message_bits for node in network.inputs}
    low = {p.name: np.zeros(p.neurons) for p in network.populations}
    high = {p.name: np.zeros(p.neurons) for p in network.populations}
    for projection in network.projections:
        least, most = _drive(projection, bits.get(projection.source, 0))
        low[projection.target] = low[projection.target] + least
        high[projection.target] = high[projection.target] + most
    return {p.name: _population(p, low[p.name], high[p.name], steps) for p in network.populations}


def absolute_sums(connection: Connection) -> NDArray[np.int64]:
    """Sum of |w| over the synapses of each target neuron, shape (neurons out,)."""
    if isinstance(connection, Dense):
        return np.asarray(np.abs(connection.weight.astype(np.int64)).sum(axis=1))
    matrix = synapses(connection).astype(np.int64)
    return np.asarray(abs(matrix).sum(axis=1)).reshape(-1)


def graded_sum_leaves_int32(connection: Connection, message_bits: int) -> bool:
    """Whether graded messages, of at most 2^(message_bits - 1), can add up to more than int32 holds."""
    if not message_bits:
        return False
    return bool(int(absolute_sums(connection).max(initial=0)) << (message_bits - 1) >= 1 << 31)


def _drive(projection: QuantisedProjection, message_bits: int) -> tuple[_Bound, _Bound]:
    """Least and largest a << 6 of each target neuron."""
    absolute = absolute_sums(projection.connection)
    if message_bits:
        most, least = absolute << message_bits, -(absolute << message_bits)
    else:
        total = _sums(projection.connection)
        most, least = (absolute + total) // 2, (total - absolute) // 2
    # the shift rounds down, so a negative sum keeps its bound
    least, most = (shift(bound, projection.weight_exp) << STATE_SHIFT for bound in (least, most))
    return least.astype(np.float64), most.astype(np.float64)


def _sums(connection: Connection) -> Any:
    if isinstance(connection, Dense):
        return connection.weight.astype(np.int64).sum(axis=1)
    return np.asarray(synapses(connection).astype(np.int64).sum(axis=1)).reshape(-1)


def _population(population: QuantisedPopulation, low: _Bound, high: _Bound, steps: int) -> Bounds:
    keep_u, keep_v = kept_u(population.du), kept_v(population.dv)
    bias = population.bias.astype(np.float64)
    v0 = population.v0.astype(np.float64)
    u0 = population.u0.astype(np.float64)
    u_high = _reached(u0, high, keep_u, steps)
    u_low = -_reached(-u0, -low, keep_u, steps)
    # a u that wraps comes back at the other end
    wraps = (u_high > STATE_LIMIT) | (u_low <= -STATE_LIMIT)
    u_high, u_low = np.where(wraps, STATE_LIMIT, u_high), np.where(wraps, -STATE_LIMIT, u_low)
    threshold = float(population.vth << STATE_SHIFT)
    rise = u_high + bias
    # v above the threshold is reset, so a step starts from the threshold at most, or from what was above it
    settled = np.maximum(threshold, v0)
    if population.reset == "subtract":
        settled = np.maximum(threshold, _reached(settled, rise - threshold, keep_v, steps))
    v_high = np.minimum(settled * keep_v / DECAY_UNITY + rise, _reached(v0, rise, keep_v, steps))
    v_low = -_reached(-v0, -(u_low + bias), keep_v, steps)
    return Bounds(
        wraps=bool(wraps.any()),
        clips_low=bool(np.any(v_low < 1 - STATE_LIMIT)),
        clips_high=not population.clip_is_lossless and bool(np.any(v_high > STATE_LIMIT - 1)),
        drive=float(np.maximum(high, -low).max(initial=0)),
    )


def _reached(start: _Bound, rise: _Bound, keep: int, steps: int) -> _Bound:
    """Upper bound of x <- trunc(x keep / 4096) + rise over ``steps`` steps from ``start``.

    Truncation moves a negative x up by less than 1, a positive x down.
    """
    rise = np.maximum(rise, 0)
    linear = np.maximum(start, 0) + steps * rise
    if keep == DECAY_UNITY:
        return np.asarray(linear)
    return np.asarray(np.minimum(linear, np.maximum(start, rise * DECAY_UNITY / (DECAY_UNITY - keep))))


def reasons_against(network: QuantisedNetwork, reach: Mapping[str, Bounds]) -> list[str]:
    """Why the compiled kernel cannot hold a network in 32 bits; empty where it can."""
    reasons = [
        f"population {name!r}: the summed input can reach {bound.drive:.3g}, more than 32 bits hold"
        for name, bound in reach.items()
        if bound.drive >= (1 << 31) - (1 << 25)
    ]
    for projection in network.projections:
        if graded_sum_leaves_int32(projection.connection, projection.message_bits):
            reasons.append(f"projection {projection.name!r}: its sums of messages can leave 32 bits")
        largest = largest_weight(projection.connection)
        if largest > LARGEST_WEIGHT:
            reasons.append(f"projection {projection.name!r}: a weight of {largest}, more than 14 bits hold")
    return reasons


def largest_weight(connection: Connection) -> int:
    """Largest |w| of a connection."""
    return int(np.abs(weights(connection)).max(initial=0))
