"""Discretise: Network (continuous time) to DiscreteNetwork (per-step decays, threshold 1, reset 0).

Forward Euler, current first, as Norse and NIR's reference interpreters do:

    I[t] = (1 - a_s) I[t-1] + a_s w_in S[t];   v[t] = (1 - a_m) v[t-1] + a_m (v_leak + r I[t])

with a_s = dt / tau_syn and a_m = dt / tau_mem. With x = (v - v_reset) / gap and
gap = v_threshold - v_reset this is Loihi's own update, exactly: du = a_s, dv = a_m,
W' = diag(g / gap) W with g = a_m a_s r w_in, and bias = a_m (v_leak - v_reset) / gap. A constant
input b (the sum of all incoming biases) would drive u forever; the substitution u' = u - U with
U = g b / (gap du) moves it into v's bias (+U) and the initial current (-U), exact in the transient.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from snn_deploy.convert.arrays import AnyArray, FloatArray, frozen
from snn_deploy.convert.connections import Connection, Conv2d, Dense, Sparse, map_weights, size, synapses
from snn_deploy.convert.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection
from snn_deploy.convert.network import Network, Population, Projection
from snn_deploy.convert.neurons import LIF, CubaLIF, Neuron
from snn_deploy.errors import ModelNotSupported, Violation


def discretise(network: Network) -> DiscreteNetwork:
    """Return the network with per-step decays, exactly equal in its spikes (float64).

    Raises ModelNotSupported with every population that cannot be discretised: a time constant below
    dt, a threshold at or below reset, parameters that are not finite.
    """
    violations = [v for p in network.populations for v in _violations(p, network.contract.dt)]
    if violations:
        raise ModelNotSupported(violations)
    incoming = {p.name: [e for e in network.projections if e.target == p.name] for p in network.populations}
    populations = []
    gains = {}
    for population in network.populations:
        drive = sum(
            (e.bias for e in incoming[population.name] if e.bias is not None),
            start=np.zeros(int(np.prod(population.shape))),
        )
        discrete, gains[population.name] = dynamics(population.neuron, population, network.contract.dt, drive)
        populations.append(discrete)
    return DiscreteNetwork(
        contract=network.contract,
        inputs=network.inputs,
        populations=tuple(populations),
        projections=tuple(_projection(e, gains[e.target]) for e in network.projections),
        outputs=network.outputs,
    )


@singledispatch
def dynamics(
    neuron: Neuron, population: Population, dt: float, drive: FloatArray
) -> tuple[DiscretePopulation, FloatArray]:
    """Return the discrete population and the gain of each weight row, g / gap, shape (neurons,).

    drive: sum of all incoming biases, shape (neurons,). To add a neuron model, register it here.
    """
    raise ModelNotSupported(
        "no discretisation for this neuron", where=population.name, found=type(neuron).__name__
    )


@dynamics.register
def _(
    neuron: LIF, population: Population, dt: float, drive: FloatArray
) -> tuple[DiscretePopulation, FloatArray]:
    decay = dt / neuron.tau
    gap = neuron.v_threshold - neuron.v_reset
    gain = decay * neuron.r / gap
    discrete = DiscretePopulation(
        name=population.name,
        shape=population.shape,
        du=frozen(np.ones_like(decay), np.float64),
        dv=frozen(decay, np.float64),
        bias=frozen(decay * (neuron.v_leak - neuron.v_reset) / gap + gain * drive, np.float64),
        u0=frozen(np.zeros_like(gap), np.float64),
        v0=frozen((neuron.v_leak - neuron.v_reset) / gap, np.float64),
        gap=frozen(gap, np.float64),
        v_reset=frozen(neuron.v_reset, np.float64),
    )
    return discrete, gain


@dynamics.register
def _(
    neuron: CubaLIF, population: Population, dt: float, drive: FloatArray
) -> tuple[DiscretePopulation, FloatArray]:
    decay_syn, decay_mem = dt / neuron.tau_syn, dt / neuron.tau_mem
    gap = neuron.v_threshold - neuron.v_reset
    gain = decay_mem * decay_syn * neuron.r * neuron.w_in / gap
    settled = gain * drive / decay_syn
    discrete = DiscretePopulation(
        name=population.name,
        shape=population.shape,
        du=frozen(decay_syn, np.float64),
        dv=frozen(decay_mem, np.float64),
        bias=frozen(decay_mem * (neuron.v_leak - neuron.v_reset) / gap + settled, np.float64),
        u0=frozen(-settled, np.float64),
        v0=frozen((neuron.v_leak - neuron.v_reset) / gap, np.float64),
        gap=frozen(gap, np.float64),
        v_reset=frozen(neuron.v_reset, np.float64),
    )
    return discrete, gain


@singledispatch
def _scale_rows(connection: Connection, gain: FloatArray) -> Connection:
    raise TypeError(f"not a connection: {type(connection).__name__}")


@_scale_rows.register
def _(connection: Dense, gain: FloatArray) -> Connection:
    return map_weights(connection, lambda w: frozen(gain[:, None] * w, np.float64))


@_scale_rows.register
def _(connection: Sparse, gain: FloatArray) -> Connection:
    per_synapse = np.repeat(gain, np.diff(connection.indptr))
    return map_weights(connection, lambda w: frozen(per_synapse * w, np.float64))


@_scale_rows.register
def _(connection: Conv2d, gain: FloatArray) -> Connection:
    per_channel = gain.reshape(connection.output_shape[0], -1)
    if np.all(per_channel == per_channel[:, :1]):
        return map_weights(connection, lambda w: frozen(per_channel[:, :1, None, None] * w, np.float64))
    pattern = synapses(connection)  # a kernel shared by neurons of different gain cannot stay a kernel
    return Sparse(
        frozen(np.repeat(gain, np.diff(pattern.indptr)) * pattern.data, np.float64),
        frozen(pattern.indices, np.int64),
        frozen(pattern.indptr, np.int64),
        size(connection),
    )


def _projection(edge: Projection, gain: FloatArray) -> DiscreteProjection:
    return DiscreteProjection(
        edge.name, edge.source, edge.target, _scale_rows(edge.connection, gain), edge.delay
    )


def _violations(population: Population, dt: float) -> list[Violation]:
    fields = vars(population.neuron)
    found = [
        Violation(f"{name} is not finite", where=population.name, found=_worst(values, ~np.isfinite(values)))
        for name, values in fields.items()
        if not np.all(np.isfinite(values))
    ]
    if found:
        return found
    for name in (name for name in fields if name.startswith("tau")):
        short = fields[name] < dt
        if np.any(short):
            found.append(
                Violation(
                    f"{name} is shorter than one time step, so the state would overshoot",
                    where=population.name,
                    found=_worst(fields[name], short),
                    allowed=f">= dt = {dt:g} s",
                    remedy="Lower --dt to the value the network was trained with.",
                )
            )
    if "v_threshold" in fields:
        inverted = fields["v_threshold"] <= fields["v_reset"]
        if np.any(inverted):
            found.append(
                Violation(
                    "v_threshold must lie above v_reset: Loihi's threshold is unsigned",
                    where=population.name,
                    found=_worst(fields["v_threshold"] - fields["v_reset"], inverted),
                    allowed="v_threshold - v_reset > 0",
                )
            )
    return found


def _worst(values: AnyArray, bad: AnyArray) -> str:
    where = np.flatnonzero(bad)
    return f"{values[where[0]]:g} at neuron {where[0]} ({where.size} of {values.size})"
