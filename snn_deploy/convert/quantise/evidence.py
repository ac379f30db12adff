"""What a float run on calibration spikes tells the quantiser: plain arrays, no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snn_deploy.network.arrays import FloatArray, SpikeArray


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
    """Sums over samples and steps that give the least-squares gain of rounded decays.

    overlap: sum of v_float v_rounded; power: sum of v_rounded squared; shape (neurons,). v_rounded is
    the membrane of the same weights and spikes with rounded decays.
    """

    overlap: FloatArray
    power: FloatArray


@dataclass(frozen=True, eq=False)
class Evidence:
    """The float network on calibration spikes.

    rasters: input and population name -> (samples, steps, neurons), uint8 spikes or graded integers.
    extremes, decay_matches: by population name.
    """

    rasters: Mapping[str, SpikeArray]
    extremes: Mapping[str, Extremes]
    decay_matches: Mapping[str, DecayMatch]
