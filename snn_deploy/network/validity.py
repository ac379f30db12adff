"""Refusing integers that Loihi does not hold, before they run.

Lava does not check (facts measured on 0.10.0: a bias mantissa of 40000 silently becomes -25536 in its
int16 Var, a threshold beyond 17 bits makes a neuron silent), so this package must.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.connections import size, weights
from snn_deploy.network.integers import COMPLETE_DU, COMPLETE_DV, LONGEST_DELAY, STATE_LIMIT, UNREACHABLE_VTH
from snn_deploy.network.quantised import (
    QuantisedNetwork,
    QuantisedPopulation,
    QuantisedProjection,
)

#: Least and largest value, inclusive, as Lava 0.10.0 documents its LIF and Dense processes.
DU = (-1, COMPLETE_DU)
DV = (0, COMPLETE_DV)
VTH = (0, UNREACHABLE_VTH - 1)
BIAS_MANT = (-(1 << 12), (1 << 12) - 1)
BIAS_EXP = (0, 7)
STATE = (1 - STATE_LIMIT, STATE_LIMIT - 1)
WEIGHT_EXP = (-8, 7)
WEIGHT_BITS = (1, 8)
DELAY = (0, LONGEST_DELAY)
MESSAGE_BITS = (0, 24)

_WEIGHTS = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}


def check_ranges(network: QuantisedNetwork) -> None:
    """Raise ModelNotSupported, with all violations, where an integer or a reference is out of range."""
    violations = [*_inputs(network), *_structure(network)]
    for population in network.populations:
        violations += _population(population)
    for projection in network.projections:
        violations += _projection(projection)
    if violations:
        raise ModelNotSupported(violations)


def _outside(where: str, what: str, values: Any, allowed: tuple[int, int]) -> Iterator[Violation]:
    array: NDArray[Any] = np.asarray(values)
    bad = (array < allowed[0]) | (array > allowed[1])
    if np.any(bad):
        worst = array[bad].flat[int(np.argmax(np.abs(array[bad])))]
        found = f"{worst}" if array.ndim == 0 else f"{worst} ({np.count_nonzero(bad)} of {array.size} values)"
        yield Violation(f"{what} is out of range", where, found, f"{allowed[0]} .. {allowed[1]}")


def _integers(where: str, what: str, values: NDArray[Any]) -> Iterator[Violation]:
    if values.dtype.kind not in "iu":
        yield Violation(f"{what} must be integers", where, str(values.dtype), "an integer type")


def _inputs(network: QuantisedNetwork) -> Iterator[Violation]:
    for node in network.inputs:
        yield from _outside(f"input {node.name!r}", "message_bits", node.message_bits, MESSAGE_BITS)


def _structure(network: QuantisedNetwork) -> Iterator[Violation]:
    neurons = {node.name: int(np.prod(node.shape)) for node in network.inputs}
    sources = set(neurons)
    neurons.update((population.name, population.neurons) for population in network.populations)
    if len(neurons) != len(network.inputs) + len(network.populations):
        yield Violation("two inputs or populations have the same name", "network")
    for edge in network.projections:
        where = f"projection {edge.name!r}"
        if edge.source not in neurons or edge.target not in neurons or edge.target in sources:
            yield Violation("joins unknown populations", where, f"{edge.source!r} -> {edge.target!r}")
            continue
        needed = (neurons[edge.target], neurons[edge.source])
        if size(edge.connection) != needed:
            yield Violation("has the wrong size", where, str(size(edge.connection)), f"{needed} (out, in)")
        graded = {node.name: node.message_bits for node in network.inputs}.get(edge.source, 0)
        if bool(edge.message_bits) != bool(graded):
            yield Violation(
                "message_bits disagree with those of its source", where, str(edge.message_bits), str(graded)
            )


def _population(population: QuantisedPopulation) -> Iterator[Violation]:
    where = f"population {population.name!r}"
    yield from _outside(where, "du", population.du, DU)
    yield from _outside(where, "dv", population.dv, DV)
    if population.spiking:  # a read-out hides behind a threshold that v cannot reach
        yield from _outside(where, "vth", population.vth, VTH)
    elif population.vth < UNREACHABLE_VTH:
        yield Violation(
            "a read-out's threshold can be reached", where, str(population.vth), f">= {UNREACHABLE_VTH}"
        )
    for name, allowed in (("bias_mant", BIAS_MANT), ("bias_exp", BIAS_EXP), ("u0", STATE), ("v0", STATE)):
        values = getattr(population, name)
        yield from _integers(where, name, values)
        yield from _outside(where, name, values, allowed)
        if values.shape != (population.neurons,):
            yield Violation(
                f"{name} has the wrong shape", where, str(values.shape), f"({population.neurons},)"
            )


def _projection(projection: QuantisedProjection) -> Iterator[Violation]:
    where = f"projection {projection.name!r}"
    values = weights(projection.connection)
    yield from _outside(where, "weight_exp", projection.weight_exp, WEIGHT_EXP)
    yield from _outside(where, "weight_bits", projection.weight_bits, WEIGHT_BITS)
    yield from _outside(where, "delay", projection.delay, DELAY)
    yield from _integers(where, "weights", values)
    yield from _outside(where, "a weight", values, _WEIGHTS[projection.sign])
    dropped = 8 - projection.weight_bits + (projection.sign == "mixed")
    if values.dtype.kind not in "iu":
        return
    off = np.count_nonzero(np.abs(values) & ((1 << max(dropped, 0)) - 1))
    if off:
        yield Violation(
            "a weight is off the grid that weight_bits and sign leave",
            where,
            f"{off} of {values.size} weights",
            f"multiples of {1 << dropped}",
            "Quantise again; Lava would round these down silently.",
        )
