"""Front end for Norse: walk the modules and write NIR, with every parameter and the contract.

Norse's own exporter traces, drops modules it does not know, divides time constants by 1000 and loses
dt, v_reset and w_in. Walking the modules needs no trace: one function a module type, registered on
its class, writes that module's nodes; a type without one is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray

from snn_deploy.convert.contract import Contract
from snn_deploy.convert.frontends import Source
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.checkpoint import load_checkpoint
from snn_deploy.convert.frontends.norse.modules import Towers
from snn_deploy.errors import ModelNotSupported

norse = import_norse()


def read_source(path: Path) -> Source:
    """Front end of ``.pt`` and ``.safetensors`` checkpoints."""
    module, config = load_checkpoint(path)
    graph = to_nir(module, config.inputs)
    provenance = {
        "front_end": "norse",
        "task": config.task,
        "encoder": config.encoder,
        "training_seed": config.seed,
        "trained_with": dict(config.versions),
    }
    return Source(graph, provenance)


def to_nir(module: torch.nn.Module, inputs: Mapping[str, int]) -> nir.NIRGraph:
    """Write a Norse module as a NIR graph; dt and reset mode go into its metadata.

    module: Towers, or a SequentialState of supported modules. inputs: width of each input by name;
    a SequentialState takes the one entry.
    Raises ModelNotSupported for a module without a writer, differing dt, or parameters of a wrong size.
    """
    chains = module.towers if isinstance(module, Towers) else dict.fromkeys(inputs, module)
    writer = _Writer()
    for name, chain in chains.items():
        writer.begin(name, inputs[name])
        write(chain, writer, name)
        writer.end(f"{name}_out")
    if writer.dt is None:
        raise ModelNotSupported("the model has no neurons", where=type(module).__name__)
    contract = Contract(dt=writer.dt)
    return nir.NIRGraph(writer.nodes, writer.edges, metadata=contract.metadata())


@dataclass
class _Writer:
    """The graph so far; ``last`` and ``width`` are the open end of the current chain."""

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    last: str = ""
    width: int = 0
    dt: float | None = None

    def begin(self, name: str, width: int) -> None:
        self.nodes[name] = nir.Input(np.array([width]))
        self.last, self.width = name, width

    def end(self, name: str) -> None:
        self.add(name, nir.Output(np.array([self.width])), self.width)

    def add(self, name: str, node: nir.NIRNode, width: int) -> None:
        """Append a node behind the open end."""
        self.nodes[name] = node
        self.edges.append((self.last, name))
        self.last, self.width = name, width

    def step(self, name: str, dt: float) -> float:
        """Note a cell's dt, which all cells must share."""
        if self.dt is not None and dt != self.dt:
            raise ModelNotSupported(
                "cells differ in their time step", where=name, found=f"{dt} s", allowed=self.dt
            )
        self.dt = dt
        return dt


@singledispatch
def write(module: torch.nn.Module, writer: _Writer, name: str) -> None:
    """Append a module's nodes. To add a module, register it here."""
    allowed = sorted(
        cls.__name__ for cls in write.registry if cls is not torch.nn.Module and cls is not object
    )
    raise ModelNotSupported(
        "this module has no counterpart on Loihi",
        where=name,
        found=type(module).__name__,
        allowed=", ".join(allowed),
    )


@write.register(norse.SequentialState)
def _(module: torch.nn.Module, writer: _Writer, name: str) -> None:
    for index, child in module.named_children():
        write(child, writer, f"{name}.{index}")


@write.register
def _(module: torch.nn.Linear, writer: _Writer, name: str) -> None:
    weight = _array(module.weight)
    _check_width(name, weight.shape[1], writer)
    node = nir.Linear(weight) if module.bias is None else nir.Affine(weight, _array(module.bias))
    writer.add(name, node, weight.shape[0])


@write.register(norse.LIFCell)
def _(module: Any, writer: _Writer, name: str) -> None:
    dt = writer.step(name, float(module.dt))
    writer.add(name, _cuba_lif(module.p, writer.width, dt, name), writer.width)


@write.register(norse.LIFBoxCell)
def _(module: Any, writer: _Writer, name: str) -> None:
    writer.step(name, float(module.dt))
    if module.reset_method is not norse.functional.reset.reset_value:
        raise ModelNotSupported(
            "Loihi's neurons return to v_reset at a spike",
            where=name,
            found=getattr(module.reset_method, "__name__", module.reset_method),
            allowed="reset_value",
            remedy="Retrain with norse's reset_value.",
        )
    p, width = module.p, writer.width
    node = nir.LIF(
        tau=1.0 / _each(p.tau_mem_inv, width, name, "tau_mem_inv"),
        r=np.ones(width),
        v_leak=_each(p.v_leak, width, name, "v_leak"),
        v_threshold=_each(p.v_th, width, name, "v_th"),
        v_reset=_each(p.v_reset, width, name, "v_reset"),
    )
    writer.add(name, node, width)


@write.register(norse.LIFRecurrentCell)
def _(module: Any, writer: _Writer, name: str) -> None:
    dt = writer.step(name, float(module.dt))
    w_in, w_rec = _array(module.input_weights), _array(module.recurrent_weights)
    _check_width(name, w_in.shape[1], writer)
    if not module.autapses:
        np.fill_diagonal(w_rec, 0.0)  # Norse masks self-connections
    width = w_in.shape[0]
    writer.add(f"{name}.w_in", nir.Linear(w_in), width)
    writer.add(f"{name}.lif", _cuba_lif(module.p, width, dt, name), width)
    writer.nodes[f"{name}.w_rec"] = nir.Linear(w_rec)
    writer.edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]


def _cuba_lif(p: Any, width: int, dt: float, name: str) -> nir.CubaLIF:
    """Norse adds the input to i unscaled: in NIR's terms w_in = tau_syn / dt and r = 1."""
    tau_syn = 1.0 / _each(p.tau_syn_inv, width, name, "tau_syn_inv")
    return nir.CubaLIF(
        tau_syn=tau_syn,
        tau_mem=1.0 / _each(p.tau_mem_inv, width, name, "tau_mem_inv"),
        r=np.ones(width),
        v_leak=_each(p.v_leak, width, name, "v_leak"),
        v_threshold=_each(p.v_th, width, name, "v_th"),
        v_reset=_each(p.v_reset, width, name, "v_reset"),
        w_in=tau_syn / dt,
    )


def _array(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().to(torch.float64).numpy().copy()


def _each(value: Any, width: int, name: str, parameter: str) -> NDArray[np.float64]:
    """A scalar or per-neuron parameter as one value a neuron."""
    values = _array(torch.as_tensor(value)).reshape(-1)
    if values.size not in (1, width):
        raise ModelNotSupported(
            f"{parameter} has a wrong size", where=name, found=values.size, allowed=f"1 or {width} values"
        )
    return np.broadcast_to(values, (width,)).copy()


def _check_width(name: str, columns: int, writer: _Writer) -> None:
    if columns != writer.width:
        raise ModelNotSupported(
            "the module does not take what arrives",
            where=name,
            found=f"{columns} inputs",
            allowed=writer.width,
        )
