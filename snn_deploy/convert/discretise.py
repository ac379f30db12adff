"""Discretise: Network (continuous time) to DiscreteNetwork (per-step decays, threshold 1, reset 0).

Forward Euler, current first, as NIR's reference interpreters do:

    I[t] = (1 - a_s) I[t-1] + a_s w_in S[t];   v[t] = (1 - a_m) v[t-1] + a_m (v_leak + r I[t])

with a_s = dt / tau_syn and a_m = dt / tau_mem. With x = (v - base) / unit this is Loihi's own update,
exactly: du = a_s, dv = a_m, W' = diag(g / unit) W with g = a_m a_s r w_in, and
bias = a_m (v_leak - base) / unit. A spiking neuron has base = v_reset and unit = v_threshold - v_reset, so
that a spike takes x to 0, or 1 off x where the contract subtracts.

A constant input b (the sum of all incoming biases, recurrent ones included) would drive u forever; the
substitution u' = u - U with U = g b / (unit du) moves it into v's bias (+U) and the initial current
(-U), exact from the first step on.

A read-out (no threshold) is free to choose base and unit: base = v_leak (its start), so that it needs
neither bias nor initial state, and unit = the largest incoming weight of each neuron, so that each row
of weights spans [-1, 1] and quantisation can use its whole range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snn_deploy.convert.compose import scale_rows
from snn_deploy.network.arrays import FloatArray, frozen
from snn_deploy.network.connections import synapses
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection
from snn_deploy.network.network import Network, Population, Projection
from snn_deploy.network.neurons import Dynamics


def discretise(network: Network) -> DiscreteNetwork:
    """Return the network with per-step decays, exactly equal in its spikes (float64).

    The network is one that :data:`NETWORK` accepts.
    """
    dt = network.contract.dt
    incoming: dict[str, list[Projection]] = {p.name: [] for p in network.populations}
    for edge in network.projections:
        incoming[edge.target].append(edge)
    populations = []
    gains = {}
    for population in network.populations:
        discrete, gains[population.name] = _population(population, dt, incoming[population.name])
        populations.append(replace(discrete, reset=network.contract.reset))
    return DiscreteNetwork(
        contract=network.contract,
        inputs=network.inputs,
        populations=tuple(populations),
        projections=tuple(
            DiscreteProjection(e.name, e.source, e.target, scale_rows(e.connection, gains[e.target]), e.delay)
            for e in network.projections
        ),
        outputs=network.outputs,
    )


def _population(
    population: Population, dt: float, incoming: Sequence[Projection]
) -> tuple[DiscretePopulation, FloatArray]:
    """The discrete population, and the gain g / unit of each weight row."""
    dynamics = population.neuron.dynamics(dt)
    constant = sum((e.bias for e in incoming if e.bias is not None), start=np.zeros_like(dynamics.gain))
    base, unit = _base_and_unit(dynamics, incoming)
    gain = dynamics.gain / unit
    settled = gain * constant / dynamics.du
    discrete = DiscretePopulation(
        name=population.name,
        shape=population.shape,
        du=frozen(dynamics.du, np.float64),
        dv=frozen(dynamics.dv, np.float64),
        bias=frozen(dynamics.dv * (dynamics.v_leak - base) / unit + settled, np.float64),
        u0=frozen(np.where(dynamics.du < 1, -settled, 0.0), np.float64),
        v0=frozen((dynamics.v_start - base) / unit, np.float64),
        gap=frozen(unit, np.float64),
        v_reset=frozen(base, np.float64),
        spiking=dynamics.v_threshold is not None,
    )
    return discrete, gain


def _base_and_unit(dynamics: Dynamics, incoming: Sequence[Projection]) -> tuple[FloatArray, FloatArray]:
    if dynamics.v_threshold is not None and dynamics.v_reset is not None:
        return dynamics.v_reset, dynamics.v_threshold - dynamics.v_reset
    largest = np.zeros_like(dynamics.gain)
    for edge in incoming:
        rows = abs(synapses(edge.connection)).max(axis=1).toarray().reshape(-1)
        largest = np.maximum(largest, np.abs(dynamics.gain) * rows)
    return dynamics.v_start, np.where(largest > 0, largest, 1.0)
