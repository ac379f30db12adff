"""Front end for Norse: its neurons and containers as NIR nodes.

A cell and its time module (LIFCell, LIF) compute the same.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch

from snn_deploy.convert.frontends.modules.neurons import refuse_late_bias
from snn_deploy.convert.frontends.modules.walk import write
from snn_deploy.convert.frontends.modules.writer import EXPLANATIONS, Shape, Writer, array, each, writes
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.recurrent import RecurrentLIFCell
from snn_deploy.errors import ModelNotSupported

norse = import_norse()

#: Norse's neurons that Loihi's LIF cannot be, by the start of their names, and what they have beyond it.
REFUSED = {
    "LSNN": "its threshold adapts to its spikes",
    "LIFAdEx": "its membrane is exponential and adapts",
    "LIFEx": "its membrane is exponential",
    "LIFRefrac": "it is refractory for some steps after a spike",
    "LIFMC": "it has several compartments",
    "LIFCorrelation": "its weights change with correlations of spikes",
    "CobaLIF": "its synapses are conductances",
    "Izhikevich": "its membrane is quadratic and adapts",
}


@writes(norse.LIFCell, norse.LIF, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    dt, shape = writer.step(name, float(module.dt)), writer.shape
    writer.add(
        name, nir.CubaLIF(**_cuba(module.p, shape, dt, name), **_spikes(module.p, writer, name)), shape
    )


@writes(norse.LIFBoxCell, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    writer.step(name, float(module.dt))
    subtract = module.p.reset_method is norse.functional.reset.reset_subtract
    if not subtract and module.p.reset_method is not norse.functional.reset.reset_value:
        raise ModelNotSupported(
            "Loihi's neurons return to v_reset or subtract their threshold at a spike",
            where=name,
            found=getattr(module.p.reset_method, "__name__", module.p.reset_method),
            allowed="reset_value, reset_subtract",
            remedy="Retrain with norse's reset_value.",
        )
    shape = writer.shape
    spikes = _spikes(module.p, writer, name, subtract=subtract)
    writer.add(name, nir.LIF(**_box(module.p, shape, name), **spikes), shape)


@writes(norse.LIFRecurrentCell, norse.LIFRecurrent, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    """i~ = i + W_in x[t] + W_rec z[t-1]: no bias.

    Without autapses Norse clears the diagonal of W_rec when the module is built and keeps gradients from
    it; forward takes W_rec as it is, and so does this.
    """
    dt = writer.step(name, float(module.dt))
    w_in, w_rec = array(module.input_weights), array(module.recurrent_weights)
    writer.require_width(name, w_in.shape[1])
    shape = (w_in.shape[0],)
    writer.add(f"{name}.w_in", nir.Linear(w_in), shape)
    neuron = nir.CubaLIF(**_cuba(module.p, shape, dt, name), **_spikes(module.p, writer, name))
    writer.add(f"{name}.lif", neuron, shape)
    writer.nodes[f"{name}.w_rec"] = nir.Linear(w_rec)
    writer.edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]


@writes(RecurrentLIFCell, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    writer.package = "norse"  # whose cell it holds
    dt, w_rec = writer.step(name, float(module.dt)), array(module.recurrent_weights)
    writer.require_width(name, w_rec.shape[0])
    shape = writer.shape
    neuron = nir.CubaLIF(**_cuba(module.p, shape, dt, name), **_spikes(module.p, writer, name))
    writer.add(f"{name}.lif", neuron, shape)
    writer.nodes[f"{name}.w_rec"] = nir.Linear(w_rec)
    writer.edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]


@writes(norse.IAFCell, norse.IAF, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    writer.step(name, float(module.dt))
    shape = writer.shape
    writer.add(name, nir.IF(r=np.ones(shape), **_spikes(module.p, writer, name)), shape)


@writes(norse.LICell, norse.LI, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    dt = writer.step(name, float(module.dt))
    writer.add(name, nir.CubaLI(**_cuba(module.p, writer.shape, dt, name)), writer.shape)


@writes(norse.LIBoxCell, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    writer.step(name, float(module.dt))
    writer.add(name, nir.LI(**_box(module.p, writer.shape, name)), writer.shape)


@writes(norse.LILinearCell, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    weight = array(module.input_weights)
    writer.require_width(name, weight.shape[1])
    shape = (weight.shape[0],)
    writer.add(f"{name}.w_in", nir.Linear(weight), shape)
    dt = writer.step(name, float(module.dt))
    writer.add(f"{name}.li", nir.CubaLI(**_cuba(module.p, shape, dt, name)), shape)


@writes(norse.SequentialState, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    if getattr(module, "return_hidden", False):
        raise ModelNotSupported("a list of all layers is no signal", where=name, found="return_hidden=True")
    for index, child in module.named_children():
        write(child, writer, f"{name}.{index}")


@writes(norse.Lift, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    """Applies a module in every step, which here is always so."""
    write(module.lifted_module, writer, name)


@writes(norse.RecurrentSequential, states=("state",))
def _(module: Any, writer: Writer, name: str) -> None:
    """Adds what module ``output_modules`` sent in the step before to the input; nothing in the first step."""
    children = list(module.module.named_children())
    if not isinstance(module.output_modules, int):
        raise ModelNotSupported("several outputs cannot be fed back", where=name, found=module.output_modules)
    last = range(len(children))[module.output_modules]
    entry, shape = f"{name}.in", writer.shape
    writer.junction(entry)
    written = len(writer.nodes)
    for index, child in children[: last + 1]:
        write(child, writer, f"{name}.{index}")
    if writer.shape != shape:
        raise ModelNotSupported(
            "what is fed back differs in shape from the input", where=name, found=writer.shape, allowed=shape
        )
    refuse_late_bias(writer, list(writer.nodes)[written:], name)
    writer.edges += [(source, entry) for source in writer.open]
    writer.fresh = ""


def _explain(module: torch.nn.Module) -> tuple[str, str]:
    """Why Norse's neuron of this type cannot run on Loihi; empty for other modules."""
    kind = type(module).__name__
    why = next((why for start, why in REFUSED.items() if kind.startswith(start)), "")
    return (f"Loihi's LIF cannot be a {kind}: {why}", "") if why else ("", "")


EXPLANATIONS["norse"] = _explain


def _cuba(p: Any, shape: Shape, dt: float, name: str) -> dict[str, Any]:
    """Norse adds the input to i unscaled: in NIR's terms w_in = tau_syn / dt and r = 1."""
    tau_syn = 1.0 / each(p.tau_syn_inv, shape, name, "tau_syn_inv")
    return {
        "tau_syn": tau_syn,
        "tau_mem": 1.0 / each(p.tau_mem_inv, shape, name, "tau_mem_inv"),
        "r": np.ones(shape),
        "v_leak": each(p.v_leak, shape, name, "v_leak"),
        "w_in": tau_syn / dt,
    }


def _box(p: Any, shape: Shape, name: str) -> dict[str, Any]:
    return {
        "tau": 1.0 / each(p.tau_mem_inv, shape, name, "tau_mem_inv"),
        "r": np.ones(shape),
        "v_leak": each(p.v_leak, shape, name, "v_leak"),
    }


def _spikes(p: Any, writer: Writer, name: str, *, subtract: bool = False) -> dict[str, Any]:
    """Norse subtracts v_th whatever v_reset is; NIR's reset by subtraction takes v_threshold - v_reset."""
    writer.resets(name, "subtract" if subtract else "zero")
    threshold = each(p.v_th, writer.shape, name, "v_th")
    returns = np.zeros_like(threshold) if subtract else each(p.v_reset, writer.shape, name, "v_reset")
    return {"v_threshold": threshold, "v_reset": returns}
