"""Flatten, Identity, Delay and Threshold: nodes that move spikes and leave them as they are, or cannot."""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np
from nir.ir.graph import Identity  # not among the names that nir exports

from snn_deploy.convert.compose import keep_rows
from snn_deploy.convert.lowering.signal import CONSTANT, Path, Signal
from snn_deploy.convert.lowering.transform import (
    REFUSED,
    elementwise,
    numbers,
    require_shape,
    stated_shape,
    transform,
)
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.arrays import frozen
from snn_deploy.network.connections import Dense
from snn_deploy.network.contract import Contract

REFUSED[nir.Threshold] = (
    "a Threshold node fires on its input alone; Loihi's neurons have a state, and only those of NIR's neuron "
    "nodes are known. Use IF, LIF or CubaLIF"
)


@transform.register
def _(node: Identity, name: str, signal: Signal, contract: Contract) -> Signal:
    stated = stated_shape(node.input_type, "input")
    if stated is not None:
        require_shape(signal, stated, name)
    return signal


@transform.register
def _(node: nir.Flatten, name: str, signal: Signal, contract: Contract) -> Signal:
    """Signals are flattened in row-major order everywhere, so only the shape changes."""
    stated = stated_shape(node.input_type, "input")
    if stated is not None:
        require_shape(signal, stated, name)
    rank = len(signal.shape)
    start, end = (int(d) + (rank if int(d) < 0 else 0) for d in (node.start_dim, node.end_dim))
    if rank == 1 and start == 1 and end == 0:
        return signal  # NIR's default start_dim on a vector
    if not 0 <= start <= end < rank:
        raise ModelNotSupported(
            "no such dimensions to flatten",
            where=name,
            found=f"start_dim {node.start_dim}, end_dim {node.end_dim}",
            allowed=f"dimensions of {signal.shape}",
        )
    middle = int(np.prod(signal.shape[start : end + 1]))
    return replace(
        signal,
        shape=(*signal.shape[:start], middle, *signal.shape[end + 1 :]),
        paths=tuple(replace(p, nodes=(*p.nodes, name)) for p in signal.paths),
    )


@transform.register
def _(node: nir.Delay, name: str, signal: Signal, contract: Contract) -> Signal:
    """y(t) = x(t - delay), in whole steps. Before the start x was 0, spikes and constants alike."""
    delay = numbers(node.delay, name, "delay")
    exact = elementwise(delay, signal, name) / contract.dt
    steps = np.rint(exact)
    # a unit in the last place of seconds / dt: anything further off is another delay
    bad = ~(np.isfinite(exact) & (steps >= 0) & (np.abs(exact - steps) <= 1e-6 * np.maximum(1.0, steps)))
    if np.any(bad):
        raise ModelNotSupported(
            "a delay must be a whole number of time steps, not negative",
            where=name,
            found=f"{exact[bad][0] * contract.dt:g} s = {exact[bad][0]:g} steps of dt = {contract.dt:g} s",
            allowed="0, dt, 2 dt, ...",
            remedy="Round the delays, or choose a --dt that divides them.",
        )
    paths, bias = signal.paths, signal.bias
    if bias is not None and np.any((steps > 0) & (bias != 0)):
        late = np.where(steps > 0, bias, 0.0)
        paths = (*paths, Path(CONSTANT, Dense(frozen(late[:, None], np.float64))))
        bias = bias - late
    return replace(signal, paths=tuple(p for path in paths for p in _delayed(path, steps, name)), bias=bias)


def _delayed(path: Path, steps: np.ndarray[tuple[int], np.dtype[np.float64]], name: str) -> list[Path]:
    """One path for each distinct delay, carrying the lines that have it."""
    different = np.unique(steps)
    passed = replace(path, nodes=(*path.nodes, name))
    if different.size == 1:
        return [replace(passed, delay=path.delay + int(different[0]))]
    return [
        replace(
            passed,
            connection=keep_rows(path.connection, np.flatnonzero(steps == d), steps.size),
            delay=path.delay + int(d),
        )
        for d in different
    ]
