"""One step of a neuron, as frameworks write it, as the NIR node that does the same.

Frameworks differ in the names of their factors and in where they put them; each front end states its step
in the terms of :class:`Step`, and nothing else has to know how a factor becomes a time constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snn_deploy.convert.frontends.modules.writer import Writer, each
from snn_deploy.errors import ModelNotSupported

#: Steps of the time constant of a membrane without leak among leaky ones: the least leak that float64 holds.
_ENDLESS = 2.0**53
#: By how much of itself a threshold is lowered where a neuron fires at equality, which NIR's does not: far
#: below any difference between sums of float32 weights, far above the rounding of float64.
_AT_THRESHOLD = 2.0**-44


@dataclass(frozen=True, eq=False)
class Step:
    """One step: one value, or one for each neuron; x is the summed weighted input.

    u <- keep_u u + gain x;   v <- keep_v v + (1 - keep_v) v_leak + u;   z = [v > threshold];

    then v <- v_reset where z, or v <- v - subtract where z. u and v start at 0 and v_leak.

    keep_u: None where the input reaches v without a current of its own. threshold: None in a read-out of v.
    subtract: what a spike takes from v; None where v returns to v_reset. at_threshold: z = [v >= threshold].
    """

    keep_v: Any
    gain: Any = 1.0
    keep_u: Any = None
    v_leak: Any = 0.0
    threshold: Any = None
    v_reset: Any = 0.0
    subtract: Any = None
    at_threshold: bool = False


def neuron(writer: Writer, name: str, step: Step) -> nir.NIRNode:
    """The NIR node, of the writer's shape, that takes this step every ``writer.dt`` seconds.

    Raises ModelNotSupported for factors outside 0 .. 1 and for parameters of a wrong size.
    """

    def of(field: str) -> NDArray[np.float64]:
        return each(getattr(step, field), writer.shape, name, field)

    dt, leak, gain = writer.counted_step(), _leak(name, "keep_v", of("keep_v")), of("gain")
    fires = _firing(writer, name, step, of) if step.threshold is not None else {}
    if step.keep_u is None and not np.any(leak) and _starts_at_reset(step, of, fires):
        return nir.IF(r=gain, **fires) if fires else nir.I(r=gain)
    leak = np.where(leak > 0, leak, 1 / _ENDLESS)
    membrane = {"r": 1 / leak, "v_leak": of("v_leak")}
    if step.keep_u is None:
        membrane["r"] = gain / leak
        return nir.LIF(tau=dt / leak, **membrane, **fires) if fires else nir.LI(tau=dt / leak, **membrane)
    fade = _leak(name, "keep_u", of("keep_u"))
    fade = np.where(fade > 0, fade, 1 / _ENDLESS)
    cuba = {"tau_syn": dt / fade, "tau_mem": dt / leak, **membrane, "w_in": gain / fade}
    return nir.CubaLIF(**cuba, **fires) if fires else nir.CubaLI(**cuba)


def add_recurrent(
    writer: Writer,
    name: str,
    node: nir.NIRNode,
    weights: nn.Module,
    write: Callable[[nn.Module, Writer, str], None],
) -> None:
    """Append neurons whose spikes return through ``weights`` one step later: name.lif and name.w_rec."""
    shape = writer.shape
    writer.add(f"{name}.lif", node, shape)
    write(weights, writer, f"{name}.w_rec")
    if writer.shape != shape:
        raise ModelNotSupported(
            "what is fed back differs in shape from the neurons",
            where=f"{name}.w_rec",
            found=str(writer.shape),
            allowed=str(shape),
        )
    writer.edges += [(source, f"{name}.lif") for source in writer.open]
    writer.open, writer.shape, writer.fresh = (f"{name}.lif",), shape, ""


def require_steps(
    function: Callable[[torch.Tensor], torch.Tensor], name: str, *, at_threshold: bool = False
) -> None:
    """Refuse a spike function that sends anything but 0 below the threshold and 1 above it, or at it.

    function: of v - v_threshold; a user's surrogate may be anything.
    """
    probe = torch.tensor([-1.0, -1e-6, 0.0, 1e-6, 1.0])
    with torch.no_grad():
        sent = function(probe).tolist()
    wanted = [0.0, 0.0, float(at_threshold), 1.0, 1.0]
    if sent != wanted:
        raise ModelNotSupported(
            "the spike function is no step",
            where=name,
            found=f"{sent} for v - v_threshold of {probe.tolist()}",
            allowed=str(wanted),
        )


def refuse_late_bias(writer: Writer, names: list[str], name: str) -> None:
    """Refuse a bias behind the last neuron of a cycle that is fed nothing back in the first step."""
    for node_name in reversed(names):
        node = writer.nodes[node_name]
        if hasattr(node, "r"):
            return
        bias = getattr(node, "bias", None)
        if bias is not None and np.any(np.asarray(bias) != 0):
            raise ModelNotSupported(
                "a bias that is fed back acts from the second step on, where NIR's acts in the first",
                where=node_name,
                found=f"the Linear or Conv that ends {name} has a bias",
                remedy="Build it with bias=False; a bias before the neurons does the same.",
            )
    raise ModelNotSupported("a cycle without a neuron has no time step", where=name)


def _firing(
    writer: Writer, name: str, step: Step, of: Callable[[str], NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """v_threshold and v_reset. NIR subtracts v_threshold - v_reset, so v_reset says how much that is."""
    threshold = of("threshold")
    lowered = threshold - np.abs(threshold) * _AT_THRESHOLD if step.at_threshold else threshold
    if step.subtract is None:
        writer.resets(name, "zero")
        return {"v_threshold": lowered, "v_reset": of("v_reset")}
    writer.resets(name, "subtract")
    amount = of("subtract")
    # Without a leak v_reset is where v starts, so there the amount bears the lowering itself.
    whole = not np.any(1 - of("keep_v")) and step.keep_u is None and np.all(amount == threshold)
    return {"v_threshold": lowered, "v_reset": np.zeros_like(lowered) if whole else lowered - amount}


def _starts_at_reset(
    step: Step, of: Callable[[str], NDArray[np.float64]], fires: dict[str, NDArray[np.float64]]
) -> bool:
    """NIR's integrators start where they return to, a read-out at 0."""
    return bool(np.all(of("v_leak") == (fires["v_reset"] if fires else 0.0)))


def _leak(name: str, field: str, keep: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a step loses of a state."""
    wrong = (keep < 0) | (keep > 1)
    if np.any(wrong):
        raise ModelNotSupported(
            "a step must leave between nothing and all of a state",
            where=name,
            found=f"{field} {keep[wrong].flat[0]:g}",
            allowed="0 .. 1",
        )
    return 1 - keep
