"""The state scale S: how many threshold mantissas make one unit of normalised membrane.

The threshold costs nothing to scale, so S may be as large as every format allows; but the larger S, the
sooner u wraps and v saturates. So S comes down, octave by octave, as long as that costs no precision and
some input could still fill the range, and within its octave it is the value whose grids lie closest to
the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from snn_deploy.convert.quantise.biases import largest_bias
from snn_deploy.convert.quantise.evidence import Extremes
from snn_deploy.convert.quantise.groups import Group
from snn_deploy.errors import Violation
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.discrete import DiscretePopulation
from snn_deploy.network.integers import STATE_SHIFT

#: Headroom beyond what calibration observed: against the wrap of u, the input port, the clip of v.
_U_MARGIN, _DRIVE_MARGIN, _V_MARGIN = 2.0, 1.25, 1.2
_CANDIDATES = 12
#: What more room may cost: this factor of the squared weight error, this much of the threshold lost by
#: truncation. A neuron that never forgets is taken to forget by this much a step.
_SQUARED_ERROR_ALLOWED, _TRUNCATION_ALLOWED, _SHORTEST_MEMORY = 1.02, 1e-3, 1e-3


def ceilings(
    population: DiscretePopulation,
    group: Group,
    seen: Extremes,
    profile: Profile,
    *,
    largest_weight: float,
    top: int,
) -> dict[str, float]:
    """The largest S that each format allows, by what limits it.

    largest_weight: of the weights, in units of the threshold. top: largest integer of a plane.
    """
    integers = profile.integers
    state = float(1 << (integers.state_bits.value - 1 - STATE_SHIFT))
    port = float(1 << (integers.accumulator_bits.value - 1))
    initial_u = float(np.abs(population.u0[group.index]).max(initial=0.0))
    initial_v = float(np.abs(population.v0[group.index]).max(initial=0.0))
    bias = float(np.abs(population.bias[group.index]).max(initial=0.0))

    def room(available: float, needed: float) -> float:
        return available / needed if needed > 0 else np.inf

    return {
        "threshold mantissa": float(integers.threshold_mantissa.high),
        "synaptic current u": room(state, _U_MARGIN * max(seen.u, initial_u)),
        "membrane v": room(state, _V_MARGIN * max(1.0, seen.v, initial_v)),
        "summed input of a step": room(port, _DRIVE_MARGIN * seen.drive),
        "weight exponent": room(top * 2.0**integers.weight_exp.high, largest_weight),
        "bias": room(largest_bias(profile) / (1 << STATE_SHIFT), bias),
    }


def choose_scale(
    limits: Mapping[str, float],
    roomy: float,
    largest_weights: Sequence[float],
    top: int,
    *,
    error: Callable[[float], float],
    memory: float,
) -> int:
    """Return the S of least ``error(S)``, the relative weight error, in the octave that leaves most room.

    limits: the largest S of each format. roomy: the S at which no input fills the range of u or v.
    largest_weights: of each source. A source whose largest weight just fills its plane (``top``) wastes
    no bit, so these scales are tried beside evenly spaced ones. memory: see :func:`truncation`.
    """
    ceiling = min(limits.values())
    best = _best_below(ceiling, largest_weights, top, error)
    allowed = error(best) * _SQUARED_ERROR_ALLOWED
    while best > max(roomy, 1.0):
        ceiling = max(ceiling / 2, min(roomy, ceiling))
        lower = _best_below(ceiling, largest_weights, top, error)
        if lower >= best or error(lower) > allowed or truncation(lower, memory) > _TRUNCATION_ALLOWED:
            break
        best = lower
    return best


def truncation(scale: float, memory: float) -> float:
    """What rounding the decayed u and v toward zero can take from a steady v, in thresholds.

    Each step loses half a unit of 1 / (64 S) on average; ``memory``: units that such a loss adds up to.
    """
    return memory / (2 * scale * (1 << STATE_SHIFT))


def memory(du: float, dv: float) -> float:
    """Units of v that a loss of one unit a step adds up to, in u and then v, by their decays a step."""
    of_u = 1 / du if 0 < du < 1 else 0.0
    of_v = 1.0 if 0 < dv < 1 else 0.0
    return float((of_u + of_v) / max(dv, _SHORTEST_MEMORY))


def _best_below(
    ceiling: float, largest_weights: Sequence[float], top: int, error: Callable[[float], float]
) -> int:
    even = ceiling * 2.0 ** -np.linspace(0, 1, _CANDIDATES, endpoint=False)
    filling = np.array([top / w for w in largest_weights if w > 0])
    filling = filling * 2.0 ** np.floor(np.log2(ceiling / filling)) if filling.size else filling
    candidates = np.unique(np.floor(np.concatenate([even, filling])))
    usable = [float(s) for s in candidates[::-1] if s >= 1] or [1.0]
    return int(min(usable, key=error))


def violations(where: str, limits: dict[str, float]) -> list[Violation]:
    """A scale below 1 cannot represent the threshold at all."""
    return [
        Violation(
            f"the threshold cannot be scaled to an integer: the {name} would overflow",
            where=where,
            found=f"a state scale of at most {limit:.3g}",
            allowed=">= 1",
            remedy="Lower the weights, inputs or biases against the threshold.",
        )
        for name, limit in limits.items()
        if limit < 1
    ]


def relative_error(rounded: FloatArray, exact: FloatArray) -> float:
    """Root mean square error in units of the root mean square weight."""
    norm = float(np.sqrt(np.mean(exact**2))) if exact.size else 0.0
    return float(np.sqrt(np.mean((rounded - exact) ** 2))) / norm if norm else 0.0
