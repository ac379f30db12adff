"""Decays: 12-bit registers, the error of rounding them, and the weight gain that makes up for it.

A gain that keeps the steady state (du dv against their rounded product) is wrong wherever neurons
fire faster than they settle; the gain here is fitted to the membrane between spikes instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.convert.quantise.evidence import DecayMatch
from snn_deploy.errors import Violation
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray, IntArray
from snn_deploy.network.discrete import DiscretePopulation
from snn_deploy.network.quantised import QuantisedPopulation

#: A decay that moves by more than this share when rounded is worth a warning.
WARN_ABOVE = 0.01
#: Gain and offset are told apart where their membranes' squared sine is more than this.
_APART = 0.02


def unity(profile: Profile) -> int:
    """The register value of a complete decay, 2^12 on Loihi."""
    return 1 << profile.integers.decay_bits.value


def round_decays(population: DiscretePopulation, profile: Profile) -> tuple[IntArray, IntArray]:
    """Return the registers (du, dv), int64, shape (neurons,); u keeps (unity - du - offset) / unity."""
    integers = profile.integers
    one = unity(profile)
    du = np.rint(population.du * one) - integers.decay_u_offset.value
    dv = np.rint(population.dv * one) - integers.decay_v_offset.value
    return (
        np.clip(du, max(0, integers.decay_u.low), integers.decay_u.high).astype(np.int64),
        np.clip(dv, integers.decay_v.low, integers.decay_v.high).astype(np.int64),
    )


def kept_decays(du: Any, dv: Any, profile: Profile) -> tuple[Any, Any]:
    """Map registers back to decays a step."""
    integers = profile.integers
    one = unity(profile)
    return (du + integers.decay_u_offset.value) / one, (dv + integers.decay_v_offset.value) / one


def violations(population: DiscretePopulation, profile: Profile) -> list[Violation]:
    """A synaptic decay below half a unit has no register: the smallest one would more than double it."""
    small = population.du * unity(profile) < 0.5
    if not np.any(small):
        return []
    worst = int(np.argmin(population.du))
    return [
        Violation(
            "the synaptic time constant is longer than a decay register can express",
            where=population.name,
            found=f"tau_syn = {1 / max(population.du[worst], 1e-300):.0f} dt at neuron {worst}",
            allowed=f"tau_syn <= {2 * unity(profile)} dt",
            remedy="Use a larger time step or a shorter time constant.",
        )
    ]


@dataclass(frozen=True, eq=False)
class Correction:
    """What makes up for rounded decays, a neuron: gain of its weights, bias and u0; offset of its bias."""

    gain: FloatArray
    offset: FloatArray


def correction(fit: DecayMatch, population: DiscretePopulation, index: IntArray, rows: int) -> Correction:
    """Least-squares correction of the membranes of the neurons ``index``; none where nothing is known.

    It is one gain for all where their decays are the same before rounding. Else it is a gain for each of
    ``rows`` rows of weights, which so many neurons in turn share, and where each has its own row, also an
    offset: a decay that is wrong by more than rounding shows in a membrane's mean as well.
    """
    overlap, power = fit.overlap[index], fit.power[index]
    whole = float(overlap.sum()) / float(power.sum()) if power.sum() > 0 else 1.0
    none = np.zeros(index.size)
    if rows == 1 or index.size % rows or not _differ(population.du[index], population.dv[index]):
        return Correction(np.full(index.size, whole), none)
    overlap, power = (part.reshape(rows, -1).sum(axis=1) for part in (overlap, power))
    gain = np.repeat(
        np.where(power > 0, overlap / np.where(power > 0, power, 1.0), whole), index.size // rows
    )
    if rows < index.size or fit.with_constant is None:
        return Correction(gain, none)
    return _with_offset(fit, index, gain)


def _with_offset(fit: DecayMatch, index: IntArray, gain: FloatArray) -> Correction:
    """Both at once, where calibration tells them apart; the gain alone elsewhere."""
    parts = (fit.power, fit.with_constant, fit.constant_power, fit.overlap, fit.constant_overlap)
    aa, ab, bb, ya, yb = (np.asarray(part)[index] for part in parts)
    determinant = aa * bb - ab**2
    apart = determinant > _APART * aa * bb
    safe = np.where(apart, determinant, 1.0)
    return Correction(
        np.where(apart, (ya * bb - yb * ab) / safe, gain), np.where(apart, (yb * aa - ya * ab) / safe, 0.0)
    )


def _differ(*decays: FloatArray) -> bool:
    return any(float(np.ptp(part)) > WARN_ABOVE * float(part.max()) for part in decays)


def rounding_errors(
    population: DiscretePopulation, quantised: QuantisedPopulation, profile: Profile
) -> dict[str, float]:
    """Worst relative rounding error of each decay over the neurons of one integer population."""
    du, dv = kept_decays(quantised.du, quantised.dv, profile)
    exact_du, exact_dv = population.du[quantised.index], population.dv[quantised.index]
    return {
        "du": float(np.max(np.abs(du / exact_du - 1), initial=0.0)),
        "dv": float(np.max(np.abs(dv - exact_dv) / np.maximum(exact_dv, 1e-12), initial=0.0)),
    }
