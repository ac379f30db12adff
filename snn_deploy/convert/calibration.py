"""Calibration: run the float network on example spikes and note what quantisation must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.quantise import DecayMatch, Evidence, Extremes
from snn_deploy.convert.quantise.decay_groups import grouped_decays, limit_of
from snn_deploy.convert.quantise.decays import kept_decays
from snn_deploy.convert.quantise.gate import MIN_SPIKES
from snn_deploy.engine import float as float_engine
from snn_deploy.engine.float import FloatNeurons, FloatSynapses
from snn_deploy.engine.inputs import graded_range
from snn_deploy.engine.stepping import Spikes, State, simulate
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import IntArray
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation

#: Generated calibration spikes: samples, steps, and the rates of the first and the last sample, before
#: they are shuffled. Inputs may be sparse, so most samples are.
_SAMPLES, _STEPS, _RATES = 32, 60, (0.3, 0.005)
#: Rates that follow where a layer stays silent at those.
_LIVELIER_RATES = (1.0, 0.05)
#: Steps follow the longest time constant, up to a limit; samples then become fewer, for the same time.
_TIME_CONSTANTS, _LONGEST, _FEWEST_SAMPLES = 3.0, 3000, 8
#: Membranes between these fractions of the threshold decide the gain of rounded decays.
_MATCH_RANGE = (0.2, 3.0)
#: A trough of v tells at a later spike if more than this of it, in thresholds, is left; so many of the
#: telling ones must stay above the clip of v.
_TELLING, _TROUGHS_KEPT = 0.02, 0.995


class _Observed(FloatNeurons):
    """FloatNeurons with a shadow whose decays are rounded and whose resets follow the float spikes."""

    def __init__(
        self, population: DiscretePopulation, profile: Profile, registers: tuple[IntArray, IntArray]
    ) -> None:
        super().__init__(population)
        self._exact = population
        self._du, self._dv = kept_decays(*registers, profile)

    def start(self, samples: int) -> State:
        state = super().start(samples)
        self.u, self.v = (float(np.abs(part).max(initial=0.0)) for part in state)
        self.drive = 0.0
        self._trough, self._memory = np.zeros((samples, self.size)), np.ones((samples, self.size))
        self._troughs: list[NDArray[np.float64]] = []
        self._shadow_u, self._shadow_v = (part.copy() for part in state)
        self._constant_v = np.zeros((samples, self.size))
        self._sums = np.zeros((5, self.size))
        return state

    def step(self, state: State, drive: NDArray[np.float64]) -> NDArray[np.bool_]:
        before = state[1] * (1 - self._exact.dv)
        fired = super().step(state, drive)
        potential = before + state[0] + self._exact.bias
        self.drive = max(self.drive, float(np.abs(drive).max(initial=0.0)))
        self.u = max(self.u, float(np.abs(state[0]).max(initial=0.0)))
        self.v = max(self.v, float(np.abs(potential).max(initial=0.0)))
        self._sink(state[1], fired)
        self._match(potential, drive, fired)
        return fired

    @property
    def depth(self) -> float:
        """The depth of v that the integers must hold: see :class:`Extremes`."""
        if not self._exact.spiking or self._exact.reset == "subtract":
            return self.v
        troughs = np.concatenate(self._troughs) if self._troughs else np.zeros(0)
        return float(np.quantile(troughs, _TROUGHS_KEPT)) if troughs.size else 0.0

    def _sink(self, v: NDArray[np.float64], fired: NDArray[np.bool_]) -> None:
        """Note how deep v was before each spike, where that depth still told at the spike."""
        telling = fired & (self._trough * self._memory > _TELLING)
        self._troughs.append(self._trough[telling])
        self._memory *= 1 - self._exact.dv
        deeper = -v > self._trough
        self._trough = np.where(fired, 0.0, np.where(deeper, -v, self._trough))
        self._memory[deeper | fired] = 1.0

    def _match(
        self, potential: NDArray[np.float64], drive: NDArray[np.float64], fired: NDArray[np.bool_]
    ) -> None:
        self._shadow_u = self._shadow_u * (1 - self._du) + drive
        self._shadow_v = self._shadow_v * (1 - self._dv) + self._shadow_u + self._exact.bias
        low, high = _MATCH_RANGE
        inside = (potential > low) & (potential < high) if self._exact.spiking else np.ones_like(fired)
        rounded = np.where(inside, self._shadow_v, 0.0)
        self._constant_v = self._constant_v * (1 - self._dv) + 1.0
        constant = np.where(inside, self._constant_v, 0.0)
        left = (potential, rounded, rounded, constant, potential)
        right = (rounded, rounded, constant, constant, constant)
        self._sums += [np.einsum("sn,sn->n", a, b) for a, b in zip(left, right, strict=True)]
        if self._exact.reset == "subtract":
            self._shadow_v[fired] -= 1.0
        else:
            self._shadow_v[fired] = self._constant_v[fired] = 0.0

    @property
    def match(self) -> DecayMatch:
        """What :meth:`_match` summed up."""
        return DecayMatch(*self._sums)


def observe(
    network: DiscreteNetwork,
    profile: Profile,
    inputs: Mapping[str, Spikes],
    decay_groups: int | None = None,
) -> Evidence:
    """Run the float network on ``inputs`` (samples, steps, neurons) by input name; return what it did.

    decay_groups: most pairs of decay registers a node; None leaves it to the profile.
    """
    limit = limit_of(profile, decay_groups)
    registers = {p.name: grouped_decays(p, profile, limit) for p in network.populations}
    neurons = {p.name: _Observed(p, profile, registers[p.name]) for p in network.populations}
    synapses = [FloatSynapses(projection) for projection in network.projections]
    rasters = simulate(network, neurons, synapses, inputs)
    return Evidence(
        rasters,
        {name: Extremes(n.u, n.drive, n.depth) for name, n in neurons.items()},
        {name: n.match for name, n in neurons.items()},
        registers,
    )


def generated_calibration(network: DiscreteNetwork, seed: int) -> dict[str, NDArray[Any]]:
    """Spikes to calibrate by where none are given: :func:`generated_spikes`, longer where time constants
    are long, and livelier where a layer would stay too quiet to be judged."""
    steps = int(min(max(_STEPS, np.ceil(_TIME_CONSTANTS * longest_time_constant(network))), _LONGEST))
    samples = max(_FEWEST_SAMPLES, min(_SAMPLES, 4 * _SAMPLES * _STEPS // steps))
    usual = generated_spikes(network, seed, samples, steps)
    silent = _too_quiet(network, usual)
    if not silent:
        return usual
    livelier = generated_spikes(network, seed, samples, steps, rates=_LIVELIER_RATES)
    return livelier if _too_quiet(network, livelier) < silent else usual


def longest_time_constant(network: DiscreteNetwork) -> float:
    """The longest finite time constant of the network's states, in steps; 1 where there is none."""
    decays = [d for p in network.populations for d in (p.du, p.dv)]
    fading = np.concatenate([np.ones(1), *(d[d > 0] for d in decays)])
    return float(1 / fading.min())


def _too_quiet(network: DiscreteNetwork, inputs: Mapping[str, Spikes]) -> int:
    """How many spiking populations the gate could not judge on these inputs."""
    spikes = float_engine.run(network, inputs).rasters
    return sum(int(spikes[p.name].sum()) < MIN_SPIKES for p in network.populations if p.spiking)


def generated_spikes(
    network: DiscreteNetwork,
    seed: int,
    samples: int = _SAMPLES,
    steps: int = _STEPS,
    *,
    rates: tuple[float, float] = _RATES,
) -> dict[str, NDArray[Any]]:
    """Bernoulli spikes for every input, each sample at its own rate: a geometric series between ``rates``.

    Graded spikes (int32) are drawn evenly over the range of their width.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.permutation(np.geomspace(*rates, samples))[:, None, None]
    rasters: dict[str, NDArray[Any]] = {}
    for node in network.inputs:
        shape = (samples, steps, int(np.prod(node.shape)))
        raster = (generator.random(shape) < drawn).astype(np.uint8)
        if node.message_bits:
            low, high = graded_range(node.message_bits)
            rasters[node.name] = raster * generator.integers(low, high, shape, dtype=np.int32, endpoint=True)
        else:
            rasters[node.name] = raster
    return rasters
