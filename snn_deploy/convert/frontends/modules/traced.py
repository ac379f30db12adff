"""Modules of the user's own: what ``forward`` computes is proved by tracing it, and nothing is guessed.

torch.fx runs ``forward`` on symbols, twice: without a state, as in the first step, and with one. Both
must call the same modules in the same order; each cell must be given no state in the first step, and
afterwards the very one that it returned. Python that looks at values cannot be traced and is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from snn_deploy.convert.frontends.modules.writer import (
    EXPLANATIONS,
    KEEPING,
    Shape,
    Writer,
    registered,
    states_of,
    takes_state,
)
from snn_deploy.errors import ModelNotSupported

Write = Callable[[nn.Module, Writer, str], None]
_Path = tuple[Any, ...]


@dataclass(frozen=True)
class _Signal:
    """What modules send: the nodes that are summed, and the shape."""

    open: tuple[str, ...]
    shape: Shape
    fresh: str = ""


@dataclass(frozen=True)
class _State:
    """A part of the state that was handed in, reached over ``path``."""

    path: _Path


@dataclass(frozen=True)
class _NewState:
    """A state that the cell of this fx node returned."""

    cell: str
    name: str


@dataclass(frozen=True)
class _Returned:
    """What a cell returns: its output, and its states."""

    parts: tuple[Any, ...]

    @property
    def sent(self) -> _Signal:
        sent: _Signal = self.parts[0]
        return sent


def is_library(module: nn.Module) -> bool:
    """Whether a module is torch's or a framework's own, so that its ``forward`` is not the user's."""
    return any(
        (type(module).__module__ + ".").startswith(f"{package}.") for package in ("torch.nn", *EXPLANATIONS)
    )


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return registered(m) is not None or is_library(m)


class _Step(nn.Module):
    """One step of the user's module: the first one, or a later one that is handed a state."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


class _First(_Step):
    def forward(self, x: Any) -> Any:
        return self.module(x, None) if takes_state(self.module) else self.module(x)


class _Later(_Step):
    def forward(self, x: Any, state: Any) -> Any:
        return self.module(x, state)


def write_traced(module: nn.Module, writer: Writer, name: str, write: Write) -> None:
    """Append what ``module.forward`` computes; ``write`` writes the modules that it calls.

    Raises ModelNotSupported where the trace fails, or proves something that a graph of neurons is not.
    """
    entry = _Signal(writer.open, writer.shape, writer.fresh)
    first = _Reader(module, _trace(_First(module), name), name)
    later = _Reader(module, _trace(_Later(module), name), name) if takes_state(module) else first
    if first.calls() != later.calls():
        raise ModelNotSupported(
            "the first step calls other modules than later ones",
            where=name,
            found=", ".join(first.calls()),
            allowed=", ".join(later.calls()),
        )
    first.read(entry, Writer(dt=writer.dt), write)
    sent = later.read(entry, writer, write)
    if any(path is not None for path in first.taken.values()):
        raise ModelNotSupported("a cell starts from a state of the module's own making", where=name)
    _prove_states(later, name)
    writer.open, writer.shape, writer.fresh = sent.open, sent.shape, ""


def _prove_states(later: _Reader, name: str) -> None:
    """Each cell is given what it returned, at the same place of the state."""
    for (cell, new), path in later.taken.items():
        if path is None:
            found = "no state"
        elif later.returned.get(path) == new:
            continue
        else:
            found = f"the state at {list(path)}, where {later.returned.get(path)} was returned"
        raise ModelNotSupported(
            "a cell is not given the state that it returned in the step before",
            where=f"{name}.{cell}",
            found=found,
            remedy="Pass (x, state) through forward, and return each cell's state where it is taken from.",
        )


def _trace(wrapped: nn.Module, name: str) -> fx.Graph:
    try:
        return _Tracer().trace(wrapped)
    except Exception as error:  # forward is the user's code: on symbols it may raise anything
        raise ModelNotSupported(
            "forward cannot be traced, so what it computes is not known",
            where=name,
            found=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            allowed="calls of supported modules, +, torch.flatten, and states handed through",
            remedy="A loop over time is walked by one step of it: make its body the forward(x, state) of a "
            "module, call that in the loop, and hand it to from_torch. Other code must not branch on values.",
        ) from error


class _Reader:
    """Reads one trace.

    taken: (cell, the state that it will return) -> where it took that state from. returned: the state's
    parts by path.
    """

    def __init__(self, module: nn.Module, graph: fx.Graph, name: str) -> None:
        self.module, self.graph, self.name = module, graph, name
        self.taken: dict[tuple[str, Any], _Path | None] = {}
        self.returned: dict[_Path, Any] = {}
        self.values: dict[fx.Node, Any] = {}

    def calls(self) -> list[str]:
        return [str(node.target) for node in self.graph.nodes if node.op == "call_module"]

    def read(self, entry: _Signal, writer: Writer, write: Write) -> _Signal:
        result: Any = None
        placeholders: list[Any] = [entry, _State(())]
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = placeholders.pop(0)
            elif node.op == "output":
                result = self._values_in(node.args[0])
            elif node.op == "call_module":
                self.values[node] = self._call(node, writer, write)
            else:
                self.values[node] = self._compute(node, writer, write)
        if isinstance(result, _Signal):
            return result
        if isinstance(result, Sequence) and len(result) == 2 and isinstance(result[0], _Signal):
            self._collect(result[1], ())
            return result[0]
        if isinstance(result, _Returned) and len(result.parts) == 2:  # 'return self.cell(x, state)'
            self.returned[()] = result.parts[1]
            return result.sent
        raise self._refuse("forward must return what its last module sends, and the state", result)

    def _call(self, node: fx.Node, writer: Writer, write: Write) -> Any:
        path = str(node.target).removeprefix("module.")
        module = self.module.get_submodule(path)
        arguments = [self._values_in(a) for a in (*node.args, *node.kwargs.values())]
        if not arguments or not isinstance(arguments[0], _Signal):
            raise self._refuse(f"{path} is called on something that no module sent", arguments)
        writer.open, writer.shape = arguments[0].open, arguments[0].shape
        writer.fresh = arguments[0].fresh if len(node.all_input_nodes[0].users) == 1 else ""
        write(module, writer, f"{self.name}.{path}")
        sent = _Signal(writer.open, writer.shape, writer.fresh)
        states = states_of(module)
        if not states:
            return sent
        cell = node.name.removeprefix("module_")
        given = [*arguments[1:], *[None] * len(states)]
        news = [sent if name == "output" else _NewState(cell, name) for name in states]
        for state, new in zip(given, news, strict=False):
            if state is None and registered(module) in KEEPING:
                continue
            if state is not None and not isinstance(state, _State):
                raise self._refuse(f"the state of {path} is computed", state)
            self.taken[cell, new] = None if state is None else state.path
        return _Returned((*news,) if states[0] == "output" else (sent, *news))

    def _compute(self, node: fx.Node, writer: Writer, write: Write) -> Any:
        arguments = [self._values_in(argument) for argument in node.args]
        if node.target in (torch.flatten, "flatten") and isinstance(arguments[0], _Signal):
            writer.open, writer.shape = arguments[0].open, arguments[0].shape
            write(
                nn.Flatten(*(arguments[1:] or [0]), **dict[str, Any](node.kwargs)),
                writer,
                f"{self.name}.{node.name}",
            )
            return _Signal(writer.open, writer.shape)
        if node.target in (operator.getitem, getattr) and not node.kwargs:
            return self._part(arguments[0], arguments[1])
        if node.target in (operator.add, operator.iadd, torch.add, "add") and not node.kwargs:
            a, b = arguments
            if isinstance(a, _Signal) and isinstance(b, _Signal) and a.shape == b.shape:
                return _Signal(a.open + b.open, a.shape)
        raise self._refuse("this function between modules has no counterpart on Loihi", node.target)

    def _part(self, whole: Any, key: Any) -> Any:
        if isinstance(whole, _Returned) and key in range(len(whole.parts)):
            return whole.parts[key]
        if isinstance(whole, _State):
            return _State((*whole.path, key))
        raise self._refuse("a part of a signal is taken", f"[{key}]")

    def _values_in(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.values[argument]
        if hasattr(argument, "_fields"):  # a NamedTuple's parts are reached by name and by number
            parts = [self._values_in(value) for value in argument]
            return {**dict(enumerate(parts)), **dict(zip(argument._fields, parts, strict=True))}
        if isinstance(argument, Mapping):
            return {key: self._values_in(value) for key, value in argument.items()}
        if isinstance(argument, tuple | list):
            return [self._values_in(value) for value in argument]
        return argument

    def _collect(self, state: Any, path: _Path) -> None:
        self.returned[path] = state
        if isinstance(state, Mapping | list):
            parts = state.items() if isinstance(state, Mapping) else enumerate(state)
            for key, value in parts:
                self._collect(value, (*path, key))

    def _refuse(self, what: str, found: Any) -> ModelNotSupported:
        shown = found if isinstance(found, str) else getattr(found, "__name__", type(found).__name__)
        return ModelNotSupported(
            what,
            where=self.name,
            found=shown,
            allowed="calls of supported modules, + of their outputs, and states handed through",
        )
