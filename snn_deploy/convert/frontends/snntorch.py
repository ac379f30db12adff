"""Front end for snnTorch (1.0.0): Leaky, Synaptic, RLeaky, RSynaptic, Lapicque.

One step, syn only where there is one: syn <- alpha syn + x;  mem <- beta mem + syn;  z = [mem > threshold].
Its reset acts in the next step, by default (reset_delay), and then differs from cell to cell:

"subtract" takes threshold from beta mem, which is threshold / beta from mem at the spike: exact.
"zero" clears mem before Leaky decays it: exact. In the other cells it clears mem + x too, so that they hold
mem at 0 for one step more, which is a refractory period and no reset.

With reset_delay=False "zero" is exact in Leaky, Synaptic and RLeaky; "subtract" subtracts a second time where
mem is above twice its threshold; in RSynaptic it has no effect, or raises TypeError.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import snntorch
import torch
from snntorch._neurons import rleaky, rsynaptic

from snn_deploy.convert.frontends.modules.neurons import Step, add_recurrent, neuron, require_steps
from snn_deploy.convert.frontends.modules.walk import write
from snn_deploy.convert.frontends.modules.writer import EXPLANATIONS, Writer, array, each, writes
from snn_deploy.errors import ModelNotSupported

_log = logging.getLogger(__name__)

#: snnTorch's other neurons, by their names, and why Loihi's LIF cannot be one.
REFUSED = {
    "Alpha": "its input jumps into two currents of opposite signs",
    "SLSTM": "it is an LSTM, whose gates multiply",
    "SConv2dLSTM": "it is an LSTM, whose gates multiply",
    "DeltaLeaky": "it sends graded differences",
    "LinearLeaky": "it is trained in parallel, without a reset",
    "StateLeaky": "it is trained in parallel, without a reset",
    "LeakyParallel": "it is trained in parallel, without a reset",
    "AssociativeLeaky": "its state is a matrix",
}
_TRAIN_ANOTHER = "Train with Leaky, Synaptic, RLeaky, RSynaptic or Lapicque."


def _states(*names: str) -> Callable[[Any], tuple[str, ...]]:
    """A cell with init_hidden returns its spikes alone, unless it is told to send its states too."""
    return lambda cell: () if cell.init_hidden and not cell.output else names


@writes(snntorch.Leaky, states=_states("mem"), keeps=True)
def _(cell: Any, writer: Writer, name: str) -> None:
    step = _step(cell, name, _clamped(cell.beta))
    writer.add(name, neuron(writer, name, step), writer.shape)


@writes(snntorch.Synaptic, states=_states("syn", "mem"), keeps=True)
def _(cell: Any, writer: Writer, name: str) -> None:
    step = _step(cell, name, _clamped(cell.beta), keep_u=_clamped(cell.alpha))
    writer.add(name, neuron(writer, name, step), writer.shape)


@writes(snntorch.RLeaky, states=_states("output", "mem"), keeps=True)
def _(cell: Any, writer: Writer, name: str) -> None:
    """x is the input and recurrent(the spikes of the step before), with its bias in the first step too."""
    step = _step(cell, name, _clamped(cell.beta))
    add_recurrent(writer, name, neuron(writer, name, step), cell.recurrent, write)


@writes(snntorch.RSynaptic, states=_states("output", "syn", "mem"), keeps=True)
def _(cell: Any, writer: Writer, name: str) -> None:
    step = _step(cell, name, _clamped(cell.beta), keep_u=_clamped(cell.alpha))
    add_recurrent(writer, name, neuron(writer, name, step), cell.recurrent, write)


@writes(snntorch.Lapicque, states=_states("mem"), keeps=True)
def _(cell: Any, writer: Writer, name: str) -> None:
    """mem <- (1 - time_step / (R C)) mem + time_step / C x."""
    share = array(cell.time_step) / array(cell.C)
    step = _step(cell, name, 1 - share / array(cell.R), gain=share)
    writer.add(name, neuron(writer, name, step), writer.shape)


@writes(rleaky.RecurrentOneToOne, rsynaptic.RecurrentOneToOne)
def _(module: Any, writer: Writer, name: str) -> None:
    """Each neuron's spike returns to itself, times V."""
    writer.add(name, nir.Scale(each(module.V, writer.shape, name, "V")), writer.shape)


def _step(cell: Any, name: str, keep: Any, *, keep_u: Any = None, gain: Any = 1.0) -> Step:
    _refuse_options(cell, name)
    threshold = array(cell.threshold)
    reset = cell.state_function.__name__  # the buffer reset_mechanism_val may have been loaded and says less
    if reset == "_base_int":
        _log.warning(
            "%s: neurons without a reset do not exist on Loihi: it is a read-out of mem, and its spikes are "
            "mem > threshold",
            name,
        )
        return Step(keep, gain, keep_u)
    if reset == "_base_zero":
        _refuse_zero(cell, name)
        return Step(keep, gain, keep_u, threshold=threshold)
    if not getattr(cell, "reset_delay", True):
        raise ModelNotSupported(
            "reset_delay=False subtracts a second time where mem is above twice the threshold",
            where=name,
            found="reset_mechanism 'subtract', reset_delay=False",
            allowed="reset_mechanism 'subtract' with reset_delay=True, or 'zero' with reset_delay=False",
            remedy="Set reset_delay = True, snnTorch's default, and look at the accuracy: it is exact here.",
        )
    if np.any(keep == 0):
        raise ModelNotSupported(
            "without memory the threshold that is subtracted in the next step is an inhibition",
            where=name,
            found="beta = 0, reset_mechanism 'subtract'",
            allowed="beta > 0, or reset_mechanism 'zero'",
        )
    return Step(keep, gain, keep_u, threshold=threshold, subtract=threshold / keep)


def _refuse_zero(cell: Any, name: str) -> None:
    """Refuse where clearing mem in the next step clears the input of that step too."""
    kind = type(cell).__name__
    if isinstance(cell, snntorch.Leaky):
        return
    if isinstance(cell, snntorch.RSynaptic | snntorch.Lapicque):
        remedy = "Train with reset_mechanism='subtract', snnTorch's default, which is exact here."
    elif cell.reset_delay:
        remedy = (
            "Set reset_delay = False, which is exact here, and look at the accuracy; or train with "
            "reset_mechanism='subtract', snnTorch's default."
        )
    else:
        return
    raise ModelNotSupported(
        f"{kind} clears the input of the step after a spike, too: it is refractory for a step",
        where=name,
        found=f"reset_mechanism 'zero', reset_delay={getattr(cell, 'reset_delay', 'always')}",
        allowed="'subtract'; 'zero' in Leaky, and with reset_delay=False in Synaptic and RLeaky",
        remedy=remedy,
    )


def _refuse_options(cell: Any, name: str) -> None:
    """Refuse settings that change what a cell sends or keeps."""
    require_steps(cell.spike_grad, name)
    wrong = {
        "inhibition": bool(cell.inhibition),
        "state_quant": bool(cell.state_quant),
        "graded_spikes_factor": bool(torch.any(cell.graded_spikes_factor != 1)),
    }
    for setting, used in wrong.items():
        if used:
            raise ModelNotSupported(
                "Loihi's neurons have nothing like this setting",
                where=name,
                found=f"{type(cell).__name__} with {setting}",
                allowed="spikes of 0 and 1, from each neuron's own membrane",
            )


def _clamped(factor: torch.Tensor) -> Any:
    """A decay as forward uses it."""
    return np.clip(array(factor), 0.0, 1.0)


def _explain(module: torch.nn.Module) -> tuple[str, str]:
    kind = type(module).__name__
    why = REFUSED.get(kind)
    return (f"Loihi's LIF cannot be a {kind}: {why}", _TRAIN_ANOTHER) if why else ("", "")


EXPLANATIONS["snntorch"] = _explain
