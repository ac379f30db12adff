"""Lava's integer laws against the same laws in Python's own integers, at random and at the edges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from snn_deploy.network import integers
from snn_deploy.network.arrays import IntArray

EDGES = [e + d for e in (0, 64, 4095, 2**23, 2**24, 2**31 - 2**24) for d in (-2, -1, 0, 1, 2)]
STATES = np.array([s * e for s in (1, -1) for e in EDGES])


def values(seed: int) -> IntArray:
    """Edge values and a thousand random ones of every magnitude up to 2^31, of either sign."""
    rng = np.random.default_rng(seed)
    magnitude = 2 ** rng.uniform(0, 31, 1000)
    return np.concatenate([STATES, np.rint(rng.choice([-1, 1], 1000) * magnitude)]).astype(np.int64)


@pytest.mark.parametrize("kept", [0, 1, 7, 2048, 3969, 4095, 4096])
def test_a_state_decays_toward_zero(kept: int) -> None:
    states = values(kept)
    expected = [math.trunc(Fraction(int(x) * kept, 4096)) for x in states]
    found = integers.decay(states, kept)
    assert found.dtype == np.int64 and found.tolist() == expected
    floors = [int(x) * kept // 4096 for x in states]
    assert (expected != floors) == (kept not in (0, 4096))  # rounding down would have been another law
    assert int(integers.decay(-4097, kept)) == math.trunc(Fraction(-4097 * kept, 4096))


def test_registers_say_what_a_step_keeps() -> None:
    assert [integers.kept_u(du) for du in (-1, 0, 4094, 4095)] == [4096, 4095, 1, 0]
    assert [integers.kept_v(dv) for dv in (0, 1, 4095, 4096)] == [4096, 4095, 1, 0]
    assert integers.kept_u(integers.COMPLETE_DU) == integers.kept_v(integers.COMPLETE_DV) == 0


def test_u_wraps_once() -> None:
    def wrapped(u: int) -> int:
        if u > 8388608:
            return u - 16777216
        return u + 16777216 if u <= -8388608 else u

    states = values(1)
    found = integers.wrap(states)
    assert found.tolist() == [wrapped(int(u)) for u in states]
    moved = found != states
    assert moved.any() and not moved.all()
    assert np.abs(found).max() > 8388608  # what lies further out than one turn stays out


def test_v_is_clipped_below_its_limit() -> None:
    states = values(2)
    found = integers.saturate(states)
    assert found.tolist() == [min(max(int(v), -8388607), 8388607) for v in states]
    assert {int(found.min()), int(found.max())} == {-8388607, 8388607} and len(set(found.tolist())) > 100


@pytest.mark.parametrize("exponent", range(-8, 8))
def test_a_sum_is_shifted_with_its_floor(exponent: int) -> None:
    sums = values(exponent + 8)
    expected = [math.floor(int(a) * Fraction(2) ** exponent) for a in sums]
    assert integers.shift(sums, exponent).tolist() == expected
    truncated = [math.trunc(int(a) * Fraction(2) ** exponent) for a in sums]
    assert (expected != truncated) == (exponent < 0)


def test_every_value_may_have_its_own_exponent() -> None:
    sums = values(3)
    exponents = np.random.default_rng(3).integers(-8, 8, sums.size)
    expected = [math.floor(int(a) * Fraction(2) ** int(e)) for a, e in zip(sums, exponents, strict=True)]
    assert integers.shift(sums, exponents).tolist() == expected


def test_no_threshold_beyond_its_bits_is_ever_passed() -> None:
    assert integers.UNREACHABLE_VTH == 2**17
    assert int(integers.saturate(10**12)) <= integers.UNREACHABLE_VTH << integers.STATE_SHIFT
    assert int(integers.saturate(10**12)) > (integers.UNREACHABLE_VTH - 1) << integers.STATE_SHIFT
