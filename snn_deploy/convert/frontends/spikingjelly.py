"""Front end for SpikingJelly (2.0.0): IFNode, LIFNode, ParametricLIFNode, CUBALIFNode, and its layers.

A neuron fires at v >= v_threshold and then returns to v_reset, or subtracts v_threshold where v_reset is
None; v starts at v_reset, or at 0. The step mode says how a raster is handed in, and no spike depends on it.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from snn_deploy.convert.frontends.modules import neurons
from snn_deploy.convert.frontends.modules.neurons import Step, refuse_late_bias, require_steps
from snn_deploy.convert.frontends.modules.walk import write
from snn_deploy.convert.frontends.modules.writer import EXPLANATIONS, WRITERS, Writer, array, writes
from snn_deploy.errors import ModelNotSupported

#: SpikingJelly's other neurons, by the start of their names, and why Loihi's LIF cannot be one.
REFUSED = {
    "Adapt": "it adapts",
    "Izhikevich": "its membrane is quadratic and adapts",
    "QIF": "its membrane is quadratic",
    "EIF": "its membrane is exponential",
    "GatedLIF": "its gates multiply",
    "KLIF": "it scales its membrane and cuts it off at 0",
    "ComplementaryLIF": "it has a second state that its spikes drive",
    "ILIF": "it sends several spikes a step",
    "LIAF": "it sends its membrane",
    "DSR": "it sends rates",
    "PSN": "it has no reset and sees all steps at once",
    "MaskedPSN": "it has no reset and sees all steps at once",
    "SlidingPSN": "it has no reset and sees several steps at once",
    "Noisy": "it draws noise",
    "RAF": "it resonates",
    "Ternary": "it sends negative spikes",
    "FewSpike": "its threshold changes from step to step",
}

for name in ("Linear", "Conv1d", "Conv2d", "AvgPool2d", "MaxPool2d", "BatchNorm1d", "BatchNorm2d", "Flatten"):
    writes(getattr(layer, name))(WRITERS[getattr(nn, name)])
writes(layer.Dropout, layer.Dropout2d)(WRITERS[nn.Dropout])
writes(layer.MultiStepContainer, layer.SeqToANNContainer, layer.StepModeContainer)(WRITERS[nn.Sequential])


@writes(neuron.IFNode, neuron.SimpleIFNode)
def _(cell: Any, writer: Writer, name: str) -> None:
    """v <- v + x."""
    _add(cell, writer, name, keep=1.0, gain=1.0)


@writes(neuron.LIFNode, neuron.SimpleLIFNode)
def _(cell: Any, writer: Writer, name: str) -> None:
    """v <- v + (v_reset - v) / tau + x, where x is divided by tau too if decay_input."""
    share = 1.0 / float(cell.tau)
    _add(cell, writer, name, keep=1.0 - share, gain=share if cell.decay_input else 1.0)


@writes(neuron.ParametricLIFNode)
def _(cell: Any, writer: Writer, name: str) -> None:
    """As LIFNode with 1 / tau = sigmoid(w)."""
    share = 1.0 / (1.0 + np.exp(-array(cell.w)))
    _add(cell, writer, name, keep=1.0 - share, gain=share if cell.decay_input else 1.0)


@writes(neuron.CUBALIFNode)
def _(cell: Any, writer: Writer, name: str) -> None:
    """c <- c_decay c + x;  v <- v_decay v + c: what a step leaves, and v leaks to 0."""
    if cell.v_reset:
        raise ModelNotSupported(
            "v starts at v_reset and leaks to 0, where NIR's starts where it leaks to",
            where=name,
            found=f"v_reset {cell.v_reset:g}",
            allowed="v_reset 0 or None",
            remedy="Train it with v_reset 0.",
        )
    _add(cell, writer, name, keep=float(cell.v_decay), gain=1.0, keep_u=float(cell.c_decay))


@writes(layer.LinearRecurrentContainer)
def _(module: Any, writer: Writer, name: str) -> None:
    """sub_module is given rc(x, what it sent in the step before), rc one Linear of both."""
    width = writer.width
    weight = array(module.rc.weight)
    writer.require_width(name, weight.shape[1] - module.sub_module_out_features)
    bias = np.zeros(len(weight)) if module.rc.bias is None else array(module.rc.bias)
    writer.add(f"{name}.rc", nir.Affine(weight[:, :width], bias), weight.shape[:1])
    entry = f"{name}.in"
    writer.junction(entry)
    written = len(writer.nodes)
    write(module.sub_module, writer, f"{name}.sub_module")
    refuse_late_bias(writer, list(writer.nodes)[written:], name)
    after = writer.open, writer.shape
    writer.add(f"{name}.w_rec", nir.Linear(weight[:, width:]), weight.shape[:1])
    writer.edges.append((f"{name}.w_rec", entry))
    writer.open, writer.shape, writer.fresh = *after, ""


def _add(cell: Any, writer: Writer, name: str, *, keep: Any, gain: Any, keep_u: Any = None) -> None:
    require_steps(cell.surrogate_function, name, at_threshold=True)
    rest = 0.0 if cell.v_reset is None else float(cell.v_reset)
    step = Step(
        keep_v=keep,
        gain=gain,
        keep_u=keep_u,
        v_leak=rest,
        threshold=float(cell.v_threshold),
        v_reset=rest,
        subtract=float(cell.v_threshold) if cell.v_reset is None else None,
        at_threshold=True,
    )
    writer.add(name, neurons.neuron(writer, name, step), writer.shape)


def _explain(module: torch.nn.Module) -> tuple[str, str]:
    kind = type(module).__name__
    why = next((why for start, why in REFUSED.items() if kind.startswith(start)), "")
    remedy = "Train with IFNode, LIFNode, ParametricLIFNode or CUBALIFNode."
    return (f"Loihi's LIF cannot be a {kind}: {why}", remedy) if why else ("", "")


EXPLANATIONS["spikingjelly"] = _explain
