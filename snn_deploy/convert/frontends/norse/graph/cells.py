"""Norse's neurons as NIR nodes. A cell and its time module (LIFCell, LIF) compute the same."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.recurrent import RecurrentLIFCell
from snn_deploy.convert.frontends.norse.graph.writer import Shape, Writer, array, each, writes
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


@writes(norse.LIFCell, norse.LIF)
def _(module: Any, writer: Writer, name: str) -> None:
    dt, shape = writer.step(name, float(module.dt)), writer.shape
    writer.add(name, nir.CubaLIF(**_cuba(module.p, shape, dt, name), **_spikes(module.p, shape, name)), shape)


@writes(norse.LIFBoxCell)
def _(module: Any, writer: Writer, name: str) -> None:
    writer.step(name, float(module.dt))
    if module.p.reset_method is not norse.functional.reset.reset_value:
        raise ModelNotSupported(
            "Loihi's neurons return to v_reset at a spike",
            where=name,
            found=getattr(module.p.reset_method, "__name__", module.p.reset_method),
            allowed="reset_value",
            remedy="Retrain with norse's reset_value.",
        )
    shape = writer.shape
    writer.add(name, nir.LIF(**_box(module.p, shape, name), **_spikes(module.p, shape, name)), shape)


@writes(norse.LIFRecurrentCell, norse.LIFRecurrent)
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
    neuron = nir.CubaLIF(**_cuba(module.p, shape, dt, name), **_spikes(module.p, shape, name))
    writer.add(f"{name}.lif", neuron, shape)
    writer.nodes[f"{name}.w_rec"] = nir.Linear(w_rec)
    writer.edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]


@writes(RecurrentLIFCell)
def _(module: Any, writer: Writer, name: str) -> None:
    dt, w_rec = writer.step(name, float(module.dt)), array(module.recurrent_weights)
    writer.require_width(name, w_rec.shape[0])
    shape = writer.shape
    neuron = nir.CubaLIF(**_cuba(module.p, shape, dt, name), **_spikes(module.p, shape, name))
    writer.add(f"{name}.lif", neuron, shape)
    writer.nodes[f"{name}.w_rec"] = nir.Linear(w_rec)
    writer.edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]


@writes(norse.IAFCell, norse.IAF)
def _(module: Any, writer: Writer, name: str) -> None:
    writer.step(name, float(module.dt))
    shape = writer.shape
    writer.add(name, nir.IF(r=np.ones(shape), **_spikes(module.p, shape, name)), shape)


@writes(norse.LICell, norse.LI)
def _(module: Any, writer: Writer, name: str) -> None:
    dt = writer.step(name, float(module.dt))
    writer.add(name, nir.CubaLI(**_cuba(module.p, writer.shape, dt, name)), writer.shape)


@writes(norse.LIBoxCell)
def _(module: Any, writer: Writer, name: str) -> None:
    writer.step(name, float(module.dt))
    writer.add(name, nir.LI(**_box(module.p, writer.shape, name)), writer.shape)


@writes(norse.LILinearCell)
def _(module: Any, writer: Writer, name: str) -> None:
    weight = array(module.input_weights)
    writer.require_width(name, weight.shape[1])
    shape = (weight.shape[0],)
    writer.add(f"{name}.w_in", nir.Linear(weight), shape)
    dt = writer.step(name, float(module.dt))
    writer.add(f"{name}.li", nir.CubaLI(**_cuba(module.p, shape, dt, name)), shape)


def refusal(module: torch.nn.Module) -> str:
    """Why Norse's neuron of this type cannot run on Loihi; empty for other modules."""
    kind = type(module).__name__
    if not type(module).__module__.startswith("norse."):
        return ""
    reasons = (why for start, why in REFUSED.items() if kind.startswith(start))
    why = next(reasons, "")
    return f"Loihi's LIF cannot be a {kind}: {why}" if why else ""


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


def _spikes(p: Any, shape: Shape, name: str) -> dict[str, Any]:
    return {
        "v_threshold": each(p.v_th, shape, name, "v_th"),
        "v_reset": each(p.v_reset, shape, name, "v_reset"),
    }
