"""What a float run on calibration spikes tells the quantiser: plain arrays, no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from snn_deploy.network.arrays import FloatArray, IntArray, SpikeArray


@dataclass(frozen=True)
class Extremes:
    """Largest magnitudes seen in one population, in units of the threshold.

    u: synaptic current. drive: summed weighted input of a step. v: of a read-out, the membrane potential;
    of a spiking neuron, the depth below reset that it recovers from to fire, but for a rare few spikes.
    Deeper v may be clipped, since the neuron stays silent all the same.
    """

    u: float
    drive: float
    v: float


@dataclass(frozen=True, eq=False)
class DecayMatch:
    """Sums over samples and steps that give the least-squares gain, and offset, of rounded decays.

    overlap: sum of v_float v_rounded; power: sum of v_rounded squared; shape (neurons,). v_rounded is
    the membrane of the same weights and spikes with rounded decays. v_constant is that of a constant
    drive of 1; with_constant: sum of v_rounded v_constant; constant_power: of v_constant squared;
    constant_overlap: of v_float v_constant. Without those three no offset is fitted.
    """

    overlap: FloatArray
    power: FloatArray
    with_constant: FloatArray | None = None
    constant_power: FloatArray | None = None
    constant_overlap: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """The float network on calibration spikes.

    rasters: input and population name -> (samples, steps, neurons), uint8 spikes or graded integers.
    extremes, decay_matches: by population name. registers: (du, dv) of each neuron where neurons share
    decays, by population name; elsewhere each has its own, rounded.
    """

    rasters: Mapping[str, SpikeArray]
    extremes: Mapping[str, Extremes]
    decay_matches: Mapping[str, DecayMatch]
    registers: Mapping[str, tuple[IntArray, IntArray]] = field(default_factory=lambda: MappingProxyType({}))
