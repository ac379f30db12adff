"""Rules of the discretised float network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.validity.connections import connections_are_sound
from snn_deploy.network.validity.table import Table
from snn_deploy.network.validity.topology import (
    names_are_unique,
    neurons_of,
    outputs_read_nodes,
    projections_join,
    shapes_are_positive,
    sizes_match,
)

_ARRAYS = ("du", "dv", "bias", "u0", "v0", "gap", "v_reset")


def arrays_are_sound(network: DiscreteNetwork) -> Iterator[Violation]:
    """One finite value a neuron in every array."""
    for population in network.populations:
        where, neurons = f"population {population.name!r}", neurons_of(population)
        for name in _ARRAYS:
            values = getattr(population, name)
            if values.shape != (neurons,):
                yield Violation(f"{name} has the wrong shape", where, str(values.shape), f"({neurons},)")
            elif not np.all(np.isfinite(values)):
                yield Violation(f"{name} must be finite", where)


def decays_are_fractions(network: DiscreteNetwork) -> Iterator[Violation]:
    """0 <= du, dv <= 1, and a unit of v above 0: beyond, the state would overshoot or mean nothing."""
    for population in network.populations:
        where = f"population {population.name!r}"
        for name in ("du", "dv"):
            values = getattr(population, name)
            if np.any((values < 0) | (values > 1)):
                yield Violation(
                    f"{name} is out of range", where, f"{values.min():g} .. {values.max():g}", "0 .. 1"
                )
        if np.any(population.gap <= 0):
            yield Violation("gap is out of range", where, f"{population.gap.min():g}", "> 0")


DISCRETE: Table = (
    (names_are_unique, shapes_are_positive, projections_join, outputs_read_nodes),
    (connections_are_sound, arrays_are_sound),
    (sizes_match, decays_are_fractions),
)
