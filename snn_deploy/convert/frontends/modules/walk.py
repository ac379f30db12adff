"""Walk a torch module, of whatever framework, and write it as a NIR graph.

Exporters trace, drop what they do not know, and lose time step, reset and gains. Here each module type has
one function that writes its nodes from the module's own parameters: torch's layers in ``layers``, a
framework's neurons in the front end that bears its package's name. Modules of the user's own are traced
(``traced``); anything else is refused by name.

    graph = from_torch(module, {"input": 700})
    write_graph("model.nir", graph)          # snn_deploy.convert.frontends.nir_file
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import nir
from torch import nn

from snn_deploy.convert.canonical import canonical
from snn_deploy.convert.frontends.modules import layers  # noqa: F401  it registers
from snn_deploy.convert.frontends.modules.traced import is_library, write_traced
from snn_deploy.convert.frontends.modules.writer import (
    EXPLANATIONS,
    WRITERS,
    Shape,
    Writer,
    registered,
    states_of,
    writes,
)
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract

_log = logging.getLogger(__name__)

_FRONT_ENDS = "snn_deploy.convert.frontends"


def from_torch(
    module: nn.Module | Mapping[str, nn.Module],
    inputs: int | Shape | Mapping[str, int | Shape],
    *,
    dt: float | None = None,
) -> nir.NIRGraph:
    """The module as a NIR graph, with dt, reset, framework and version in its metadata.

    module: a chain of torch's layers and the neurons of Norse, snnTorch, SpikingJelly, Sinabs or Rockpool,
    or a module of your own whose ``forward`` calls them; several chains, by the names of their inputs, as a
    mapping or a ModuleDict. It is taken as it computes at inference, its neurons at rest.
    inputs: width or shape of the input, without time and batch, or name -> that. dt: seconds of a step;
    only frameworks without one need it, and no spike depends on it.
    Raises ModelNotSupported for modules, functions, settings and values that NIR or Loihi cannot hold, with
    their path, for cells that differ in dt or reset, and for parameters of a wrong size.
    """
    named: dict[str, int | Shape] = dict(inputs) if isinstance(inputs, Mapping) else {"input": inputs}
    if isinstance(module, nn.ModuleDict):
        module = dict(module.items())
    chains = dict.fromkeys(named, module) if isinstance(module, nn.Module) else dict(module)
    if set(chains) != set(named) or (len(chains) > 1 and isinstance(module, nn.Module)):
        raise ModelNotSupported(
            "each chain of modules needs one input",
            found=", ".join(named),
            allowed="one name" if isinstance(module, nn.Module) else ", ".join(chains),
        )
    _know_compiled_modules()
    for chain in chains.values():
        load_front_ends(chain)
    writer = Writer(dt=dt)
    for name, chain in chains.items():
        shape = named[name]
        writer.begin(name, (shape,) if isinstance(shape, int) else tuple(shape))
        write(chain, writer, name)
        writer.end(f"{name}_out")
    return _finished(writer)


def _finished(writer: Writer) -> nir.NIRGraph:
    if not writer.frameworks:
        raise ModelNotSupported("the model has no neurons", allowed=", ".join(supported()))
    writer.settle()
    if writer.counted:
        _log.warning(
            "%s counts steps and does not say how long one is: %g s are taken for the time constants of the "
            "graph, and no spike depends on it; dt sets it",
            ", ".join(sorted(writer.frameworks)),
            writer.dt,
        )
    metadata = {
        **Contract(dt=float(writer.dt or 0)).metadata(),
        "reset": writer.reset or "zero",
        "framework": ", ".join(sorted(writer.frameworks)),
        "framework_version": ", ".join(_version(name) for name in sorted(writer.frameworks)),
    }
    return canonical(nir.NIRGraph(writer.nodes, writer.edges, metadata=metadata, type_check=False))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return str(getattr(sys.modules.get(package), "__version__", "not stated"))


def load_front_ends(module: nn.Module) -> None:
    """Import the front end of each framework whose modules occur: it registers what it can write.

    A front end is the module, or the package with a module ``walker``, that bears the name of the package
    which the framework's modules come from.
    """
    # torch's own: frameworks have methods of these names that return something else
    parts = (part for _, part in nn.Module.named_modules(module))
    packages = {base.__module__.partition(".")[0] for part in parts for base in type(part).__mro__}
    for package in sorted(packages):
        name = f"{_FRONT_ENDS}.{package}"
        spec = find_spec(name) if package.isidentifier() else None
        if spec is None:
            continue
        walker = f"{name}.walker" if spec.submodule_search_locations else name
        if find_spec(walker) is not None:
            import_module(walker)


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
    base = registered(module)
    if base is not None:
        outer, writer.package = writer.package, base.__module__.partition(".")[0]
        WRITERS[base](module, writer, name)
        writer.package = outer
    elif is_library(module) or not list(module.children()):
        package = type(module).__module__.partition(".")[0]
        why, remedy = EXPLANATIONS[package](module) if package in EXPLANATIONS else ("", "")
        raise ModelNotSupported(
            why or "this module has no counterpart on Loihi",
            where=name,
            found=type(module).__name__,
            allowed="" if why else ", ".join(supported()),
            remedy=remedy,
        )
    else:
        write_traced(module, writer, name, write)


@writes(nn.Sequential)
def _(module: nn.Sequential, writer: Writer, name: str) -> None:
    for index, child in module.named_children():
        write(child, writer, f"{name}.{index}")


def _inner_states(module: Any) -> tuple[str, ...]:
    return states_of(getattr(module, "module", None) or module._orig_mod)


@writes(nn.DataParallel, nn.parallel.DistributedDataParallel, states=_inner_states)
def _(module: Any, writer: Writer, name: str) -> None:
    """Copies the module to other devices."""
    write(module.module, writer, name)


def _know_compiled_modules() -> None:
    """torch.compile's wrapper computes what the module does. Its class is there once somebody compiles."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    if dynamo is None:
        return

    @writes(dynamo.OptimizedModule, states=_inner_states)
    def _(module: Any, writer: Writer, name: str) -> None:
        write(module._orig_mod, writer, name)
