"""Front end for Rockpool (3.1.0), its torch modules: LIFTorch, LIFNeuronTorch, ExpSynTorch, LinearTorch.

isyn <- beta (isyn + x + W_rec z);  vmem <- alpha vmem + isyn + bias;  a spike at vmem >= threshold, and then
vmem <- vmem - threshold. alpha = exp(-dt / tau_mem), beta = exp(-dt / tau_syn).

By default it sends up to 65536 spikes a step, which no neuron of Loihi does: max_spikes_per_dt must be 1.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
from rockpool.nn.combinators.sequential import TorchSequential
from rockpool.nn.modules import ExpSynTorch, LIFBitshiftTorch, LIFNeuronTorch, LIFTorch, LinearTorch

from snn_deploy.convert.frontends.modules.neurons import Step, neuron
from snn_deploy.convert.frontends.modules.walk import write
from snn_deploy.convert.frontends.modules.writer import EXPLANATIONS, Writer, array, each, writes
from snn_deploy.errors import ModelNotSupported

#: Rockpool's other neurons, by their names, and why Loihi's LIF cannot be one.
REFUSED = {
    "aLIFTorch": "its spikes inhibit it by way of a current of their own",
    "RateTorch": "it sends rates, no spikes",
}


@writes(TorchSequential)
def _(module: Any, writer: Writer, name: str) -> None:
    for child in module._submodulenames:
        write(getattr(module, child), writer, f"{name}.{child}")


@writes(LinearTorch)
def _(module: Any, writer: Writer, name: str) -> None:
    weight = array(module.weight).T
    writer.require_width(name, weight.shape[1])
    bias = getattr(module, "bias", None)
    node = nir.Linear(weight) if bias is None else nir.Affine(weight, array(bias))
    writer.add(name, node, weight.shape[:1])


@writes(LIFTorch, LIFBitshiftTorch)
def _(cell: Any, writer: Writer, name: str) -> None:
    writer.step(name, float(cell.dt))
    writer.require_width(name, int(cell.size_in))
    _refuse_settings(cell, name)
    if int(cell.n_synapses) != 1:
        raise ModelNotSupported(
            "Loihi's LIF has one synapse a neuron",
            where=name,
            found=f"{int(cell.n_synapses)} synapses, shape {tuple(cell.shape)}",
            allowed="shape (neurons,)",
        )
    if torch.any(cell.bias != 0):
        raise ModelNotSupported(
            "a bias that reaches the membrane without its synapse has no field in NIR",
            where=name,
            found="bias",
            allowed="bias 0",
            remedy="Give the LinearTorch before it a bias (has_bias=True), and train it instead.",
        )
    fade = each(cell.beta.flatten(), writer.shape, name, "beta")
    step = Step(each(cell.alpha, writer.shape, name, "alpha"), fade, fade, **_firing(cell), at_threshold=True)
    node = neuron(writer, name, step)
    if not cell._has_rec:
        writer.add(name, node, writer.shape)
        return
    writer.add(f"{name}.lif", node, writer.shape)
    writer.nodes[f"{name}.w_rec"] = nir.Linear(array(cell.w_rec).T)
    writer.edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]


@writes(LIFNeuronTorch)
def _(cell: Any, writer: Writer, name: str) -> None:
    """Without a synapse: vmem <- alpha vmem + x + bias."""
    dt = writer.step(name, float(cell.dt))
    writer.require_width(name, int(cell.size_in))
    _refuse_settings(cell, name)
    if torch.any(cell.bias != 0):
        bias = each(cell.bias, writer.shape, name, "bias")
        writer.add(f"{name}.bias", nir.Affine(np.eye(writer.width), bias), writer.shape)
    keep = np.exp(-dt / each(cell.tau_mem, writer.shape, name, "tau_mem"))
    step = Step(keep, **_firing(cell), at_threshold=True)
    writer.add(name, neuron(writer, name, step), writer.shape)


@writes(ExpSynTorch)
def _(cell: Any, writer: Writer, name: str) -> None:
    """isyn <- beta (isyn + x), and isyn is sent: a read-out."""
    dt = writer.step(name, float(cell.dt))
    _refuse_noise(cell, name)
    keep = np.exp(-dt / each(cell.tau, writer.shape, name, "tau"))
    writer.add(name, neuron(writer, name, Step(keep, keep)), writer.shape)


def _firing(cell: Any) -> dict[str, Any]:
    threshold = array(cell.threshold)
    return {"threshold": threshold, "subtract": threshold}


def _refuse_settings(cell: Any, name: str) -> None:
    _refuse_noise(cell, name)
    if torch.any(torch.as_tensor(cell.max_spikes_per_dt) != 1):
        raise ModelNotSupported(
            "a neuron of Loihi sends one spike a step at most",
            where=name,
            found=f"max_spikes_per_dt {float(cell.max_spikes_per_dt):g}",
            allowed="max_spikes_per_dt 1",
            remedy="Set cell.max_spikes_per_dt = torch.tensor(1.0) and look at the accuracy, or train so: it "
            "differs where vmem reaches twice the threshold within a step. A smaller dt makes that rare.",
        )
    probe = torch.tensor([-0.5, 0.999999, 1.0, 1.5, 2.5])
    one = torch.tensor(1.0)
    with torch.no_grad():
        sent = cell.spike_generation_fn(probe, one, torch.as_tensor(0.5), one).tolist()
    if sent != [0.0, 0.0, 1.0, 1.0, 1.0]:
        raise ModelNotSupported(
            "the spike function is no step", where=name, found=f"{sent} for {probe.tolist()}, threshold 1"
        )


def _refuse_noise(cell: Any, name: str) -> None:
    if float(cell.noise_std):
        raise ModelNotSupported(
            "noise cannot be repeated on Loihi",
            where=name,
            found=f"noise_std {float(cell.noise_std):g}",
            allowed="noise_std 0",
        )


def _explain(module: torch.nn.Module) -> tuple[str, str]:
    kind = type(module).__name__
    why = REFUSED.get(kind)
    return (f"Loihi's LIF cannot be a {kind}: {why}", "Train with LIFTorch.") if why else ("", "")


EXPLANATIONS["rockpool"] = _explain
