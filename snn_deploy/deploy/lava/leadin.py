"""The state a Lava process is built with, so that its population begins in its initial state.

A population at depth d answers network step 0 at Lava step d + 1. In the d steps before, the lead-in,
its neurons already decay and integrate their bias. The lead-in is undone by solving it backwards in
integers, neuron by neuron; every solution is run forwards again before it is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snn_deploy.network.arrays import IntArray
from snn_deploy.network.integers import DECAY_BITS, STATE_LIMIT, STATE_SHIFT, decay, kept_u, kept_v
from snn_deploy.network.quantised import QuantisedPopulation

#: u and v stay inside (-2^23, 2^23); the lead-in must neither wrap nor clip.
_LIMIT = STATE_LIMIT - 1


@dataclass(frozen=True, eq=False)
class LeadIn:
    """How a process reaches its initial state after ``depth`` silent Lava steps.

    u, v: state to build the process with, shape (neurons,).
    switched: the process is built with u = v = bias = 0 instead, and u, v and the bias are set when the
    run pauses after Lava step ``depth``.
    """

    u: IntArray
    v: IntArray
    switched: bool = False


def solve(population: QuantisedPopulation, depth: int) -> LeadIn:
    """Return the lead-in of a population: solved backwards where that is exact, else switched on.

    Solved means: from (u, v), ``depth`` steps without input emit no spike and end in a state whose next
    decay equals that of (u0, v0), which is all that the neuron's future depends on.
    """
    u, v = np.array(population.u0), np.array(population.v0)
    trail = [u]
    for _ in range(depth):
        trail.append(_before(trail[-1], kept_u(population.du)))
    for later in trail[:depth]:
        v = _before(v - later - population.bias, kept_v(population.dv))
    u = trail[-1]
    if _silent(population, depth, u, v):
        return LeadIn(u, v)
    return LeadIn(np.array(population.u0), np.array(population.v0), switched=True)


def _before(x: IntArray, keep: int | IntArray) -> IntArray:
    """The x of smallest magnitude that decays to the given one: ceil(|x| 4096 / keep), since keep <= 4096."""
    magnitude = -((-np.abs(x) << DECAY_BITS) // np.maximum(keep, 1))
    # A value that left the range of u and v has no solution; the clip keeps the next product in int64.
    found = np.sign(x) * np.minimum(magnitude, 1 << 40)
    return np.asarray(np.where(np.less_equal(keep, 0), 0, found), dtype=np.int64)


def _silent(population: QuantisedPopulation, depth: int, u: IntArray, v: IntArray) -> bool:
    """Whether ``depth`` steps from (u, v) are silent, in range, and end equivalent to (u0, v0)."""
    keep_u, keep_v = kept_u(population.du), kept_v(population.dv)
    threshold = np.minimum(population.vth << STATE_SHIFT, _LIMIT)
    for _ in range(depth):
        if max(np.abs(u).max(initial=0), np.abs(v).max(initial=0)) > _LIMIT:
            return False
        u = decay(u, keep_u)
        v = decay(v, keep_v) + u + population.bias
        if np.any(v > threshold) or np.any(v < -_LIMIT):
            return False
    return np.array_equal(decay(u, keep_u), decay(population.u0, keep_u)) and np.array_equal(
        decay(v, keep_v), decay(population.v0, keep_v)
    )
