"""The description that a checkpoint carries beside its weights: plain values, checked on the way in."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from snn_deploy.convert.frontends.norse.description.layer_specs import TORCH_LAYERS
from snn_deploy.convert.frontends.norse.description.neuron_specs import NEURONS
from snn_deploy.convert.frontends.norse.description.spec import Frozen, Shape

LayerSpec = Annotated[TORCH_LAYERS | NEURONS, Field(discriminator="type")]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Config(Frozen):
    """What a checkpoint says of itself.

    ``dt`` is the time step in seconds; ``reset`` says that a neuron which fires goes to v_reset;
    ``inputs`` is the width of each tower's input raster, ``input_shapes`` its shape where it is no vector;
    ``towers`` holds the layers of each tower in order.
    ``readout`` says how spikes become a vector; ``constants`` the shapes of the arrays that the task's
    input coding needs; ``metadata`` anything else, such as the training recipe.
    """

    format: Literal["snn-deploy/1"] = "snn-deploy/1"
    dt: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    reset: Literal["zero"] = "zero"
    inputs: dict[Name, PositiveInt]
    input_shapes: dict[Name, Annotated[list[PositiveInt], Field(min_length=1)]] = Field(default_factory=dict)
    towers: Annotated[dict[Name, Annotated[list[LayerSpec], Field(min_length=1)]], Field(min_length=1)]
    readout: Literal["counts", "on_off_counts"] = "counts"
    constants: dict[Name, list[PositiveInt]] = Field(default_factory=dict)
    task: str = ""
    encoder: str = ""
    seed: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _widths_join(self) -> Config:
        faults = []
        if set(self.inputs) != set(self.towers):
            faults.append(f"inputs {sorted(self.inputs)} and towers {sorted(self.towers)} differ")
        for name, shape in self.input_shapes.items():
            if prod(shape) != self.inputs.get(name):
                faults.append(f"input_shapes.{name} {shape} does not hold {self.inputs.get(name)} values")
        for name in self.towers:
            try:
                *_, last = self.arriving(name)
            except ValueError as fault:
                faults.append(str(fault))
                continue
            if self.readout == "on_off_counts" and prod(last) % 2:
                faults.append(f"towers.{name} has {prod(last)} outputs, which do not pair into ON and OFF")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def input_shape(self, name: str) -> Shape:
        """Shape of the raster that a tower is given, without samples and steps."""
        return tuple(self.input_shapes.get(name, [self.inputs[name]]))

    def arriving(self, name: str) -> list[Shape]:
        """The shape that arrives at each layer of a tower, and last what the tower sends."""
        if name not in self.inputs:
            return [()]
        shapes = [self.input_shape(name)]
        for index, layer in enumerate(self.towers[name]):
            try:
                shapes.append(layer.behind(shapes[-1]))
            except ValueError as fault:
                raise ValueError(f"towers.{name}.{index} {fault}") from None
        return shapes

    def document(self) -> dict[str, Any]:
        """Plain containers only, as they are stored."""
        return self.model_dump(mode="json", by_alias=True)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array that a checkpoint with this description holds."""
        shapes: dict[str, tuple[int, ...]] = {
            f"constants.{name}": tuple(shape) for name, shape in self.constants.items()
        }
        for name, layers in self.towers.items():
            for index, layer in enumerate(layers):
                path = f"towers.{name}.{index}"
                shapes |= {f"{path}.{array}": shape for array, shape in layer.arrays().items()}
        return shapes
