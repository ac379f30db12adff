"""The graph that the Norse front end writes, and the one function a module type that writes into it."""

from __future__ import annotations

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


@dataclass
class Writer:
    """The graph so far. ``open`` are the nodes whose sum the next module is given, ``shape`` is its shape.

    fresh: the node that nothing but the next module will read, so that it may take in what follows.
    """

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    open: tuple[str, ...] = ()
    shape: Shape = ()
    dt: float | None = None
    fresh: str = ""

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
        self.nodes[name] = node
        self.edges += [(source, name) for source in self.open]
        self.open, self.shape, self.fresh = (name,), shape, name

    def junction(self, name: str) -> None:
        """Append a node that passes on what arrives, so that a cycle can be led back to it."""
        stated = np.array(self.shape)
        self.add(name, Identity({"input": stated, "output": stated}), self.shape)
        self.fresh = ""

    def step(self, name: str, dt: float) -> float:
        """Note a cell's dt, which all cells must share."""
        if self.dt is not None and dt != self.dt:
            raise ModelNotSupported(
                "cells differ in their time step", where=name, found=f"{dt} s", allowed=f"{self.dt} s"
            )
        self.dt = dt
        return dt

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


def writes(*modules: type[torch.nn.Module]) -> Callable[[Write], Write]:
    """Register the function that writes modules of these types. To add a module, decorate its function."""

    def register(function: Write) -> Write:
        WRITERS.update(dict.fromkeys(modules, function))
        return function

    return register


def writer_of(module: torch.nn.Module) -> Write | None:
    """The function for a module: of its type, or of a base whose ``forward`` it has not replaced."""
    for base in type(module).__mro__:
        if base in WRITERS and type(module).forward is base.forward:
            return WRITERS[base]
    return None


def array(tensor: torch.Tensor) -> NDArray[np.float64]:
    """The tensor's values in float64."""
    return tensor.detach().cpu().to(torch.float64).numpy().copy()


def each(value: Any, shape: Shape, name: str, parameter: str) -> NDArray[np.float64]:
    """A scalar, per-channel or per-neuron parameter as one value a neuron."""
    values = array(torch.as_tensor(value))
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
