"""What a training run is shown: examples drawn afresh for every epoch, and batches of them as tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snn_deploy.errors import UsageError

if TYPE_CHECKING:
    import torch

Arrays = Mapping[str, npt.NDArray[Any]]

Layers = dict[str, "list[torch.Tensor]"]
"""Activity of every layer of neurons that an input went through, by the name of the input: rates
(samples, neurons) in the stage "rates", spikes (steps, samples, neurons) in the stage "spikes"."""


@dataclass(frozen=True)
class Examples:
    """Rows that belong together: row k of every array is of example k.

    inputs: by the name of a tower what its coding takes, (samples, *shape): probabilities, values, or
    rasters (samples, steps, *shape). A tower that is shown several inputs has names such as "image" and
    "image/other", the tower before the slash. targets: whatever the objective reads, by name.
    """

    inputs: Arrays
    targets: Arrays = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values()), ()))

    def rows(self, chosen: npt.NDArray[np.int64]) -> Examples:
        """The examples of these row numbers."""
        return Examples(
            {name: values[chosen] for name, values in self.inputs.items()},
            {name: values[chosen] for name, values in self.targets.items()},
        )

    def check(self, towers: Collection[str], targets: tuple[str, ...]) -> None:
        """Raise UsageError unless the arrays have one length, fit the towers and hold the targets."""
        unknown = sorted({tower_of(name) for name in self.inputs} ^ set(towers))
        if unknown:
            raise UsageError(
                "the inputs of the examples are not those of the towers",
                where="views",
                found=", ".join(self.inputs),
                allowed=", ".join(towers),
            )
        lengths = {name: len(values) for name, values in (*self.inputs.items(), *self.targets.items())}
        if len(set(lengths.values())) != 1 or not len(self):
            found = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise UsageError("the arrays of the examples need one length", where="views", found=found)
        missing = [name for name in targets if name not in self.targets]
        if missing:
            raise UsageError(
                "the objective reads targets that the examples lack",
                where="views",
                found=", ".join(self.targets) or "no targets",
                allowed=", ".join(targets),
            )


Views = Callable[[np.random.Generator], Examples]
"""Draws one epoch: the same examples under fresh noise, shifts or whatever a task varies."""


@dataclass(frozen=True)
class Batch:
    """Some examples as an objective sees them, tensors on the device of the network.

    inputs: what the towers were given, (samples, *shape), before coding. constants: the arrays that the
    model carries, among them the linear maps that the objective trains.
    """

    inputs: Mapping[str, torch.Tensor]
    targets: Mapping[str, torch.Tensor]
    constants: Mapping[str, torch.Tensor]


def tower_of(name: str) -> str:
    """The tower that an input of this name goes through: "image" of "image/other"."""
    return name.partition("/")[0]


def batches(n: int, size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Rows of one epoch in random order, in parts of about ``size`` that differ by one row at most."""
    return np.array_split(rng.permutation(n), max(1, round(n / size)))
