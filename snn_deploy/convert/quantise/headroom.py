"""Headroom: how far u and v can go on any input of the declared kind, against what 24 bits hold.

Before rounding the bounds choose a state scale that leaves room; after it they say from which input on
none is left. The worst input of a neuron spikes at all synapses of one sign and at none of the other, in
every step: u <- (1 - du) u + a then rises toward a / du, and v <- (1 - dv) v + u + bias toward
(a / du + bias) / dv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from snn_deploy.convert.quantise import decays
from snn_deploy.convert.quantise.blocks import Block
from snn_deploy.convert.quantise.groups import Group, Piece
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.connections import Connection, Sparse, synapses
from snn_deploy.network.discrete import DiscretePopulation
from snn_deploy.network.integers import STATE_SHIFT
from snn_deploy.network.quantised import QuantisedPopulation, QuantisedProjection

#: Steps after which a worst input that has still not filled the range is said to fill it "later".
_LONGEST = 100_000
#: Rounded weights can add up to a little more than exact ones.
_ROUNDING = 1.02


@dataclass(frozen=True)
class Reach:
    """The largest |u| and |v| that any input can cause, in thresholds; inf where nothing bounds them.

    v: of a spiking neuron, the depth below reset: above the threshold it is reset, whatever it was; where
    resets subtract, also what can be left above the threshold.
    """

    u: float
    v: float


@dataclass(frozen=True)
class Onset:
    """The input from which on a state leaves its range.

    rate: share of the steps in which all synapses of one sign spike, and none of the other. steps: of
    such spikes in every step, until it happens; None: more than 100,000.
    """

    rate: float
    steps: int | None


def message_factor(message_bits: int) -> float:
    """The largest factor that one input multiplies a weight by."""
    return float(1 << (message_bits - 1)) if message_bits else 1.0


def reach(
    population: DiscretePopulation,
    group: Group,
    pieces: Sequence[Piece],
    blocks: Sequence[Block],
    message_bits: Mapping[str, int],
) -> Reach:
    """Bound u and v of a group over all inputs; blocks: one a piece; message_bits: of graded sources."""
    upward = downward = 0.0
    for piece, block in zip(pieces, blocks, strict=True):
        most, least = _row_sums(block, piece.connection)
        bits = message_bits.get(piece.source, 0)
        if bits:
            most = least = message_factor(bits) * (most + least)
        upward, downward = upward + most, downward + least
    index = group.index
    du, dv = float(population.du[index].min()), float(population.dv[index].min())
    u0 = float(np.abs(population.u0[index]).max(initial=0))
    bias = population.bias[index]
    u = u0 + max(upward, downward) / du
    down = u0 + downward / du + max(0.0, float(-bias.min()))
    up = u0 + upward / du + max(0.0, float(bias.max()))
    farthest = down if population.spiking else max(up, down)
    v0 = float(np.abs(population.v0[index]).max(initial=0))
    v = v0 + _settled(farthest, dv)
    if population.spiking and population.reset == "subtract":
        v = max(v, v0 + 1 + up + _settled(max(0.0, up - 1), dv))
    return Reach(u, v)


def _settled(rise: float, dv: float) -> float:
    """Where v ends that rises by so much in every step."""
    return rise / dv if dv > 0 else np.inf if rise else 0.0


def roomy_scale(found: Reach, profile: Profile) -> float:
    """The largest state scale at which no input makes u wrap or v saturate."""
    state = float(1 << (profile.integers.state_bits.value - 1 - STATE_SHIFT))
    farthest = max(found.u, found.v)
    return state / (_ROUNDING * farthest) if farthest > 0 else np.inf


def _row_sums(block: Block, connection: Connection) -> tuple[float, float]:
    """The largest sum of positive, and of negative, weights of a neuron."""
    if block.rows == "none" and isinstance(connection, Sparse):  # whose block is one long row
        matrix = synapses(connection)
        parts = (matrix.maximum(0), -matrix.minimum(0))
        most, least = (np.asarray(part.sum(axis=1)).reshape(-1) for part in parts)
    else:
        most = np.maximum(block.matrix, 0).sum(axis=1)
        least = np.maximum(-block.matrix, 0).sum(axis=1)
    return float(most.max(initial=0)), float(least.max(initial=0))


@dataclass(frozen=True, eq=False)
class Drive:
    """The least and the largest a << 6 that input of the declared kind can cause, shape (neurons,)."""

    least: FloatArray
    most: FloatArray


def drive(population: QuantisedPopulation, incoming: Sequence[QuantisedProjection]) -> Drive:
    """Bound the summed input of an integer population."""
    least, most = np.zeros(population.neurons), np.zeros(population.neurons)
    for projection in incoming:
        matrix = synapses(projection.connection).astype(np.float64)
        unit = 2.0 ** (projection.weight_exp + STATE_SHIFT) * message_factor(projection.message_bits)
        up = np.asarray(matrix.maximum(0).sum(axis=1)).reshape(-1) * unit
        down = np.asarray(-matrix.minimum(0).sum(axis=1)).reshape(-1) * unit
        if projection.message_bits:
            up = down = up + down
        most += up
        least -= down
    return Drive(least, most)


def static_bound_u(population: QuantisedPopulation, found: Drive, profile: Profile) -> float | None:
    """The largest |u| that any input could cause; None where u does not decay, so that none exists."""
    decay = (population.du + profile.integers.decay_u_offset.value) / decays.unity(profile)
    if decay <= 0:
        return None
    largest = float(max(found.most.max(initial=0), (-found.least).max(initial=0)))
    return float(np.abs(population.u0).max(initial=0)) + largest / decay


def onsets(
    population: QuantisedPopulation, found: Drive, profile: Profile
) -> dict[Literal["u", "v"], Onset | None]:
    """The input from which on u wraps, and from which on v saturates; None where no input does it."""
    du, dv = decays.kept_decays(population.du, population.dv, profile)
    limit = float(1 << (profile.integers.state_bits.value - 1))
    bias = population.bias.astype(np.float64)
    sides = [(found.most, bias, 1), (-found.least, -bias, -1)]
    watched = sides[1:] if population.spiking else sides
    if population.spiking and population.reset == "subtract":
        watched = [(found.most, bias - (population.vth << STATE_SHIFT), 1), sides[1]]
    by_u = [_onset(a, du, None, np.zeros_like(b), limit) for a, b, _ in sides]
    by_v = [_onset(a, du, dv, b, limit) for a, b, _ in watched]
    return {"u": _earliest(by_u), "v": _earliest(by_v)}


def _earliest(found: Sequence[Onset | None]) -> Onset | None:
    known = [onset for onset in found if onset is not None]
    return min(known, key=lambda onset: onset.rate, default=None)


def _onset(arriving: FloatArray, du: float, dv: float | None, bias: FloatArray, limit: float) -> Onset | None:
    """Onset of one side of u, or of v where dv is given, over the neurons of a population."""
    with np.errstate(divide="ignore", invalid="ignore"):
        settled = arriving / du if du > 0 else np.where(arriving > 0, np.inf, 0.0)
        if dv is not None:
            total = settled + bias
            settled = total / dv if dv > 0 else np.where(total > 0, np.inf, 0.0)
        wanted = limit * (dv if dv is not None else 1.0) - (bias if dv is not None else 0.0)
        rates = np.where(settled >= limit, np.where(arriving > 0, wanted * du / arriving, 0.0), np.inf)
    if not np.any(settled >= limit):
        return None
    worst = int(np.argmin(rates))
    steps = _steps(float(arriving[worst]), du, dv, float(bias[worst]), limit)
    return Onset(float(np.clip(rates[worst], 0.0, 1.0)), steps)


def _steps(arriving: float, du: float, dv: float | None, bias: float, limit: float) -> int | None:
    """Steps of full input until u, or v, passes the limit."""
    u = v = 0.0
    for step in range(1, _LONGEST + 1):
        u = (1 - du) * u + arriving
        v = u if dv is None else (1 - dv) * v + u + bias
        if v >= limit:
            return step
    return None


def describe(found: dict[Literal["u", "v"], Onset | None]) -> dict[str, Any]:
    """The onsets as JSON-able values."""
    return {
        name: None if onset is None else {"rate": onset.rate, "steps": onset.steps}
        for name, onset in found.items()
    }


def onset_text(onset: Mapping[str, Any]) -> str:
    """One of :func:`describe`'s entries in words."""
    steps = onset["steps"]
    lasting = f"after more than {_LONGEST} steps" if steps is None else f"after {steps} steps"
    return f"at {onset['rate']:.1%} and more of all steps, {lasting} if at 100 %"
