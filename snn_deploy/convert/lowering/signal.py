"""What travels along the edges of a graph between two neurons: paths from sources, and a constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snn_deploy.convert.compose import add, compose, drive, identity
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.connections import Connection

Shape = tuple[int, ...]

CONSTANT = "(constant)"
"""Name of a neuron that spikes in every step: behind a Delay, a constant is its spikes, which begin late."""


@dataclass(frozen=True)
class Path:
    """Linear nodes passed so far between ``source`` and here.

    connection: their composed map, None for the identity. delay: steps of the Delay nodes passed.
    """

    source: str
    connection: Connection | None = None
    delay: int = 0
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signal:
    """What a node sends: its shape, one path per source and delay, and the summed bias, flattened."""

    shape: Shape
    paths: tuple[Path, ...]
    bias: FloatArray | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def through(self, connection: Connection, node: str, shape: Shape) -> Signal:
        """The signal behind a linear map."""
        return Signal(
            shape,
            tuple(
                replace(p, connection=compose(connection, p.connection), nodes=(*p.nodes, node))
                for p in self.paths
            ),
            None if self.bias is None else drive(connection, self.bias),
        )

    def mapped(
        self, function: Callable[[Connection], Connection], node: str, bias: FloatArray | None
    ) -> Signal:
        """The signal with ``function`` applied to the composed map of each path, and another bias."""
        return replace(
            self,
            paths=tuple(
                replace(p, connection=function(p.connection or identity(self.size)), nodes=(*p.nodes, node))
                for p in self.paths
            ),
            bias=bias,
        )

    def plus(self, bias: FloatArray) -> Signal:
        """The signal with a constant added."""
        return replace(self, bias=bias if self.bias is None else self.bias + bias)


def merge(signals: Sequence[Signal]) -> Signal:
    """The sum of signals of one shape."""
    total = Signal(signals[0].shape, tuple(p for signal in signals for p in signal.paths))
    for signal in signals:
        if signal.bias is not None:
            total = total.plus(signal.bias)
    return total


def joined(signal: Signal) -> Signal:
    """Paths from one source with one delay become one: a linear node behind a merge sees their sum."""
    together: dict[tuple[str, int], list[Path]] = {}
    for path in signal.paths:
        together.setdefault((path.source, path.delay), []).append(path)
    paths = []
    for (source, delay), group in together.items():
        if len(group) == 1:
            paths.append(group[0])
            continue
        nodes = tuple(dict.fromkeys(node for path in group for node in path.nodes))
        summed = add([path.connection or identity(signal.size) for path in group])
        paths.append(Path(source, summed, delay, nodes))
    return replace(signal, paths=tuple(paths))
