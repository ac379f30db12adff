"""Rules of the float network in continuous time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.network import Network
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


def parameters_are_sound(network: Network) -> Iterator[Violation]:
    """Each parameter has one value a neuron, and a meaning under the contract's time step."""
    for population in network.populations:
        where, neurons = population.name, neurons_of(population)
        shapes = {f.name: np.shape(getattr(population.neuron, f.name)) for f in fields(population.neuron)}
        wrong = {name: shape for name, shape in shapes.items() if shape != (neurons,)}
        for name, shape in wrong.items():
            yield Violation(f"{name} has the wrong shape", where, str(shape), f"({neurons},)")
        if not wrong:
            yield from population.neuron.violations(where, network.contract.dt)


def biases_are_sound(network: Network) -> Iterator[Violation]:
    """A projection's bias has one finite value a target neuron."""
    neurons = {population.name: neurons_of(population) for population in network.populations}
    for edge in network.projections:
        if edge.bias is None:
            continue
        where = f"projection {edge.name!r}"
        if edge.bias.shape != (neurons[edge.target],):
            yield Violation(
                "bias has the wrong shape", where, str(edge.bias.shape), f"({neurons[edge.target]},)"
            )
        elif not np.all(np.isfinite(edge.bias)):
            yield Violation("bias must be finite", where)


NETWORK: Table = (
    (names_are_unique, shapes_are_positive, projections_join, outputs_read_nodes),
    (connections_are_sound,),
    (sizes_match, parameters_are_sound, biases_are_sound),
)
