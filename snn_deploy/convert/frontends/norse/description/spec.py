"""What the description of every layer can do. torch and Norse are imported inside functions only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]
Finite = Annotated[float, Field(allow_inf_nan=False)]
PerNeuron = Finite | list[Finite]
"""One value for the layer, or one for each neuron, in row-major order."""


class Frozen(BaseModel):
    """Immutable, and no field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Layer(Frozen, ABC):
    """One module of a chain."""

    @abstractmethod
    def behind(self, shape: Shape) -> Shape:
        """The shape that the layer sends when it is given ``shape``; ValueError where it takes another."""

    def arrays(self) -> dict[str, Shape]:
        """Name and shape of the layer's weights."""
        return {}

    @abstractmethod
    def build(self, shape: Shape, dt: float) -> nn.Module:
        """The module for inputs of ``shape``, with fresh weights."""

    @classmethod
    @abstractmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        """What a module of this type says of itself, where ``shape`` arrives."""


def require_width(shape: Shape, width: int) -> None:
    """ValueError where a vector of another width arrives."""
    if shape != (width,):
        raise ValueError(f"takes {width} values and is given {shape[0] if len(shape) == 1 else shape}")


def require_size(shape: Shape, size: int) -> None:
    """ValueError where another number of values arrives."""
    if prod(shape) != size:
        raise ValueError(f"takes {size} values and is given {shape[0] if len(shape) == 1 else shape}")
