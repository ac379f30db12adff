"""The graph that front ends of frameworks write, and the one function a module type that writes into it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
import torch
from nir.ir.graph import Identity
from numpy.typing import NDArray

from snn_deploy.errors import ModelNotSupported

Shape = tuple[int, ...]

#: Seconds of a step where neither module nor caller states them; the graph's time constants scale with it.
DEFAULT_DT = 1e-3


@dataclass
class Writer:
    """The graph so far. ``open`` are the nodes whose sum the next module is given, ``shape`` is its shape.

    fresh: the node that nothing but the next module will read, so that it may take in what follows.
    dt: seconds of a step, None until somebody states it. reset: of the neurons so far, None before the first.
    package: of the module that is being written. frameworks: packages whose neurons occur.
    counted: whether dt was made up, for neurons that count steps. memoryless: neurons whose tau is dt.
    """

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    open: tuple[str, ...] = ()
    shape: Shape = ()
    dt: float | None = None
    fresh: str = ""
    reset: str | None = None
    package: str = ""
    frameworks: set[str] = field(default_factory=set)
    counted: bool = False
    memoryless: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        return int(np.prod(self.shape))

    def begin(self, name: str, shape: Shape) -> None:
        """Start a chain at a new input."""
        self.nodes[name] = nir.Input(np.array(shape))
        self.open, self.shape, self.fresh = (name,), shape, ""

    def end(self, name: str) -> None:
        """Read the open end out."""
        self.add(name, nir.Output(np.array(self.shape)), self.shape)

    def add(self, name: str, node: nir.NIRNode, shape: Shape) -> None:
        """Append a node behind the open end."""
        if name in self.nodes:
            raise ModelNotSupported("two modules write a node of this name", where=name)
        if len(set(self.open)) < len(self.open):
            raise ModelNotSupported("a signal is added to itself", where=name, found=" + ".join(self.open))
        if hasattr(node, "r"):  # a neuron
            self.frameworks.add(self.package)
        self.nodes[name] = node
        self.edges += [(source, name) for source in self.open]
        self.open, self.shape, self.fresh = (name,), shape, name

    def add_memoryless(self, name: str, node: nir.LIF) -> None:
        """Append neurons that forget within a step, of any length: :meth:`settle` gives them their tau."""
        frameworks = set(self.frameworks)
        self.add(name, node, self.shape)
        self.frameworks = frameworks  # no module's neurons
        self.memoryless.append(name)

    def settle(self) -> None:
        """Give neurons that forget within a step their time constant, once dt is known."""
        for name in self.memoryless:
            self.nodes[name].tau = np.full(self.nodes[name].r.shape, self.counted_step())

    def sends_spikes(self) -> bool:
        """Whether the next module is given spikes: of one population or input, as they are or reshaped."""
        at = self.open
        while len(at) == 1 and isinstance(self.nodes[at[0]], nir.Flatten | Identity):
            at = tuple(source for source, target in self.edges if target == at[0])
        return len(at) == 1 and (
            isinstance(self.nodes[at[0]], nir.Input) or hasattr(self.nodes[at[0]], "v_threshold")
        )

    def junction(self, name: str) -> None:
        """Append a node that passes on what arrives, so that a cycle can be led back to it."""
        stated = np.array(self.shape)
        self.add(name, Identity({"input": stated, "output": stated}), self.shape)
        self.fresh = ""

    def step(self, name: str, dt: float) -> float:
        """Note a cell's own dt, which all cells must share."""
        if self.dt is not None and dt != self.dt:
            raise ModelNotSupported(
                "cells differ in their time step, or from the one that was given",
                where=name,
                found=f"{dt} s",
                allowed=f"{self.dt} s",
            )
        self.dt = dt
        return dt

    def counted_step(self) -> float:
        """The seconds of a step for a cell that counts steps: no spike depends on them."""
        if self.dt is None:
            self.dt, self.counted = DEFAULT_DT, True
        return self.dt

    def resets(self, name: str, reset: str) -> None:
        """Note a cell's reset, which all cells must share."""
        if self.reset not in (None, reset):
            raise ModelNotSupported(
                "cells differ in their reset",
                where=name,
                found=reset,
                allowed=str(self.reset),
                remedy="A network has one reset: train all of its layers with the same.",
            )
        self.reset = reset

    def require_width(self, name: str, columns: int) -> None:
        """Refuse a module that takes vectors of another width than arrives."""
        if self.shape != (columns,):
            raise ModelNotSupported(
                "the module does not take what arrives",
                where=name,
                found=f"shape {self.shape}",
                allowed=f"{columns} values",
            )


Write = Callable[[Any, Writer, str], None]
WRITERS: dict[type[torch.nn.Module], Write] = {}
#: Of a cell's type: the states that its call takes behind the input and returns last; see :func:`writes`.
STATES: dict[type[torch.nn.Module], Callable[[Any], tuple[str, ...]]] = {}
#: (why, what to do instead) of a module that no front end writes, by the package that it comes from.
EXPLANATIONS: dict[str, Callable[[torch.nn.Module], tuple[str, str]]] = {}


#: Cells that, given no state, go on from the one that they had in the step before.
KEEPING: set[type[torch.nn.Module]] = set()


def writes(
    *modules: type[torch.nn.Module],
    states: tuple[str, ...] | Callable[[Any], tuple[str, ...]] = (),
    keeps: bool = False,
) -> Callable[[Write], Write]:
    """Register the function that writes modules of these types. To add a module, decorate its function.

    states: names of those that ``module(x, *states)`` takes and ``(output, *states)`` returns, "output" for
    one that is the output itself; none where it returns its output alone. A function of the module where
    that depends on how it was built. keeps: given no state, it goes on from the one of the step before.
    """

    def register(function: Write) -> Write:
        WRITERS.update(dict.fromkeys(modules, function))
        names = states if callable(states) else lambda module: states
        STATES.update(dict.fromkeys(modules, names))
        if keeps:
            KEEPING.update(modules)
        return function

    return register


#: What a subclass may replace of a module without changing what it computes, beside most dunder names.
_HARMLESS = {"extra_repr", "reset_parameters"}
_CALLED = {"__call__", "__getattr__", "__getattribute__"}


def registered(module: torch.nn.Module) -> type[torch.nn.Module] | None:
    """The module's type, or a base of which it has replaced nothing, that has a writer."""
    changed: set[str] = set()
    for base in type(module).__mro__:
        if base in WRITERS:
            own_forward = "forward" in vars(module) and base.__name__ != "OptimizedModule"
            return None if own_forward or any(hasattr(base, name) for name in changed) else base
        changed |= {
            name for name in vars(base) if name in _CALLED or not (name.startswith("__") or name in _HARMLESS)
        }
    return None


def states_of(module: torch.nn.Module) -> tuple[str, ...]:
    """Names of the states that a call of the module takes and returns."""
    base = registered(module)
    if base is not None:
        return STATES[base](module)
    return ("state",) if takes_state(module) else ()


def takes_state(module: torch.nn.Module) -> bool:
    """Whether ``forward`` of a module of the user's own is handed a state."""
    return len(inspect.signature(module.forward).parameters) > 1


def array(tensor: torch.Tensor) -> NDArray[np.float64]:
    """The tensor's values in float64."""
    return tensor.detach().cpu().to(torch.float64).numpy().copy()


def each(value: Any, shape: Shape, name: str, parameter: str) -> NDArray[np.float64]:
    """A scalar, per-channel or per-neuron parameter as one value a neuron."""
    values = array(value) if isinstance(value, torch.Tensor) else np.asarray(value, dtype=np.float64)
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]
    try:
        return np.broadcast_to(values, shape).copy()
    except ValueError:
        raise ModelNotSupported(
            f"{parameter} has a wrong size",
            where=name,
            found=values.shape,
            allowed=f"1 value or shape {shape}",
        ) from None
