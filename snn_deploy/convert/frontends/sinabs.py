"""Front end for Sinabs (3.1.3): IAF, LIF, ExpLeak, their recurrent and their Squeeze layers.

i <- alpha_syn (i + x) where there is a synapse, else i <- x;  v <- alpha_mem v + i, where i is multiplied by
1 - alpha_mem if norm_input;  a spike at v >= spike_threshold. alpha = exp(-1 / tau), tau in steps. v returns
to reset_value, or loses subtract_value, by default the threshold.

Its default spike_fn, MultiSpike, sends several spikes a step, which no neuron of Loihi does: it is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import sinabs.activation as sa
import sinabs.layers as sl
import torch
from torch import nn

from snn_deploy.convert.frontends.modules.neurons import Step, add_recurrent, neuron, refuse_late_bias
from snn_deploy.convert.frontends.modules.walk import write
from snn_deploy.convert.frontends.modules.writer import EXPLANATIONS, Writer, array, writes
from snn_deploy.errors import ModelNotSupported

#: Sinabs' other layers, by their names, and why they cannot run on Loihi.
REFUSED = {
    "ALIF": "its threshold adapts to its spikes",
    "ALIFRecurrent": "its threshold adapts to its spikes",
    "ALIFSqueeze": "its threshold adapts to its spikes",
    "NeuromorphicReLU": "it sends values that are no spikes: turn it into spikes with sinabs.from_torch",
    "SpikingMaxPooling2dLayer": "it follows the input that has spiked most so far",
}


@writes(sl.LIF, sl.LIFSqueeze, sl.IAF, sl.IAFSqueeze)
def _(layer: Any, writer: Writer, name: str) -> None:
    writer.add(name, neuron(writer, name, _step(layer, name)), writer.shape)


@writes(sl.LIFRecurrent, sl.IAFRecurrent)
def _(layer: Any, writer: Writer, name: str) -> None:
    """x is the input and rec_connect(the spikes of the step before); nothing returns in the first step."""
    written = len(writer.nodes)
    add_recurrent(writer, name, neuron(writer, name, _step(layer, name)), layer.rec_connect, write)
    refuse_late_bias(writer, list(writer.nodes)[written:], name)


@writes(sl.ExpLeak, sl.ExpLeakSqueeze)
def _(layer: Any, writer: Writer, name: str) -> None:
    """Sends v, without spikes."""
    writer.add(name, neuron(writer, name, _charge(layer, name)), writer.shape)


@writes(sl.Repeat)
def _(module: Any, writer: Writer, name: str) -> None:
    """Folds time into the batch for the module inside."""
    write(module.module, writer, name)


@writes(sl.FlattenTime, sl.UnflattenTime)
def _(module: nn.Module, writer: Writer, name: str) -> None:
    """Changes how steps and samples are laid out, and no signal."""


def _charge(layer: Any, name: str) -> Step:
    """The step without a threshold."""
    if layer.min_v_mem is not None:
        raise ModelNotSupported(
            "Loihi's membranes have no lower bound of their own",
            where=name,
            found=f"min_v_mem {float(layer.min_v_mem):g}",
            allowed="min_v_mem None",
            remedy="Train with min_v_mem=None, or set layer.min_v_mem = None and look at the accuracy.",
        )
    keep = _alpha(layer, "mem")
    gain = 1 - keep if layer.norm_input else np.ones_like(keep)
    if layer.alpha_syn_calculated is None:
        return Step(keep, gain)
    fade = _alpha(layer, "syn")
    return Step(keep, gain * fade, fade)


def _step(layer: Any, name: str) -> Step:
    charge = _charge(layer, name)
    spike_fn, reset = layer.spike_fn, layer.reset_fn
    single = spike_fn is sa.SingleSpike or getattr(spike_fn, "max_num_spikes_per_bin", None) == 1
    if not single:
        raise ModelNotSupported(
            "a neuron of Loihi sends one spike a step at most",
            where=name,
            found=f"spike_fn {getattr(spike_fn, '__name__', type(spike_fn).__name__)}",
            allowed="SingleSpike, or MaxSpike(1)",
            remedy="Set layer.spike_fn = sinabs.activation.SingleSpike and look at the accuracy, or train "
            "so: it differs where v reaches twice the threshold in a step. Finer time steps make that rare.",
        )
    threshold = array(layer.spike_threshold)
    if isinstance(reset, sa.MembraneSubtract):
        amount = threshold if reset.subtract_value is None else reset.subtract_value
        return _with(charge, threshold, amount)
    if isinstance(reset, sa.MembraneReset) and reset.reset_value == 0:
        return _with(charge, threshold)
    raise ModelNotSupported(
        "only a reset to 0 or by subtraction is a reset: Sinabs adds another reset_value in every step",
        where=name,
        found=f"reset_fn {reset}",
        allowed="MembraneSubtract(), MembraneReset(0)",
    )


def _with(charge: Step, threshold: Any, subtract: Any = None) -> Step:
    return replace(charge, threshold=threshold, subtract=subtract, at_threshold=True)


def _alpha(layer: Any, which: str) -> Any:
    """exp(-1 / tau) in float64, or the factor itself where it was trained as such; 1 in an IAF's membrane."""
    factor = getattr(layer, f"alpha_{which}_calculated")
    tau = getattr(layer, f"tau_{which}", None)
    if layer.train_alphas or tau is None:
        return array(factor)
    return np.exp(-1.0 / array(tau))


def _explain(module: torch.nn.Module) -> tuple[str, str]:
    kind = type(module).__name__
    why = REFUSED.get(kind)
    return (f"a {kind} cannot run on Loihi: {why}", "") if why else ("", "")


EXPLANATIONS["sinabs"] = _explain
