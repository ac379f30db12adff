"""Rules of the integer network: what Loihi holds.

Lava does not check (facts measured on 0.10.0: a bias mantissa of 40000 silently becomes -25536 in its
int16 Var, a threshold beyond 17 bits makes a neuron silent), so this package must.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import Violation
from snn_deploy.network.connections import weights
from snn_deploy.network.integers import COMPLETE_DU, COMPLETE_DV, LONGEST_DELAY, STATE_LIMIT, UNREACHABLE_VTH
from snn_deploy.network.quantised import (
    QuantisedNetwork,
    QuantisedPopulation,
    QuantisedProjection,
)
from snn_deploy.network.validity.connections import connections_are_sound
from snn_deploy.network.validity.table import Table
from snn_deploy.network.validity.topology import (
    names_are_unique,
    outputs_read_nodes,
    projections_join,
    shapes_are_positive,
    sizes_match,
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


def inputs_are_in_range(network: QuantisedNetwork) -> Iterator[Violation]:
    """Lava carries messages of so many bits, and a projection multiplies what its source sends."""
    bits = {node.name: node.message_bits for node in network.inputs}
    for node in network.inputs:
        yield from _outside(f"input {node.name!r}", "message_bits", node.message_bits, MESSAGE_BITS)
    for edge in network.projections:
        graded = bits.get(edge.source, 0)
        if bool(edge.message_bits) != bool(graded):
            yield Violation(
                "message_bits disagree with those of its source",
                f"projection {edge.name!r}",
                str(edge.message_bits),
                str(graded),
            )


def scalars_are_numbers(network: QuantisedNetwork) -> Iterator[Violation]:
    """What a process takes once is a whole number, and the scale of v a finite one above 0."""
    for population in network.populations:
        where = f"population {population.name!r}"
        yield from _whole_numbers(where, population, ("du", "dv", "vth"))
        if not (isinstance(population.scale, int | float) and 0 < population.scale < math.inf):
            yield Violation("scale is out of range", where, repr(population.scale), "> 0")
        if not isinstance(population.spiking, bool):
            yield Violation("spiking must be true or false", where, repr(population.spiking))
    for edge in network.projections:
        where = f"projection {edge.name!r}"
        yield from _whole_numbers(where, edge, ("weight_exp", "weight_bits", "delay", "message_bits"))
        if edge.sign not in _WEIGHTS:
            yield Violation("unknown sign", where, repr(edge.sign), ", ".join(_WEIGHTS))


def _whole_numbers(where: str, value: object, names: tuple[str, ...]) -> Iterator[Violation]:
    for name in names:
        found = getattr(value, name)
        if not isinstance(found, int | np.integer) or isinstance(found, bool):
            yield Violation(f"{name} must be a whole number", where, repr(found))


def nodes_are_covered(network: QuantisedNetwork) -> Iterator[Violation]:
    """The populations of a node hold each of its neurons once."""
    parts: dict[str, list[NDArray[Any]]] = {}
    for population in network.populations:
        parts.setdefault(population.node, []).append(population.index)
    for node in sorted(set(parts) ^ set(network.nodes)):
        found = "no population" if node in network.nodes else "no shape"
        yield Violation("nodes and populations differ", f"node {node!r}", found)
    for node, indices in parts.items():
        neurons = int(np.prod(network.nodes.get(node, ())))
        flat = np.concatenate([index.reshape(-1) for index in indices])
        whole = flat.dtype.kind in "iu" and np.array_equal(np.sort(flat), np.arange(neurons))
        if node in network.nodes and not whole:
            yield Violation(
                "index must name each neuron of the node once",
                f"node {node!r}",
                f"{flat.size} entries, {flat.min(initial=0)} .. {flat.max(initial=0)}",
                f"0 .. {neurons - 1}",
            )


def populations_are_in_range(network: QuantisedNetwork) -> Iterator[Violation]:
    """Every integer of a population is one that Lava's LIF holds."""
    for population in network.populations:
        yield from _population(population)


def resets_are_the_contracts(network: QuantisedNetwork) -> Iterator[Violation]:
    """All populations reset as the contract says: it is the one place where a file states it."""
    for population in network.populations:
        if population.reset != network.contract.reset:
            where, allowed = f"population {population.name!r}", network.contract.reset
            yield Violation("reset differs from the contract's", where, population.reset, allowed)


def projections_are_in_range(network: QuantisedNetwork) -> Iterator[Violation]:
    """Every integer of a projection is one that Lava's Dense holds."""
    for projection in network.projections:
        yield from _projection(projection)


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


QUANTISED: Table = (
    (names_are_unique, shapes_are_positive, projections_join, outputs_read_nodes),
    (connections_are_sound, scalars_are_numbers, nodes_are_covered),
    (
        sizes_match,
        inputs_are_in_range,
        resets_are_the_contracts,
        populations_are_in_range,
        projections_are_in_range,
    ),
)
