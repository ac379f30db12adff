"""Decays of exp(-dt / tau) a step, as some frameworks have them, as Euler steps, which all else knows.

With e = exp(-dt / tau), v <- e v + (1 - e) (v_leak + r S) is the Euler step of the time constant
tau' = dt / (1 - e): v <- v + dt / tau' (v_leak - v + r S). So is that of a synapse's current.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from snn_deploy.network.network import Network, Population


def as_euler_steps(network: Network) -> Network:
    """Return the network with time constants whose Euler steps decay as its contract says."""
    if network.contract.decay == "euler":
        return network
    dt = network.contract.dt
    return replace(network, populations=tuple(_lengthened(p, dt) for p in network.populations))


def _lengthened(population: Population, dt: float) -> Population:
    neuron = population.neuron
    taus = {f.name: getattr(neuron, f.name) for f in fields(neuron) if f.name.startswith("tau")}
    return replace(
        population, neuron=replace(neuron, **{name: -dt / np.expm1(-dt / tau) for name, tau in taus.items()})
    )
