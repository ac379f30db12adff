"""Lava's integer arithmetic: its constants and its operations, each written once.

Source: the fixed-point LIF and Dense of Lava 0.10.0 (proc/lif/models.py, proc/dense/models.py), measured
bit for bit. Arrays are int64. The NumPy kernel (engine/fixed/numpy_kernel.py) writes these laws a second
time, in float64, so that it stays readable beside Lava's equations and each checks the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snn_deploy.network.arrays import IntArray

#: A decay register counts in units of 1/4096 a step.
DECAY_BITS = 12
DECAY_UNITY = 1 << DECAY_BITS

#: du of a u that keeps nothing, as it is stored less one (Lava's ds_offset), and dv of such a v.
COMPLETE_DU, COMPLETE_DV = DECAY_UNITY - 1, DECAY_UNITY

#: u and v have 24 bits: u wraps into (-2^23, 2^23], v is clipped to -(2^23 - 1) .. 2^23 - 1.
STATE_LIMIT = 1 << 23

#: Threshold and summed input are shifted left by this much against u and v (vth << 6, a_in << 6).
STATE_SHIFT = 6

#: Threshold of a population that never spikes: they have 17 bits, and a clipped v never passes 2^17 << 6.
UNREACHABLE_VTH = 1 << 17

#: Steps a synapse can wait beyond the step that each connection costs (Lava's DelayDense, Loihi 1 and 2).
LONGEST_DELAY = 62


def kept_u(du: int) -> int:
    """What a step leaves of u, in units of 1/4096; du: -1 (all) .. 4095 (nothing)."""
    return COMPLETE_DU - du


def kept_v(dv: int) -> int:
    """What a step leaves of v, in units of 1/4096; dv: 0 (all) .. 4096 (nothing)."""
    return COMPLETE_DV - dv


def decay(x: Any, kept: int) -> IntArray:
    """x kept / 4096, rounded toward zero, so that a state of either sign dies out at 0."""
    return np.asarray(np.sign(x) * ((np.abs(x) * kept) >> DECAY_BITS), dtype=np.int64)


def wrap(u: Any) -> IntArray:
    """u after its input: moved by 2^24, once, where it left (-2^23, 2^23]."""
    above, below = np.greater(u, STATE_LIMIT), np.less_equal(u, -STATE_LIMIT)
    return np.asarray(u - 2 * STATE_LIMIT * (above.astype(np.int64) - below))


def saturate(v: Any) -> IntArray:
    """v before the threshold: clipped to -(2^23 - 1) .. 2^23 - 1."""
    return np.asarray(np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1))


def shift(x: Any, exponent: Any) -> IntArray:
    """x 2^exponent, rounded down: of a weighted sum by weight_exp, of a bias mantissa by bias_exp."""
    return np.asarray((x << np.maximum(exponent, 0)) >> np.maximum(-np.asarray(exponent), 0))
