"""Front end for Norse: walk the modules and write NIR, with every parameter and the contract.

Norse's own exporter traces, drops modules it does not know, divides time constants by 1000 and loses
dt, v_reset and w_in. Here each module type has one function that writes its nodes (``layers`` and
``cells``); modules of the user's own are traced (``traced``); anything else is refused by name.

    graph = to_nir(module, {"input": 700})
    write_graph("model.nir", graph)          # snn_deploy.convert.frontends.nir_file
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np
from torch import nn

from snn_deploy.convert.canonical import canonical
from snn_deploy.convert.frontends import Source
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint
from snn_deploy.convert.frontends.norse.description.modules import Towers
from snn_deploy.convert.frontends.norse.graph import cells, layers  # noqa: F401  they register
from snn_deploy.convert.frontends.norse.graph.traced import write_traced
from snn_deploy.convert.frontends.norse.graph.writer import WRITERS, Shape, Writer, writer_of, writes
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract

norse = import_norse()


def read_source(path: Path) -> Source:
    """Front end of ``.pt`` and ``.safetensors`` checkpoints."""
    module, config = load_checkpoint(path)
    graph = to_nir(module, {name: config.input_shape(name) for name in config.inputs})
    provenance = {
        "front_end": "norse",
        "task": config.task,
        "encoder": config.encoder,
        "training_seed": config.seed,
        "trained_with": dict(config.versions),
    }
    return Source(graph, provenance)


def to_nir(module: nn.Module, inputs: Mapping[str, int | Shape]) -> nir.NIRGraph:
    """Write a Norse module as a NIR graph; dt and reset mode go into its metadata.

    module: Towers (a chain for each input), or any supported module, norse.torch.SequentialState as a
    rule. inputs: for each input its name and its width or shape, without time and batch; one input where
    ``module`` is one chain. The network is taken as it computes at inference.
    Raises ModelNotSupported for modules, functions and values that NIR or Loihi cannot hold, with their
    path, differing dt, and parameters of a wrong size.
    """
    if isinstance(module, Towers):
        chains: dict[str, nn.Module] = dict(module.towers.items())
    else:
        chains = dict.fromkeys(inputs, module)
    if set(chains) != set(inputs) or (len(chains) > 1 and not isinstance(module, Towers)):
        raise ModelNotSupported(
            "each chain of modules needs one input",
            found=", ".join(inputs),
            allowed=", ".join(chains) or "one name",
        )
    writer = Writer()
    for name, chain in chains.items():
        shape = inputs[name]
        writer.begin(name, (shape,) if isinstance(shape, int) else tuple(shape))
        write(chain, writer, name)
        writer.end(f"{name}_out")
    if writer.dt is None:
        raise ModelNotSupported("the model has no neurons", where=type(module).__name__)
    metadata = Contract(dt=writer.dt).metadata()
    return canonical(nir.NIRGraph(writer.nodes, writer.edges, metadata=metadata, type_check=False))


def supported() -> tuple[str, ...]:
    """Names of the module types that have a writer, sorted."""
    return tuple(sorted(cls.__name__ for cls in WRITERS))


def write(module: nn.Module, writer: Writer, name: str) -> None:
    """Append a module's nodes."""
    if module._forward_hooks or module._forward_pre_hooks:
        raise ModelNotSupported(
            "a forward hook may change what the module computes",
            where=name,
            found=type(module).__name__,
            remedy="Remove the hook before exporting.",
        )
    function = writer_of(module)
    if function is not None:
        function(module, writer, name)
    elif type(module).__module__.startswith(("torch.nn.", "norse.")) or not list(module.children()):
        raise ModelNotSupported(
            cells.refusal(module) or "this module has no counterpart on Loihi",
            where=name,
            found=type(module).__name__,
            allowed=", ".join(supported()),
        )
    else:
        write_traced(module, writer, name, write)


@writes(norse.SequentialState, nn.Sequential)
def _(module: Any, writer: Writer, name: str) -> None:
    if getattr(module, "return_hidden", False):
        raise ModelNotSupported("a list of all layers is no signal", where=name, found="return_hidden=True")
    for index, child in module.named_children():
        write(child, writer, f"{name}.{index}")


@writes(norse.Lift)
def _(module: Any, writer: Writer, name: str) -> None:
    """Applies a module in every step, which here is always so."""
    write(module.lifted_module, writer, name)


@writes(norse.RecurrentSequential)
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
    _refuse_constant(writer, list(writer.nodes)[written:], name)
    writer.edges += [(source, entry) for source in writer.open]
    writer.fresh = ""


def _refuse_constant(writer: Writer, names: list[str], name: str) -> None:
    """Behind the last neuron there must be no bias: Norse feeds nothing back in the first step."""
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
