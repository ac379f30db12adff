"""What a run takes: the rasters of all inputs, checked and flattened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import UsageError, Violation
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.network import Input
from snn_deploy.network.quantised import QuantisedNetwork

#: Input name -> uint8 (samples, steps, neurons), 0/1, or int32 where the input takes graded spikes; an input
#: that is left out stays silent.
InputSpikes = Mapping[str, NDArray[Any]]


def checked_inputs(
    network: QuantisedNetwork | DiscreteNetwork, inputs: InputSpikes
) -> tuple[dict[str, NDArray[Any]], int, int]:
    """Return (rasters of all inputs, flattened to (samples, steps, neurons); samples; steps).

    Spikes are uint8, graded input is int32. Raises UsageError with everything that is wrong.
    """
    nodes = {node.name: node for node in network.inputs}
    violations = [
        Violation("unknown input", where=name, allowed=", ".join(nodes))
        for name in inputs
        if name not in nodes
    ]
    for name, values in inputs.items():
        if name in nodes:
            violations += _violations(nodes[name], np.asarray(values))
    extents = {np.shape(values)[:2] for values in inputs.values()}
    if not inputs:
        violations.append(Violation("no input given", allowed=", ".join(nodes)))
    elif len(extents) > 1:
        violations.append(Violation("inputs differ in samples or steps", found=str(sorted(extents))))
    if violations:
        raise UsageError(violations)
    samples, steps = extents.pop()
    rasters = {
        name: np.ascontiguousarray(inputs[name], dtype=_dtype(node)).reshape(samples, steps, -1)
        if name in inputs
        else np.zeros((samples, steps, int(np.prod(node.shape))), dtype=_dtype(node))
        for name, node in nodes.items()
    }
    return rasters, int(samples), int(steps)


def graded_range(message_bits: int) -> tuple[int, int]:
    """Smallest and largest value of a graded spike: signed integers of that width."""
    return -(1 << (message_bits - 1)), (1 << (message_bits - 1)) - 1


def _dtype(node: Input) -> type[np.generic]:
    return np.int32 if node.message_bits else np.uint8


def _violations(node: Input, values: NDArray[Any]) -> list[Violation]:
    name, shape = node.name, node.shape
    flat = (int(np.prod(shape)),)
    if values.ndim < 3 or values.shape[2:] not in (shape, flat):
        return [
            Violation(
                "spikes have the wrong shape",
                where=name,
                found=str(values.shape),
                allowed=f"(samples, steps, {', '.join(map(str, shape))})",
            )
        ]
    if 0 in values.shape:
        return [Violation("there is nothing to run", where=name, found=str(values.shape))]
    if values.dtype.kind not in "biuf":
        return [Violation("spikes must be numbers", where=name, found=str(values.dtype), allowed="0 and 1")]
    if node.message_bits:
        low, high = graded_range(node.message_bits)
        inside = (values >= low) & (values <= high)  # False for NaN and infinity
        bad = ~inside | (np.mod(np.where(inside, values, 0), 1) != 0)
        what, allowed = "graded spikes must be whole numbers of the input's width", f"{low} to {high}"
        remedy = (
            "Scale real values to this range and round them; a network of SLAYER takes x of 0 .. 1 as "
            "2 * round(32 * x)."
        )
    elif _binary(values):
        return []
    else:
        bad = (values != 0) & (values != 1)
        what, allowed = "spikes must be 0 or 1", "0 and 1"
        remedy = (
            "Counts of events: take their OR, frames > 0 (--binarise), or convert with --graded to keep the "
            "counts. Real values: rate-code them first (snn_deploy.train.coding)."
        )
    if np.any(bad):
        found = f"{values[bad].flat[0]} ({np.count_nonzero(bad)} values)"
        return [Violation(what, where=name, found=found, allowed=allowed, remedy=remedy)]
    return []


def _binary(values: NDArray[Any]) -> bool:
    """Whether all values are 0 or 1; without temporaries of the raster's size where the type allows it."""
    if values.dtype.kind == "b":
        return True
    if values.dtype.kind == "u":
        return bool(values.max() <= 1)
    return bool(np.all((values == 0) | (values == 1)))
